import numpy as np
import pytest
import torch
from oracles import blobs
from scipy.special import log_softmax
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks

import gmm


@parametrize_with_checks([gmm.MixtureClassifier()])
def test_scikit_learn_s_checks_pass(estimator, check):
    check(estimator)


def labelled(sizes=(30, 50, 80), D=3):
    x = np.concatenate([blobs(n, D, seed=n) + i for i, n in enumerate(sizes)])
    return x, np.repeat(["anger", "fear", "happy"][: len(sizes)], sizes)


def test_one_diagonal_component_per_class_is_gaussian_naive_bayes():
    x, y = labelled()
    ours = gmm.MixtureClassifier(1, reg_covar=0).fit(x, y)
    theirs = GaussianNB(var_smoothing=0).fit(x, y)
    np.testing.assert_allclose(ours.predict_log_proba(x), theirs.predict_log_proba(x), atol=1e-9)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))


def test_bayes_rule_joins_separate_mixtures_and_training_counts():
    x, y = labelled()
    model = gmm.MixtureClassifier(2, random_state=0, reg_covar=1e-6).fit(x, y)
    evidence = []
    for c, name in enumerate(model.classes_):
        mine = torch.from_numpy(x[y == name])
        alone = gmm.fit_em(mine, model.fits_.starts[c, 0], reg_covar=1e-6).mixture
        share = np.log((y == name).mean())
        evidence.append(alone.score_samples(torch.from_numpy(x)).numpy() + share)
    expected = log_softmax(np.stack(evidence, -1), -1)
    np.testing.assert_allclose(model.predict_log_proba(x), expected, atol=1e-6)


def test_a_list_of_k_is_fitted_at_once_and_told_apart():
    x, y = labelled()
    many = gmm.MixtureClassifier([1, 2, 4], random_state=0).fit(x, y)
    errors = many.errors(x, y)
    assert list(errors) == [1, 2, 4]
    for k in errors:
        one = many.at(k)
        assert one.mixtures_.n_components.tolist() == [k] * 3
        np.testing.assert_allclose(errors[k], np.mean(one.predict(x) != y))
        np.testing.assert_allclose(errors[k], 1 - one.score(x, y))
    with pytest.raises(ValueError, match=r"must be asked of one n_components, got \[1, 2, 4\]"):
        many.predict(x)
    with pytest.raises(ValueError, match=r"must be one of \[1, 2, 4\], got 3"):
        many.at(3)


def test_a_subset_of_classes_leaves_the_others_out():
    x, y = labelled()
    few = gmm.MixtureClassifier(2, classes=["happy", "anger"], random_state=0).fit(x, y)
    assert few.classes_.tolist() == ["happy", "anger"]
    np.testing.assert_allclose(np.exp(few.class_log_prior_), [80 / 110, 30 / 110])
    assert set(few.predict(x)) <= {"happy", "anger"}
    kept = y != "fear"
    np.testing.assert_allclose(few.errors(x, y)[2], np.mean(few.predict(x[kept]) != y[kept]))


def test_tensors_give_tensors():
    x, y = labelled()
    points, labels = torch.from_numpy(x), torch.from_numpy(np.unique(y, return_inverse=True)[1])
    model = gmm.MixtureClassifier(2, random_state=0).fit(points, labels)
    assert isinstance(model.predict_proba(points), torch.Tensor)
    assert model.predict(points).dtype == torch.int64
    expected = gmm.MixtureClassifier(2, random_state=0).fit(x, labels.numpy()).predict(x)
    np.testing.assert_array_equal(model.predict(points), expected)


def test_what_cannot_be_fitted_is_named():
    x, y = labelled()
    with pytest.raises(ValueError, match="class 'joy' must have training points, got none"):
        gmm.MixtureClassifier(classes=["fear", "joy"]).fit(x, y)
    with pytest.raises(ValueError, match=r"points of class 'anger' \(30\), got 31"):
        gmm.MixtureClassifier(31).fit(x, y)
    x[y == "fear"] = 1.0
    with pytest.raises(ValueError, match="mixture of class 'fear' is not positive definite"):
        gmm.MixtureClassifier(1, reg_covar=0).fit(x, y)


@pytest.mark.parametrize("name", ["factor", "ppca"])
def test_classes_may_have_factors(name):
    x, y = labelled(D=4)
    model = gmm.MixtureClassifier([1, 2], covariance_type=name, n_factors=1, random_state=0)
    model.fit(x, y)
    assert model.mixtures_.covariances.shape == (3, 2, 2, 4, 2)
    alone = gmm.fit_em(
        torch.from_numpy(x[y == "fear"]), model.fits_.starts[1, 1, 0], reg_covar=1e-6
    )
    scores = alone.mixture.score_samples(torch.from_numpy(x))
    torch.testing.assert_close(model.mixtures_[1, 1].score_samples(torch.from_numpy(x)), scores)
    assert model.at(2).score(x, y) > 0.5
