import numpy as np
import pytest
import torch
from oracles import blobs
from scipy.special import log_softmax
from sklearn.covariance import EmpiricalCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks

import gmm

SHARED = gmm.MixtureClassifier(share_covariance=True, covariance_type="tied", priors="uniform")


@parametrize_with_checks([gmm.MixtureClassifier(), SHARED])
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


@pytest.mark.parametrize("solver", ["lsqr", "eigen"])
def test_one_component_of_a_shared_matrix_is_linear_discriminant_analysis(solver):
    x, y = labelled(D=4)
    ours = gmm.MixtureClassifier(covariance_type="tied", share_covariance=True, reg_covar=0)
    theirs = LinearDiscriminantAnalysis(solver=solver, store_covariance=True).fit(x, y)
    ours.fit(x, y)
    for c in range(3):
        np.testing.assert_allclose(ours.mixtures_.covariances[c], theirs.covariance_, atol=1e-10)
    expected = theirs.predict_log_proba(x)
    np.testing.assert_allclose(ours.predict_log_proba(x), expected, atol=1e-8)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    assert (ours.predict(x) != y).any()  # or any rule would do


@pytest.mark.parametrize("priors", [None, [0.6, 0.3, 0.1]])
def test_one_component_of_full_matrices_is_quadratic_discriminant_analysis(priors):
    x, y = labelled(D=4)
    ours = gmm.MixtureClassifier(covariance_type="full", reg_covar=0, priors=priors).fit(x, y)
    theirs = QuadraticDiscriminantAnalysis(
        solver="eigen", covariance_estimator=EmpiricalCovariance(), priors=priors
    )
    theirs.fit(x, y)
    expected = theirs.predict_log_proba(x)
    np.testing.assert_allclose(ours.predict_log_proba(x), expected, atol=1e-8)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    assert (ours.predict(x) != y).any()


def test_one_component_of_shared_variances_is_linear_discriminant_analysis_without_correlations():
    x, y = labelled()
    ours = gmm.MixtureClassifier(share_covariance=True, reg_covar=0).fit(x, y)
    means = np.stack([x[y == c].mean(0) for c in ours.classes_])
    within = np.mean((x - means[np.unique(y, return_inverse=True)[1]]) ** 2, 0)
    joint = -0.5 * ((x[:, None] - means) ** 2 / within).sum(-1)
    expected = log_softmax(joint + np.log(np.array([30, 50, 80]) / 160), -1)
    np.testing.assert_allclose(ours.predict_log_proba(x), expected, atol=1e-9)


def test_several_k_share_a_covariance_each():
    x, y = labelled()
    options = {"covariance_type": "tied", "share_covariance": True, "random_state": 0, "n_init": 2}
    many = gmm.MixtureClassifier([1, 3], **options).fit(x, y)
    found = many.mixtures_.covariances
    assert found.shape == (3, 2, 3, 3)
    assert (found == found[:1]).all()
    assert (found[0, 1].diagonal() < found[0, 0].diagonal()).all()
    assert many.at(3).score(x, y) == 1 - many.errors(x, y)[3]
    one = gmm.MixtureClassifier(1, **options).fit(x, y)
    np.testing.assert_allclose(many.at(1).predict_proba(x), one.predict_proba(x), atol=1e-9)


def test_what_classes_cannot_share_is_told():
    x, y = labelled()
    with pytest.raises(ValueError, match="one of diag, spherical, tied where a covariance is"):
        gmm.MixtureClassifier(share_covariance=True, covariance_type="factor").fit(x, y)
    x[:, 1] = 1.0
    with pytest.raises(ValueError, match=r"the classes share must be positive definite.*now 0\)"):
        gmm.MixtureClassifier(share_covariance=True, reg_covar=0).fit(x, y)


def test_priors_take_the_place_of_the_shares():
    x, y = labelled()
    shares = gmm.MixtureClassifier(2, random_state=0).fit(x, y)
    for priors, expected in [
        ("uniform", [1 / 3] * 3),
        ([0.5, 0.2, 0.3], [0.5, 0.2, 0.3]),
        (torch.tensor([0.5, 0.2, 0.3]), [0.5, 0.2, 0.3]),
    ]:
        model = gmm.MixtureClassifier(2, random_state=0, priors=priors).fit(x, y)
        np.testing.assert_allclose(np.exp(model.class_log_prior_), expected, rtol=1e-6)
        odds = shares.predict_proba(x) * expected / np.array([30, 50, 80])
        odds /= odds.sum(-1, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(x), odds, atol=1e-7)


@pytest.mark.parametrize(
    ("priors", "rule"),
    [
        ("equal", "must be None, uniform or 3 numbers, got 'equal'"),
        ([0.5, 0.5], r"must be 3 numbers, one per class, got shape \(2,\)"),
        ([0.5, 0.4, 0.2], "must be above 0 and sum to 1, got"),
        ([1.2, -0.1, -0.1], "must be above 0 and sum to 1, got"),
        ([0.5, 0.5, 0.0], "must be above 0 and sum to 1, got"),
    ],
)
def test_impossible_priors_are_told(priors, rule):
    x, y = labelled()
    with pytest.raises(ValueError, match=f"priors {rule}"):
        gmm.MixtureClassifier(priors=priors).fit(x, y)


def held_out(seed=7):
    generator = np.random.default_rng(seed)
    x, y = labelled()
    return x + generator.normal(scale=2, size=x.shape), y


def test_the_temperature_of_two_classes_is_a_logistic_regression():
    x, y = labelled((60, 60))
    model = gmm.MixtureClassifier(2, random_state=0).fit(x, y)
    unseen, truth = held_out()
    two = truth != "happy"
    log_proba = model.predict_log_proba(unseen[two])
    odds = (log_proba[:, 1] - log_proba[:, 0])[:, None]
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds, truth[two]).coef_
    model.calibrate(unseen[two], truth[two])
    assert model.temperature_ == pytest.approx(1 / slope.item(), rel=1e-5)
    assert model.temperature_ > 1.2


def test_calibration_lowers_the_loss_and_changes_no_answer():
    x, y = labelled()
    model = gmm.MixtureClassifier(3, random_state=0).fit(x, y)
    unseen, truth = held_out()
    answers, sure = model.predict(unseen), model.predict_log_proba(unseen)
    before = log_loss(truth, model.predict_proba(unseen))
    assert model.calibrate(unseen, truth) is model
    assert model.temperature == 1
    T = model.temperature_
    np.testing.assert_allclose(model.predict_log_proba(unseen), log_softmax(sure / T, -1))
    least = log_loss(truth, model.predict_proba(unseen))
    assert least < before
    for other in (0.99 * T, 1.01 * T):
        assert log_loss(truth, np.exp(log_softmax(sure / other, -1))) > least
    np.testing.assert_array_equal(model.predict(unseen), answers)
    assert model.fit(x, y).temperature_ == 1  # that of the parameter again


def test_a_given_temperature_softens_probabilities():
    x, y = labelled()
    model = gmm.MixtureClassifier(temperature=4).fit(x, y)
    as_fitted = gmm.MixtureClassifier().fit(x, y).predict_log_proba(x)
    np.testing.assert_allclose(model.predict_log_proba(x), log_softmax(as_fitted / 4, -1))
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        gmm.MixtureClassifier(temperature=0).fit(x, y)


def test_points_without_a_mistake_or_a_clue_have_the_last_temperature():
    x = np.array([[0.0], [0.2], [9.0], [9.2]])
    model = gmm.MixtureClassifier().fit(x, [0, 0, 1, 1])
    assert model.calibrate(x, [0, 0, 1, 1]).temperature_ == pytest.approx(np.exp(-7))
    assert model.calibrate(x, [1, 1, 0, 0]).temperature_ == pytest.approx(np.exp(15))


def test_calibration_takes_the_known_classes_of_one_k():
    x, y = labelled()
    few = gmm.MixtureClassifier([1, 2], classes=["happy", "anger"], random_state=0).fit(x, y)
    unseen, truth = held_out()
    with pytest.raises(ValueError, match="one n_components"):
        few.calibrate(unseen, truth)
    known = truth != "fear"
    with_others = few.at(2).calibrate(unseen, truth).temperature_
    assert with_others == few.at(2).calibrate(unseen[known], truth[known]).temperature_
    assert with_others != few.at(2).temperature_
    with pytest.raises(ValueError, match=r"some of the classes \['happy', 'anger'\], got none"):
        few.at(2).calibrate(unseen[~known], truth[~known])
