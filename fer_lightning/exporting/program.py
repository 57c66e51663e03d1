"""A network as a graph that needs nothing of this project: torch.export and ONNX."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch._dynamo.exc import Unsupported, UserError
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError
from fer_lightning.files import whole_file
from fer_lightning.recognition import Loaded

OPSET = 18  # of ONNX: the first whose ScatterElements adds, which counts grey levels
MISSING = "ONNX files need other packages: pip install 'fer-lightning[export]'"


def facts(loaded: Loaded) -> dict[str, str]:
    """Return what a file tells of its network beside the graph, as texts; lists are JSON."""
    network = loaded.network
    size = loaded.image_size
    return {
        "classes": json.dumps(CLASSES),
        "image_size": str(size),
        "input": f"images: grey levels 0..255, uint8, (N, 1, {size}, {size})",
        "output": "logits and calibrated probabilities, float32, (N, 7) each, as classes says",
        "contrast": str(network.contrast),
        "tta": str(network.tta),
        "smooth": str(network.smooth),
        "temperature": repr(float(network.temperature)),
        "calibrated": str(loaded.calibrated),
        "network": type(network.network).__name__,
    }


def program(loaded: Loaded) -> ExportedProgram:
    """Return the graph of a network for any number of faces.

    Raises:
        InputError: The network does what a graph cannot have.
    """
    size = loaded.image_size
    faces = torch.zeros(2, 1, size, size, dtype=torch.uint8)
    network = loaded.network.float().eval()
    try:
        with _quiet():
            return torch.export.export(network, (faces,), dynamic_shapes=({0: Dim("n", min=1)},))
    except (UserError, Unsupported, GuardOnDataDependentSymNode) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{loaded.name}: cannot be exported ({reason})") from error


def write_pt2(path: Path, loaded: Loaded) -> None:
    """Write a network for `torch.export.load`."""
    with whole_file(path) as part, _quiet():
        buffer = io.BytesIO()
        torch.export.save(program(loaded), buffer, extra_files={"facts": json.dumps(facts(loaded))})
        part.write_bytes(buffer.getvalue())


def write_onnx(path: Path, loaded: Loaded) -> None:
    """Write a network as ONNX, with its classes and its calibration in the metadata.

    Raises:
        InputError: The packages of the extra `export` are not installed.
    """
    graph = program(loaded)
    try:
        with _quiet():
            exported: Any = torch.onnx.export(
                graph,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["logits", "probabilities"],
            )
    except ImportError as error:
        raise InputError(MISSING) from error
    exported.model.metadata_props.update(facts(loaded))
    exported.model.graph.name = "fer_lightning"
    with whole_file(path) as part:
        exported.save(part)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters from telling on the terminal what they do."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
