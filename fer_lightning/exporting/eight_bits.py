"""An ONNX file whose convolutions and linear layers calculate with integers of 8 bits."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.errors import InputError
from fer_lightning.exporting.program import MISSING
from fer_lightning.files import whole_file

LAYERS = ("Conv", "Gemm", "MatMul")
BATCH = 50


def quantise(path: Path, faces: np.ndarray) -> None:
    """Replace an ONNX file by one of 8 bits (static quantisation, one scale a channel).

    What prepares the faces stays as it is: only layers that have weights of the network change.

    Args:
        path: The file.
        faces: Typical faces, (N, 1, H, H), uint8: they set the range of what each layer gives.

    Raises:
        InputError: The packages of the extra `export` are not installed, or no layer can change.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise InputError(MISSING) from error
    logging.getLogger().setLevel(max(logging.INFO, logging.getLogger().level))
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as part:
        ready = Path(folder, "ready.onnx")
        quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        graph = onnx.load(ready).graph
        weights = {
            tensor.name for tensor in graph.initializer if tensor.name.startswith("network.")
        }
        layers = [
            node.name for node in graph.node if node.op_type in LAYERS and weights & set(node.input)
        ]
        if not layers:  # onnxruntime would take none for all
            raise InputError(
                f"int8 needs layers of kind {', '.join(LAYERS)}; this network has none"
            )
        quantize_static(
            ready,
            part,
            _Faces(faces),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,  # without VNNI, sums of two products overflow 16 bits
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=layers,
        )


class _Faces:
    """Deals out faces as onnxruntime asks for them."""

    def __init__(self, faces: np.ndarray) -> None:
        self._batches: Iterator[np.ndarray] = iter(
            np.array_split(faces, max(1, len(faces) // BATCH))
        )

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}
