import csv
import json
import re

import numpy as np
import pytest
import torch
from oracles import (
    blobs,
    board_of,
    diagonal_log_joint,
    mixture_of,
    parameters,
    scipy_log_joint,
)
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import gmm
from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import InputError
from gmm.faces.class_mixtures import ClassMixtures

FIGURES = {"error", "confusion", "reliability"}
SPLITS = ("train", "val", "test")


def errors_of(folder):
    with (folder / "error.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {int(row["n_components"]): {s: float(row[s]) for s in SPLITS} for row in rows}


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def posterior_by_hand(folder, read_faces, split, classes, position):
    """Return p(c | x) in logarithms by Bayes' rule, (N, C), and the true positions, (N,)."""
    x, labels = read_faces(split)
    train = read_faces("train")[1]
    counts = np.array([(train == c).sum() for c in classes])
    chosen = np.isin(labels, classes)
    mixtures = gmm.Mixture.load(folder / "mixtures.pt")
    log_joint = np.stack(
        [
            np.log(counts[i] / counts.sum())
            + logsumexp(diagonal_log_joint(x[chosen], mixtures[i, position]), -1)
            for i in range(len(classes))
        ],
        -1,
    )
    truth = np.array([classes.index(label) for label in labels[chosen]])
    return log_joint - logsumexp(log_joint, -1)[:, None], truth


@pytest.mark.parametrize(
    ("setting", "classes"),
    [("[happy,anger,sad]", [3, 0, 4]), ("all", list(range(7)))],
    ids=["three", "all"],
)
def test_errors_follow_from_the_saved_mixtures_by_bayes_rule(
    entry_here, read_faces, setting, classes
):
    sizes = ("mixture.n_components=[2,4]", "mixture.max_iter=3")
    returned, run = entry_here("classify", f"classes={setting}", *sizes)
    errors, summary = errors_of(run), summary_of(run)
    for i, K in enumerate((2, 4)):
        for split in SPLITS:
            log_proba, truth = posterior_by_hand(run, read_faces, split, classes, i)
            assert errors[K][split] == pytest.approx((log_proba.argmax(-1) != truth).mean())
    assert any(0 < e["val"] < 1 for e in errors.values())  # or any rule would do
    assert summary["classes"] == [CLASSES[c] for c in classes]
    best = min((2, 4), key=lambda K: (errors[K]["val"], K))
    assert returned == pytest.approx(errors[best]["val"])
    assert summary["best"]["n_components"] == best
    assert summary["settings"]["mixture.max_iter"] == 3
    # of each class K means, variances and weights that sum to one; and the shares of the classes
    C = len(classes)
    assert summary["best"]["n_parameters"] == C * (best * 2 * 2304 + best - 1) + C - 1
    log_proba, truth = posterior_by_hand(run, read_faces, "test", classes, (2, 4).index(best))
    table = np.zeros((len(classes), len(classes)), int)
    np.add.at(table, (truth, log_proba.argmax(-1)), 1)
    assert summary["best"]["test_confusion"] == table.tolist()


def test_probabilities_are_held_against_the_test_faces(entry_here, read_faces):
    _, run = entry_here("classify", "classes=all", "mixture.n_components=2")
    found = summary_of(run)["calibration"]
    log_proba, truth = posterior_by_hand(run, read_faces, "test", list(range(7)), 0)
    scaled = log_proba / found["temperature"]
    scaled -= logsumexp(scaled, -1)[:, None]
    for name, logs in (("test_as_fitted", log_proba), ("test_scaled", scaled)):
        expected = -logs[np.arange(len(truth)), truth].mean()
        assert found[name]["nll"] == pytest.approx(expected, rel=1e-3)
        assert found[name]["mean_confidence"] == pytest.approx(
            np.exp(logs.max(-1)).mean(), rel=1e-3
        )
        assert found[name]["mean_accuracy"] == pytest.approx((logs.argmax(-1) == truth).mean())
    assert found["temperature"] > 10
    assert found["test_scaled"]["nll"] < found["test_as_fitted"]["nll"]


def test_priors_are_the_shares_of_the_training_faces(entry_here, smooth_faces, write_csv):
    rows = np.flatnonzero((smooth_faces.labels != 3) | (smooth_faces.splits != 0))
    rows = np.append(
        rows, np.flatnonzero((smooth_faces.labels == 3) & (smooth_faces.splits == 0))[:4]
    )
    for name in ("pixels", "labels", "splits"):
        object.__setattr__(smooth_faces, name, getattr(smooth_faces, name)[rows])
    write_csv(smooth_faces)
    _, run = entry_here("classify", "mixture.n_components=2", "mixture.max_iter=1")
    assert summary_of(run)["prior"] == pytest.approx([12 / 16, 4 / 16])


def test_a_run_leaves_everything_in_its_folder(entry_here, caplog):
    caplog.set_level("INFO")
    settings = ("mixture.n_components=[1,2,3]", "mixture.max_iter=2")
    _, run = entry_here("classify", *settings, figures=True)
    names = {path.name.split(".tfevents")[0] for path in run.iterdir()}
    files = {"mixtures.pt", "error.csv", "summary.json", "events.out"}
    assert names == files | {f"{name}.png" for name in FIGURES}
    assert (run / "error.csv").read_text().startswith("n_components,train,val,test")
    errors, board = errors_of(run), board_of(run)
    assert set(board.Tags()["images"]) == FIGURES
    for split in SPLITS:
        points = board.Scalars(f"{split}/error")
        assert [p.step for p in points] == [1, 2, 3]
        assert [p.value for p in points] == pytest.approx([errors[K][split] for K in (1, 2, 3)])
    for K, error in errors.items():
        cells = " +".join(f"{error[split]:.4f}" for split in SPLITS)
        assert re.search(rf"^{K} +{cells}", caplog.text, re.MULTILINE)
    found = summary_of(run)["calibration"]["test_as_fitted"]
    assert f"{found['certain']:.1%} of the faces above 0.999" in caplog.text


def test_one_number_of_components_is_one_row(entry_here):
    settings = ("features=pca", "n_features=5", "mixture.covariance_type=tied")
    _, run = entry_here("classify", *settings, "mixture.n_components=3", "start=random")
    assert list(errors_of(run)) == [3]
    assert gmm.Mixture.load(run / "mixtures.pt").means.shape == (2, 1, 3, 5)
    assert summary_of(run)["features"]["n"] == 5
    assert (run / "features.npz").exists()


def test_classes_of_a_few_factors_are_fitted_to_pixels(entry_here):
    settings = ("mixture.covariance_type=factor", "mixture.n_factors=3", "mixture.max_iter=3")
    error, run = entry_here("classify", *settings, "mixture.n_components=[1,2]")
    assert gmm.Mixture.load(run / "mixtures.pt").covariances.shape == (2, 2, 2, 2304, 4)
    assert 0 <= error <= 1


FACTORS = ("mixture.covariance_type=factor", "features=pca", "n_features=5", "mixture.max_iter=3")


def test_the_validation_faces_choose_factors_and_components(entry_here):
    several = (*FACTORS, "classes=all", "mixture.n_components=[1,2]")
    returned, run = entry_here("classify", *several, "mixture.n_factors=[3,1,2]")
    with (run / "error.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["n_components", *SPLITS, "n_factors"]
    pairs = [(int(row["n_factors"]), int(row["n_components"])) for row in rows]
    assert pairs == [(q, K) for q in (3, 1, 2) for K in (1, 2)]
    val = {pair: float(row["val"]) for pair, row in zip(pairs, rows, strict=True)}
    chosen = min(pairs, key=lambda pair: (val[pair], pair[1], pair[0]))
    assert len(set(val.values())) > 2  # or any rule would do
    assert chosen[0] != 3  # which is the first
    summary = summary_of(run)
    best = summary["best"]
    assert (best["n_factors"], best["n_components"]) == chosen
    assert returned == pytest.approx(min(val.values())) == best["val"]
    assert summary["n_factors"] == [3, 1, 2]
    for (q, K), row in zip(pairs, rows, strict=True):
        told = summary["errors_of_factors"][str(q)][str(K)]
        assert [told[s] for s in SPLITS] == pytest.approx([float(row[s]) for s in SPLITS])
    assert summary["errors"] == summary["errors_of_factors"][str(chosen[0])]
    stored = gmm.Mixture.load(run / "mixtures.pt")
    assert stored.covariances.shape == (7, 2, 2, 5, chosen[0] + 1)
    board = board_of(run)
    for q in (3, 1, 2):
        points = board.Scalars(f"val/error/{q}_factors")
        assert [p.value for p in points] == pytest.approx([val[q, 1], val[q, 2]])


def test_each_of_several_numbers_of_factors_is_the_fit_of_a_run_of_its_own(entry_here):
    settings = (*FACTORS, "mixture.n_components=[1,2]")
    _, several = entry_here("classify", *settings, "mixture.n_factors=[1,3]")
    for q in (1, 3):
        _, alone = entry_here("classify", *settings, f"mixture.n_factors={q}")
        summary = summary_of(alone)
        assert summary["errors"] == summary_of(several)["errors_of_factors"][str(q)]
        assert not {"n_factors", "errors_of_factors"} & set(summary)
        assert (alone / "error.csv").read_text().startswith("n_components,train,val,test\n")
        if q == summary_of(several)["best"]["n_factors"]:
            ours, theirs = (gmm.Mixture.load(r / "mixtures.pt") for r in (several, alone))
            assert torch.equal(ours.covariances, theirs.covariances)


def test_a_figure_has_a_line_for_each_number_of_factors(entry_here, caplog):
    caplog.set_level("INFO")
    settings = (*FACTORS, "mixture.n_components=[1,2]", "mixture.n_factors=[1,2]")
    _, run = entry_here("classify", *settings, figures=True)
    assert {path.stem for path in run.glob("*.png")} == FIGURES
    assert "1, 2 components and 1, 2 factors" in caplog.text
    for K in (1, 2):
        for q in (1, 2):
            assert re.search(rf"^{K} +{q} +0\.", caplog.text, re.MULTILINE)


@pytest.mark.parametrize(("name", "shared"), [("tied", 15), ("diag", 5)])
def test_a_shared_covariance_is_counted_once(entry_here, name, shared):
    settings = ("features=pca", "n_features=5", "mixture.n_components=[1,2]", "classes=all")
    options = (f"mixture.covariance_type={name}", "mixture.share_covariance=true")
    _, run = entry_here("classify", *settings, *options, "mixture.min_variance=0")
    found = gmm.Mixture.load(run / "mixtures.pt").covariances
    of_each = found if name == "tied" else found[:, :, 0]
    assert (of_each == of_each[:1]).all()
    assert not (of_each[0, 0] == of_each[0, 1]).any()
    best = summary_of(run)["best"]
    K = best["n_components"]
    assert best["n_parameters"] == 7 * (K * 5 + K - 1) + 6 + shared


def test_one_component_of_a_shared_covariance_is_linear_discriminant_analysis(
    entry_here, read_faces
):
    settings = ("features=pca", "n_features=5", "mixture.n_components=1", "classes=all")
    options = ("mixture.covariance_type=tied", "mixture.share_covariance=true")
    _, run = entry_here("classify", *settings, *options, "mixture.min_variance=0", "prior=uniform")
    basis = np.load(run / "features.npz")
    points = {s: (read_faces(s)[0] - basis["center"]) @ basis["components"].T for s in SPLITS}
    labels = {s: read_faces(s)[1] for s in SPLITS}
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 7] * 7)
    theirs.fit(points["train"], labels["train"])
    for split, error in errors_of(run)[1].items():
        assert error == pytest.approx(1 - theirs.score(points[split], labels[split]))
    assert summary_of(run)["prior"] == pytest.approx([1 / 7] * 7)


def test_uniform_priors_do_not_ask_how_many_faces_a_class_has(entry_here, smooth_faces, write_csv):
    few = np.flatnonzero((smooth_faces.labels == 3) & (smooth_faces.splits == 0))[:4]
    rest = np.flatnonzero((smooth_faces.labels != 3) | (smooth_faces.splits != 0))
    for name in ("pixels", "labels", "splits"):
        rows = np.append(rest, few)
        object.__setattr__(smooth_faces, name, getattr(smooth_faces, name)[rows])
    write_csv(smooth_faces)
    settings = ("mixture.n_components=2", "mixture.max_iter=1", "prior=uniform")
    _, run = entry_here("classify", *settings)
    assert summary_of(run)["prior"] == pytest.approx([0.5, 0.5])


def test_the_temperature_is_that_of_the_validation_faces(entry_here, read_faces):
    _, run = entry_here("classify", "classes=all", "mixture.n_components=2")
    temperature = summary_of(run)["calibration"]["temperature"]
    losses = {}
    for split in ("val", "test"):
        log_proba, truth = posterior_by_hand(run, read_faces, split, list(range(7)), 0)

        def loss(log_t, log_proba=log_proba, truth=truth):
            scaled = log_proba / np.exp(log_t)
            scaled -= logsumexp(scaled, -1)[:, None]
            return -scaled[np.arange(len(truth)), truth].mean()

        losses[split] = np.exp(minimize_scalar(loss, bounds=(-5, 15), method="bounded").x)
    assert temperature == pytest.approx(losses["val"], rel=1e-3)
    assert temperature != pytest.approx(losses["test"], rel=1e-2)


EXPRESSIONS = "anger, disgust, fear, happy, sad, surprise, neutral"
CLASS_RULE = f"classes must be all, or a list of at least two different ones of {EXPRESSIONS}"
MISTAKES = {
    "classes=[anger,joy]": f"{CLASS_RULE}, got ['anger', 'joy']",
    "classes=anger": f"{CLASS_RULE}, got ['anger']",
    "classes=[sad,sad]": f"{CLASS_RULE}, got ['sad', 'sad']",
    "classes=[[sad],anger]": f"{CLASS_RULE}, got [['sad'], 'anger']",
    "start=both": "start must be one of random, kmeans, k-means++, random_from_data, got 'both'",
    "mixture.n_components=[]": (
        "mixture.n_components must be one number or several that differ, got []"
    ),
    "mixture.n_components=[2,2]": (
        "mixture.n_components must be one number or several that differ, got [2, 2]"
    ),
    "mixture.n_components=[2,13]": (
        "mixture.n_components must be at most the number of training faces of anger (12), got 13"
    ),
    "mixture.n_components=[2,a]": (
        "mixture.n_components must be an integer of at least 1, got 'a'"
    ),
    "mixture.n_factors=[2,3]": (
        "mixture.n_factors must be one number for diag, which has none, got [2, 3]"
    ),
    "prior=equal": "prior must be one of counts, uniform, got 'equal'",
    "mixture.share_covariance=1": "mixture.share_covariance must be true or false, got 1",
}
TOGETHER = {
    ("mixture.n_factors=[2,2]", "mixture.covariance_type=factor"): (
        "mixture.n_factors must be one number or several that differ, got [2, 2]"
    ),
    ("mixture.n_factors=[2,6]", "mixture.covariance_type=ppca", "features=pca", "n_features=5"): (
        "mixture.n_factors must be an integer from 0 to 5, got 6"
    ),
    ("mixture.share_covariance=true", "mixture.covariance_type=full"): (
        "mixture.covariance_type must be one of diag, spherical, tied where share_covariance is "
        "true, got 'full'"
    ),
}


@pytest.mark.parametrize("overrides", TOGETHER)
def test_settings_that_do_not_go_together_are_named(entry_here, overrides):
    with pytest.raises(InputError, match=f"^{re.escape(TOGETHER[overrides])}$"):
        entry_here("classify", *overrides)


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_names_the_setting_and_leaves_nothing(entry_here, tmp_path, override):
    with pytest.raises(InputError, match=f"^{re.escape(MISTAKES[override])}$"):
        entry_here("classify", override)
    assert not any((tmp_path / "run0").iterdir())


@pytest.mark.parametrize(
    ("split", "line"),
    [
        (0, "classes must have training faces of each, got none of happy"),
        (1, "the val split must have faces of anger, happy, got none"),
    ],
)
def test_expressions_without_faces_are_a_mistake(entry_here, smooth_faces, write_csv, split, line):
    gone = (3,) if split == 0 else (0, 3)
    smooth_faces.labels[np.isin(smooth_faces.labels, gone) & (smooth_faces.splits == split)] = 1
    write_csv(smooth_faces)
    with pytest.raises(InputError, match=f"^{line}$"):
        entry_here("classify", "mixture.n_components=2")


def test_mixtures_without_a_density_say_what_helps(entry_here):
    settings = ("mixture.min_variance=0", "mixture.n_components=12", "features=pca", "n_features=5")
    with pytest.raises(InputError, match=r"^2 of 2 mixtures lost a covariance; raise mixture\."):
        entry_here("classify", *settings, "start=random_from_data", "mixture.rand_const=null")


def test_a_mistake_in_the_shell_is_one_line(shell, tmp_path, face_settings):
    run = tmp_path / "run"
    done = shell("gmm.classify", *face_settings, "classes=[joy]", f"hydra.run.dir={run}", new=True)
    assert done.returncode == 1
    assert done.stderr == f"{CLASS_RULE}, got ['joy']\n"
    assert {path.name for path in run.iterdir()} == {".hydra", "classify.log"}


def test_help_shows_settings_and_examples(shell):
    shown = shell("gmm.classify", "--help")
    assert shown.returncode == 0
    assert len(re.findall(r"^ *python -m gmm\.classify", shown.stdout, re.MULTILINE)) == 7
    assert "rand_const: 1.0" in shown.stdout


def test_the_prior_weighs_the_densities():
    x = blobs(20, 2)
    given = [[parameters(x, 3, "diag", seed=2 * c + k) for k in range(2)] for c in range(3)]
    stacked = {
        name: np.stack([[p[name] for p in of_class] for of_class in given]) for name in given[0][0]
    }
    prior = np.array([0.7, 0.2, 0.1])
    fitted = ClassMixtures(mixture_of(stacked, "diag"), torch.from_numpy(prior).log(), 0)
    found = fitted.log_proba(torch.from_numpy(x)).exp().numpy()
    for k in range(2):
        density = [np.exp(scipy_log_joint(x, given[c][k], "diag")).sum(-1) for c in range(3)]
        joint = prior * np.stack(density, -1)
        np.testing.assert_allclose(found[k], joint / joint.sum(-1, keepdims=True), rtol=1e-6)
