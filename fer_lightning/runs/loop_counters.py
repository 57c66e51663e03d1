"""The counters of Lightning's loops in a checkpoint of a training that had other loops."""

from typing import Any

Counts = dict[str, dict[str, int]]
UPDATES, EVENTS = ("ready", "completed"), ("ready", "completed", "started")
BATCHES = (*EVENTS, "processed")


def loops_after(
    epochs: int, steps: int, validations: int, rates: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """Return the counters after whole epochs, as Lightning's Trainer saves them.

    Args:
        epochs: Number of epochs that are over, at least 1.
        steps: Minibatches of an epoch, each of which is a step.
        validations: Minibatches of a validation.
        rates: How often a scheduler has stepped in all, and in the last epoch.
    """
    total = epochs * steps
    none = _counts(UPDATES, 0, 0)
    return {
        "fit_loop": {
            "state_dict": {},
            "epoch_loop.state_dict": {"_batches_that_stepped": total},
            "epoch_loop.batch_progress": _batches(total, steps, is_last=True),
            "epoch_loop.scheduler_progress": _counts(UPDATES, *rates),
            "epoch_loop.automatic_optimization.state_dict": {},
            "epoch_loop.automatic_optimization.optim_progress": {
                "optimizer": {
                    "step": _counts(UPDATES, total, steps),
                    "zero_grad": _counts(EVENTS, total, steps),
                }
            },
            "epoch_loop.manual_optimization.state_dict": {},
            "epoch_loop.manual_optimization.optim_step_progress": none,
            "epoch_loop.val_loop.state_dict": {},
            "epoch_loop.val_loop.batch_progress": _batches(validations, validations, is_last=True),
            "epoch_progress": _counts(BATCHES, epochs, epochs),
        },
        **{f"{name}_loop": _idle(name) for name in ("validate", "test", "predict")},
    }


def _counts(names: tuple[str, ...], total: int, current: int) -> Counts:
    return {"total": dict.fromkeys(names, total), "current": dict.fromkeys(names, current)}


def _batches(total: int, current: int, is_last: bool) -> dict[str, Any]:
    return {**_counts(BATCHES, total, current), "is_last_batch": is_last}


def _idle(name: str) -> dict[str, Any]:
    """Return the counters of a loop that has not run, of which the one that predicts has fewer."""
    counts = _counts(BATCHES, 0, 0)
    progress = counts if name == "predict" else {**counts, "is_last_batch": False}
    return {"state_dict": {}, "batch_progress": progress}
