"""What the networks of a cross-validation say of the faces that they were not trained on."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from fer_lightning.data import CLASSES, FaceSplits
from fer_lightning.errors import InputError, require
from fer_lightning.evaluation import load_network, run_faces
from fer_lightning.runs import StoredNetwork, find_networks, run_settings
from fer_lightning.training import logits_of

HOW = "data.cv_folds=5 data.cv_fold=0,1,2,3,4"

log = logging.getLogger(__name__)


def out_of_fold(runs: Sequence[str], whole: FaceSplits) -> Tensor:
    """Return p(class | face) of the training and validation faces together, (N, 7), float64.

    Each fold's best network predicts the faces of its own fold.

    Args:
        runs: Folders of the runs, or of their sweep.
        whole: The faces of the data set, as it has them.

    Raises:
        InputError: The runs are not those of one cross-validation of these faces.
    """
    networks = [network for name in runs for network in find_networks(name, "best")]
    require(len(networks) > 0, "runs", "have a best.ckpt", list(runs))
    fingerprint = whole.fingerprint()
    n = len(whole.train) + len(whole.val)
    proba = torch.zeros(n, len(CLASSES), dtype=torch.float64)
    times = torch.zeros(n, dtype=torch.int64)
    _require_all_folds(networks)
    for network in networks:
        assert network.folder is not None
        faces = run_faces(network.folder).faces
        if faces.whole.fingerprint() != fingerprint:
            found = faces.whole.fingerprint()
            rule = f"runs must be of these faces, whose fingerprint is {fingerprint}"
            raise InputError(f"{rule}, got {network.name!r} of {found}")
        model, _ = load_network(network.checkpoint)
        keys = faces.keys["val"]
        proba[keys] += logits_of(model, faces.splits.val).double().softmax(-1)
        times[keys] += 1
        log.info("%s: %s faces out of its fold", network.name, f"{len(keys):,}")
    return proba / times[:, None]


def _require_all_folds(networks: Sequence[StoredNetwork]) -> None:
    """Raise an `InputError` unless the networks are of all folds of one cross-validation."""
    folds: dict[int, list[int]] = {}
    for network in networks:
        settings = run_settings(network.folder) if network.folder else {}
        n_folds, fold = settings.get("data.cv_folds"), settings.get("data.cv_fold")
        if not (isinstance(n_folds, int) and isinstance(fold, int)):
            raise InputError(
                f"runs must be those of a sweep over data.cv_fold, got {network.name!r}; "
                f"python train.py -m {HOW} makes one"
            )
        folds.setdefault(n_folds, []).append(fold)
    require(len(folds) == 1, "runs", "have the same data.cv_folds", sorted(folds))
    ((n_folds, found),) = folds.items()
    missing = sorted(set(range(n_folds)) - set(found))
    if missing:
        raise InputError(
            f"runs must have a network of each of the {n_folds} folds, got none with "
            f"data.cv_fold={missing[0]}; go on with the sweep"
        )
