import re

import numpy as np
import pytest
import sklearn.mixture
from oracles import blobs

import gmm


def printed(model, x, capsys):
    """Return what two fits print, the second a warm start where there is one, without the times."""
    model.fit(x)
    model.fit(x)
    return re.sub(r"lapse \d+\.\d+s", "lapse", capsys.readouterr().out)


# Of one iteration, and of four.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("max_iter", [1, 4, 100])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_prints_what_scikit_learn_s_prints(verbose, max_iter, warm_start, capsys):
    x = blobs(60, 2)
    options = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": x[:3],
        "precisions_init": np.stack([np.eye(2)] * 3),
        "max_iter": max_iter,
        "warm_start": warm_start,
        "verbose": verbose,
        "verbose_interval": 2,
    }
    theirs = printed(sklearn.mixture.GaussianMixture(3, **options), x, capsys)
    assert printed(gmm.GaussianMixture(3, **options), x, capsys) == theirs
    assert bool(theirs) == bool(verbose)


def test_restarts_share_their_lines_and_tell_of_the_best(capsys):
    x = blobs(150, 2, K=6)
    options = {"n_init": 4, "init_params": "random", "verbose": 2, "verbose_interval": 1}
    model = gmm.GaussianMixture(6, random_state=0, **options).fit(x)
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == "Initialization 0 to 3"
    paths = model.log_likelihoods_
    reached = np.fmax.accumulate(paths, axis=1)  # restarts that have ended stay where they are
    assert np.isnan(paths).any()
    changes = np.diff(reached.max(0))
    shown = [float(line.rsplit(" ", 1)[1]) for line in lines]
    assert shown[0] == np.inf
    np.testing.assert_allclose(shown[1:], changes, atol=1e-5)
    assert last.endswith(f"lower bound {model.lower_bound_:.5f}.")
