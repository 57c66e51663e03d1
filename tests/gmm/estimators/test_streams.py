import pickle

import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB

import gmm

EXACT = {"learning_decay": 1, "learning_offset": 0, "reg_covar": 0}


def assert_same(ours, theirs, tolerance=1e-10):
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        scale = tolerance * float(other[other.isfinite()].abs().max())
        torch.testing.assert_close(one, other, rtol=tolerance, atol=scale)


def test_the_first_batch_is_fitted_as_any_points():
    x = blobs(80, 2)
    options = {"n_init": 3, "random_state": 0}
    streamed = gmm.GaussianMixture(3, **options).partial_fit(x)
    fitted = gmm.GaussianMixture(3, **options).fit(x)
    assert_same(streamed.mixture_, fitted.mixture_, tolerance=0)
    assert streamed.lower_bounds_ == [streamed.lower_bound_] == [fitted.lower_bound_]
    assert streamed.n_iter_ == 1
    assert not streamed.converged_


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("first", ["fit", "partial_fit", "batches"])
def test_one_component_has_the_moments_of_all_points(name, first):
    x = blobs(100, 3)
    model = gmm.GaussianMixture(covariance_type=name, **{**EXACT, "reg_covar": 0.25})
    if first == "batches":
        model.fit([x[:20], x[20:60]])
    else:
        getattr(model, first)(x[:60])
    for batch in (x[60:65], x[65:]):
        model.partial_fit(batch)
    whole = gmm.GaussianMixture(covariance_type=name, reg_covar=0.25).fit(x)
    assert_same(model.mixture_, whole.mixture_)
    np.testing.assert_allclose(model.precisions_, whole.precisions_, rtol=1e-9, atol=1e-12)
    assert model.n_iter_ == len(model.lower_bounds_) == 3


def test_later_batches_take_the_steps_of_stepwise_em():
    x = blobs(120, 2)
    options = {"learning_decay": 0.6, "learning_offset": 3.0, "reg_covar": 1e-3}
    model = gmm.GaussianMixture(3, random_state=0, **options).fit(x[:60])
    stream = gmm.StepwiseEM(model.mixture_, n_points=60, **options)
    for batch in (x[60:100], x[100:]):
        score = model.score(batch)
        model.partial_fit(batch)
        stream.step(torch.from_numpy(batch))
        np.testing.assert_allclose(model.lower_bound_, score)
    assert_same(model.mixture_, stream.mixture, tolerance=0)


def test_another_fit_forgets_the_stream():
    x = blobs(120, 2)
    model = gmm.GaussianMixture(2, random_state=0).partial_fit(x[:60]).partial_fit(x[60:])
    again = model.fit(x[:60]).partial_fit(x[60:])
    once = gmm.GaussianMixture(2, random_state=0).fit(x[:60]).partial_fit(x[60:])
    assert_same(again.mixture_, once.mixture_, tolerance=0)
    assert again.n_iter_ == 2


def test_a_pickle_goes_on_with_the_stream_and_a_file_has_its_mixture(tmp_path):
    x = blobs(120, 2)
    model = gmm.GaussianMixture(2, random_state=0).partial_fit(x[:60]).partial_fit(x[60:90])
    model.mixture_.save(tmp_path / "mixture.pt")
    assert_same(gmm.Mixture.load(tmp_path / "mixture.pt"), model.mixture_, tolerance=0)
    again = pickle.loads(pickle.dumps(model)).partial_fit(x[90:])
    assert_same(again.mixture_, model.partial_fit(x[90:]).mixture_, tolerance=0)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_results_are_what_the_batches_are(kind):
    x = blobs(90, 2).astype(np.float32)
    model = gmm.GaussianMixture(2, random_state=0)
    for batch in np.split(x, 3):
        model.partial_fit(kind(batch))
    assert type(model.means_) is type(kind(x))
    assert model.mixture_.means.dtype == torch.float32


def test_what_cannot_be_learned_from_is_named_and_changes_nothing():
    x = blobs(60, 3)
    model = gmm.GaussianMixture(4, random_state=0)
    with pytest.raises(ValueError, match=r"must be at most the number of points \(3\), got 4"):
        model.partial_fit(x[:3])
    with pytest.raises(NotFittedError):
        model.predict(x)
    model.partial_fit(x[:30])
    before = model.mixture_
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        model.partial_fit(x[:, :2])
    with pytest.raises(ValueError, match="X must be finite, got NaN in row 1") as error:
        model.partial_fit([[0.0, 0, 0], [0, np.nan, 0]])
    assert "\n" not in str(error.value)
    assert_same(model.mixture_, before, tolerance=0)
    assert model.partial_fit(x[30:]).n_iter_ == 2
    converged, n_iter = model.fit(x).converged_, model.n_iter_
    with pytest.raises(ValueError, match="X must be finite"):
        model.partial_fit(np.full((2, 3), np.inf))
    assert (model.converged_, model.n_iter_) == (converged, n_iter)
    for options, message in (
        ({"covariance_type": "factor", "n_factors": 1}, "covariance_type must be one of .* got"),
        ({"prior": gmm.NormalInverseWishart()}, "prior must be None in partial_fit, got a Normal"),
        ({"learning_decay": 0.5}, r"'learning_decay' .* in the range \(0.5, 1.0\]"),
    ):
        with pytest.raises(ValueError, match=message):
            gmm.GaussianMixture(**options).partial_fit(x)


def test_a_lost_covariance_is_told_and_reg_covar_helps_from_the_next_batch_on():
    x = np.repeat([[3.0, 1.0]], 10, axis=0)
    model = gmm.GaussianMixture(covariance_type="diag", reg_covar=0.5).partial_fit(x)
    with pytest.raises(ValueError, match="component 0 is not positive definite; raise reg_covar"):
        model.set_params(reg_covar=0).partial_fit(x)
    np.testing.assert_allclose(model.covariances_, 0.5)
    model.set_params(reg_covar=0.25).partial_fit(x)
    np.testing.assert_allclose(model.covariances_, 0.25)


def labelled(n=150, D=3):
    x = blobs(n, D, seed=1)
    y = np.arange(n) % 3
    return x + y[:, None], np.array(["anger", "fear", "happy"])[y]


def test_one_diagonal_component_per_class_is_naive_bayes_batch_by_batch():
    x, y = labelled()
    names = ["anger", "fear", "happy", "sad"]
    ours = gmm.MixtureClassifier(1, **EXACT)
    theirs = GaussianNB(var_smoothing=0)
    batches = [slice(0, 30), slice(30, 90), slice(90, 150)]
    for i, rows in enumerate(batches):
        # A class that begins later, and one that never does.
        own = (y[rows] != "fear") | (i > 0)
        ours.partial_fit(x[rows][own], y[rows][own], classes=None if i else names[::-1])
        theirs.partial_fit(x[rows][own], y[rows][own], classes=None if i else names[:3])
    assert ours.classes_.tolist() == names
    seen = ours.classes_ != "sad"
    np.testing.assert_array_equal(ours.class_count_[seen], theirs.class_count_)
    expected = theirs.predict_log_proba(x)
    np.testing.assert_allclose(ours.predict_log_proba(x)[:, seen], expected, atol=1e-9)
    np.testing.assert_array_equal(ours.predict_proba(x)[:, ~seen], 0)
    assert ours.n_iter_ == 3
    assert ours.mixtures_.batch_shape == (4,)


@pytest.mark.parametrize("n_components", [2, [1, 2]])
def test_each_class_has_a_stream_of_its_own(n_components):
    x, y = labelled()
    model = gmm.MixtureClassifier(n_components, random_state=0).fit(x[:90], y[:90])
    started, counts = model.mixtures_, model.class_count_
    for rows in (slice(90, 120), slice(120, 150)):
        model.partial_fit(x[rows], y[rows])
    assert model.mixtures_.batch_shape == started.batch_shape
    for c, name in enumerate(model.classes_):
        stream = gmm.StepwiseEM(started[c], n_points=counts[c], reg_covar=1e-6)
        for rows in (slice(90, 120), slice(120, 150)):
            stream.step(torch.from_numpy(x[rows][y[rows] == name]))
        assert_same(model.mixtures_[c], stream.mixture)
    if np.ndim(n_components):
        one = model.at(2)
        before = model.mixtures_
        one.partial_fit(x, y)
        assert one.mixtures_.batch_shape == (3,)
        assert_same(model.mixtures_, before, tolerance=0)


def test_a_pickled_classifier_goes_on():
    x, y = labelled()
    model = gmm.MixtureClassifier(2, classes=["happy", "anger"], random_state=0)
    model.partial_fit(x[:100], y[:100])
    again = pickle.loads(pickle.dumps(model)).partial_fit(x[100:], y[100:])
    assert_same(again.mixtures_, model.partial_fit(x[100:], y[100:]).mixtures_, tolerance=0)
    assert set(again.predict(x)) == {"happy", "anger"}


def test_what_a_classifier_cannot_learn_from_is_named():
    x, y = labelled()
    model = gmm.MixtureClassifier(2, random_state=0)
    with pytest.raises(ValueError, match="classes must be given in the first call of partial_fit"):
        model.partial_fit(x, y)
    with pytest.raises(ValueError, match=r"y must be among the classes .*, got \['happy'\]"):
        model.partial_fit(x, y, classes=["anger", "fear"])
    with pytest.raises(ValueError, match=r"y must have one of the classes \['sad'\], got none"):
        gmm.MixtureClassifier(classes=["sad"]).partial_fit(x, y)
    with pytest.raises(ValueError, match=r"points of class 'anger' \(1\), got 2"):
        model.partial_fit(x[:3], y[:3], classes=np.unique(y))
    model.partial_fit(x, y, classes=np.unique(y))
    before = model.mixtures_
    with pytest.raises(ValueError, match=r"classes must be those of before .* got \['anger'\]"):
        model.partial_fit(x, y, classes=["anger"])
    with pytest.raises(ValueError, match="X must be finite, got NaN in row 4"):
        model.partial_fit(np.where(np.arange(150)[:, None] == 4, np.nan, x), y)
    assert_same(model.mixtures_, before, tolerance=0)
