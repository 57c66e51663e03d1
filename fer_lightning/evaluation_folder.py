"""What an evaluation leaves in its folder."""

from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from fer_lightning.atomic import whole_folder, write_json, write_table
from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.evaluation import Evaluation
from fer_lightning.evaluation_figures import evaluation_figures
from fer_lightning.figure_pixels import pixels
from fer_lightning.predictions import COLUMNS


def write_evaluation(
    folder: Path, found: Evaluation, model: ExpressionClassifier, facts: dict[str, Any]
) -> None:
    """Write tables, figures and their TensorBoard images, in place of what was there.

    Args:
        folder: Where to; its parents are made.
        found: The measures.
        model: The network, for the pictures of its first layer.
        facts: The content of evaluation.json.
    """
    curve = zip(found.curve.coverage.tolist(), found.curve.risk.tolist(), strict=True)
    with whole_folder(folder) as part, SummaryWriter(str(part)) as board:
        write_table(part / "predictions.csv", COLUMNS, found.predictions.rows())
        points = ([f"{value:.9g}" for value in point] for point in curve)
        write_table(part / "risk_coverage.csv", ("coverage", "risk"), points)
        write_json(part / "evaluation.json", facts)
        for name, figure in evaluation_figures(found, model, facts["split"]).items():
            picture = pixels(figure)
            Image.fromarray(picture).save(part / f"{name}.png")
            board.add_image(name, picture, facts["epoch"], dataformats="HWC")
