"""Folds of cross-validation in place of a data set's own training and validation faces."""

import numpy as np
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.splitting import deal_folds
from fer_lightning.errors import SettingError, require, require_integer


def require_fold(cv_folds: int | None, cv_fold: int | None) -> None:
    """Raise a `SettingError` unless a number of folds and one of them are given, or neither is."""
    if cv_folds is None:
        require(cv_fold is None, "cv_folds", "be given where cv_fold is", cv_folds)
    else:
        require_integer("cv_folds", cv_folds, 2)
        require_integer("cv_fold", cv_fold, 0, cv_folds - 1)


def cross_validated(splits: FaceSplits, cv_folds: int | None, cv_fold: int | None) -> FaceSplits:
    """The splits in which one fold validates and the others train.

    Training and validation faces together are dealt out to stratified folds, which depend on the
    faces alone; subjects stay whole where they are known. The test split is left as it is.

    Args:
        splits: The splits that a data set has.
        cv_folds: Number of folds, or None for the splits as they are.
        cv_fold: The fold that validates, from 0.

    Raises:
        SettingError: There is no such fold, or there are more folds than can have faces.
    """
    require_fold(cv_folds, cv_fold)
    if cv_folds is None:
        return splits
    faces = Faces.joined(splits.train, splits.val)
    fold = deal_folds(faces.labels.numpy(), faces.subjects.numpy(), cv_folds)
    n_filled = len(np.unique(fold))
    if n_filled < cv_folds:
        raise SettingError("cv_folds", f"be at most {n_filled}, or folds lack faces", cv_folds)
    validates = torch.from_numpy(fold == cv_fold)
    return FaceSplits(faces.take(~validates), faces.take(validates), splits.test)
