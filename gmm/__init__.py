"""Gaussian mixtures by batched expectation-maximisation on PyTorch tensors.

The estimators follow scikit-learn and need it; they are imported when first asked for.
"""

from importlib import import_module
from typing import Any

from gmm.distributed import Distributed
from gmm.em import Fit, fit_em
from gmm.fit import ManyFits, fit_many
from gmm.kmeans import KMeansFit, kmeans
from gmm.mixture import Mixture, ModelFileError
from gmm.starts import Start, make_start

__all__ = [
    "Distributed",
    "Fit",
    "GaussianMixture",
    "KMeansFit",
    "ManyFits",
    "Mixture",
    "MixtureClassifier",
    "ModelFileError",
    "Start",
    "fit_em",
    "fit_many",
    "kmeans",
    "make_start",
]

_ESTIMATORS = {"GaussianMixture": "gmm.estimator", "MixtureClassifier": "gmm.classifier"}


def __getattr__(name: str) -> Any:
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'gmm' has no attribute {name!r}")
    return getattr(import_module(_ESTIMATORS[name]), name)
