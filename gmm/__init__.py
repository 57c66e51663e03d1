"""Gaussian mixtures by batched expectation-maximisation on PyTorch tensors.

In come points, out go mixtures: `Mixture` is a batch of them as a value, `fit_many` and `fit_em`
fit such a batch, and the estimators do so with scikit-learn's conventions. The library needs
PyTorch, and on a CPU numba; the estimators need scikit-learn, `to_onnx` the packages of ONNX. All
but PyTorch are imported when first asked for. What is done with faces is in `gmm.faces`, of which
the library knows nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gmm.choosing.choice import Choice
from gmm.choosing.choose import choose
from gmm.fitting.em import fit_em
from gmm.fitting.em_state import Fit
from gmm.fitting.fit import ManyFits, fit_many
from gmm.fitting.stepwise import StepwiseEM
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.bounds import Bounds
from gmm.mixtures.mixture import Mixture
from gmm.mixtures.model_file import ModelFileError
from gmm.points import Distributed, Shards
from gmm.refining.split_merge import SplitMerge, split_merge
from gmm.starting.kmeans import KMeansFit, kmeans
from gmm.starting.starts import Start, make_start

if TYPE_CHECKING:
    from gmm.estimators.bayesian import BayesianGaussianMixture
    from gmm.estimators.classifier import MixtureClassifier
    from gmm.estimators.gaussian_mixture import GaussianMixture
    from gmm.exporting import to_onnx

__all__ = [
    "BayesianGaussianMixture",
    "Bounds",
    "Choice",
    "Distributed",
    "Fit",
    "GaussianMixture",
    "KMeansFit",
    "ManyFits",
    "Mixture",
    "MixtureClassifier",
    "ModelFileError",
    "NormalInverseWishart",
    "Shards",
    "SplitMerge",
    "Start",
    "StepwiseEM",
    "choose",
    "fit_em",
    "fit_many",
    "kmeans",
    "make_start",
    "split_merge",
    "to_onnx",
]

_LATER = {
    "BayesianGaussianMixture": "gmm.estimators.bayesian",
    "GaussianMixture": "gmm.estimators.gaussian_mixture",
    "MixtureClassifier": "gmm.estimators.classifier",
    "to_onnx": "gmm.exporting",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'gmm' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
