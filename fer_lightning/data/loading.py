"""Rules of how faces reach a network."""

from fer_lightning.errors import require, require_integer


def require_loading(
    batch_size: int, minibatches_per_step: int, cv_folds: int | None, cv_fold: int | None
) -> None:
    """Raise a `SettingError` unless faces can be loaded like this; see `FaceDataModule`."""
    require_integer("batch_size", batch_size, 1)
    require_integer("minibatches_per_step", minibatches_per_step, 1)
    require_fold(cv_folds, cv_fold)


def require_fold(cv_folds: int | None, cv_fold: int | None) -> None:
    """Raise a `SettingError` unless a number of folds and one of them are given, or neither is."""
    if cv_folds is None:
        require(cv_fold is None, "cv_folds", "be given where cv_fold is", cv_folds)
    else:
        require_integer("cv_folds", cv_folds, 2)
        require_integer("cv_fold", cv_fold, 0, cv_folds - 1)
