"""Folds of cross-validation in place of a data set's own training and validation faces."""

import numpy as np
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.loading import require_fold
from fer_lightning.data.splitting import deal_folds
from fer_lightning.errors import SettingError


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
