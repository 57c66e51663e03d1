"""Time of an epoch of `experiment=fer2013` against the same network in a bare PyTorch loop.

In one process, in turns, on FER2013: the recipe as users run it, with augmentation, validation of
each face and its mirror image, log, TensorBoard events and checkpoints; and a loop by hand with the
same network, optimiser and minibatches, which validates too and augments nothing. The first epoch
of a run warms up and does not count. `python -m benchmarks.recipe fer2013.zip` prints seconds and
their ratio.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate

from benchmarks import bare_loop, project_run
from benchmarks.faces import CACHE
from benchmarks.results import in_turns, parser, publish
from fer_lightning.data.cache import load
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.training.run import ALL_THREADS

EPOCHS = 2  # of a round


def contenders(faces: Path, n: int | None) -> dict[str, Callable[[], list[float]]]:
    """Return the programs to time by name; each returns the seconds of its epochs but the first.

    Args:
        faces: FER2013.
        n: Faces that train in the bare loop, or None for all.
    """
    overrides = ["experiment=fer2013", f"data.path={faces}", f"trainer.max_epochs={EPOCHS + 1}"]
    overrides += ["trainer.accelerator=cpu", "image_every_n_epochs=0"]
    splits = load(Fer2013(faces), CACHE)
    if n is not None:
        rows = torch.arange(n)
        splits = FaceSplits(splits.train.take(rows), splits.val.take(rows), splits.test)
        n_batches = n // project_run.composed(overrides).data.batch_size
        overrides += [f"+trainer.limit_train_batches={n_batches}", "+trainer.limit_val_batches=1"]
    return {
        "recipe": functools.partial(_after_first, project_run.epoch_seconds, overrides),
        "bare": functools.partial(_after_first, _bare, overrides, splits),
    }


def _after_first(call: Callable[..., list[float]], *given: object) -> list[float]:
    return call(*given)[1:]


def _bare(overrides: list[str], splits: FaceSplits) -> list[float]:
    torch.set_num_threads(ALL_THREADS)
    config = project_run.composed(overrides)
    return bare_loop.epoch_seconds(
        instantiate(config.model),
        splits,
        config.data.batch_size,
        config.trainer.max_epochs,
        instantiate(config.optim),
        channels_last=True,
    )


def main() -> None:
    """Print the times and their ratio, and write them as JSON."""
    options = parser("recipe", __doc__, rounds=3)
    options.add_argument("faces", type=Path, help="FER2013")
    args = options.parse_args()
    took = in_turns(contenders(args.faces, 512 if args.quick else None), args.rounds)
    row = {f"{name}, s": seconds for name, seconds in took.items()}
    publish(args.json, [{**row, "recipe / bare": took["recipe"] / took["bare"]}])


if __name__ == "__main__":
    main()
