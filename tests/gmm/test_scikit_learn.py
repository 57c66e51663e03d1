"""scikit-learn's own tests of its mixtures, with ours in place of theirs."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import sklearn.utils._array_api
import torch
from sklearn.utils.estimator_checks import check_param_validation

import gmm

# Tests of theirs that cannot pass, by module, and why. Each of them must fail.
PRIVATE = {
    "test_gaussian_mixture": {
        "test_gaussian_mixture_precisions_init_diag": (
            "gives precisions in the order of the clusters that scikit-learn's KMeans finds"
        ),
        "test_gaussian_mixture_precisions_init": "calls _set_parameters and _initialize",
        "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": (
            "counts the calls of a private function of scikit-learn"
        ),
        "test_gaussian_mixture_raises_where_array_api_not_implemented": (
            "asks k-means to refuse tensors, which ours takes"
        ),
    },
    "test_bayesian_mixture": {
        "test_compare_covar_type": "calls _check_parameters and _initialize_parameters",
    },
}
# Tests of tensors have this in their names; they need a setting that SciPy reads on import.
DISPATCH, SETTING = "array_api", "SCIPY_ARRAY_API"
ARRAYS = [
    ("numpy", None, None),
    *[("torch", "cpu", dtype) for dtype in ("float64", "float32")],
    *[("torch", "cuda", dtype) for dtype in ("float64", "float32") if torch.cuda.is_available()],
]


def class_of_theirs(name):
    """Return a class with the tests of a module of scikit-learn, which test ours."""
    spec = importlib.util.find_spec(f"sklearn.mixture.tests.{name}")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        of_arrays = "yield_namespace_device_dtype_combinations"  # of all libraries that there are
        patch.setattr(sklearn.utils._array_api, of_arrays, lambda: ARRAYS)
        spec.loader.exec_module(module)
    ours = ("GaussianMixture", "BayesianGaussianMixture")
    vars(module).update({each: getattr(gmm, each) for each in ours if each in gmm.__all__})
    found = {test: body for test, body in vars(module).items() if test.startswith("test_")}
    for test, reason in PRIVATE[name].items():
        pytest.mark.xfail(reason=reason, strict=True)(found[test])
    tests = {
        test: staticmethod(body)
        for test, body in found.items()
        if SETTING in os.environ or DISPATCH not in test
    }
    # As in scikit-learn, where warnings are no errors.
    quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    return quiet(type(name, (), tests))


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture(params=[np.float64, np.float32])
def global_dtype(request):
    return request.param


TestGaussianMixture = class_of_theirs("test_gaussian_mixture")
if "BayesianGaussianMixture" in gmm.__all__:
    TestBayesianGaussianMixture = class_of_theirs("test_bayesian_mixture")


def test_scikit_learn_s_tests_of_tensors_pass_where_arrays_are_dispatched():
    command = [sys.executable, "-m", "pytest", "-q", "-n0", __file__, "-k", DISPATCH]
    done = subprocess.run(
        command, env={**os.environ, SETTING: "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout


def test_every_parameter_that_breaks_its_rule_is_told_as_scikit_learn_does():
    check_param_validation("GaussianMixture", gmm.GaussianMixture())
