import csv
import json
import re

import numpy as np
import pytest
import sklearn.metrics
import torch
from oracles import board_of, diagonal_log_joint
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import gmm
from fer_lightning.errors import InputError
from gmm.faces.clustering import near_end

FIGURES = {
    "means", "variances", "mixing", "log_likelihood", "typical", "samples", "clusters",
}  # fmt: skip
QUICK = ("features=pca", "n_features=5")


def rows_of(folder):
    with (folder / "log_likelihood.csv").open() as file:
        return list(csv.DictReader(file))


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_run_leaves_everything_in_its_folder(entry_here, capsys):
    returned, run = entry_here(
        "cluster", "mixture.n_components=5", "mixture.max_iter=4", figures=True
    )
    names = {path.name.split(".tfevents")[0] for path in run.iterdir()}
    files = {"mixture.pt", "log_likelihood.csv", "summary.json", "events.out"}
    assert names == files | {f"{name}.png" for name in FIGURES}
    rows = rows_of(run)
    assert list(rows[0]) == ["start", "restart", "iteration", "log_likelihood"]
    keys = [(row["start"], row["restart"], int(row["iteration"])) for row in rows]
    assert keys == [(start, "1", i) for start in ("random", "kmeans") for i in range(1, 5)]
    printed = capsys.readouterr().err
    for i in range(4):
        shown = (f"{float(rows[i + at]['log_likelihood']):,.1f}" for at in (0, 4))
        assert "iteration {:3d}  random {}  kmeans {}".format(i + 1, *shown) in printed
    summary = summary_of(run)
    assert returned == pytest.approx(summary["model"]["log_likelihood"]["val"] / 35)
    assert summary["model"]["weights"] == pytest.approx(
        gmm.Mixture.load(run / "mixture.pt").weights.tolist()
    )
    assert summary["overrides"] == ["mixture.n_components=5", "mixture.max_iter=4"]
    assert (summary["data"]["train"], summary["seed"], summary["device"]) == (84, 0, "cpu")
    board = board_of(run)
    assert set(board.Tags()["images"]) == FIGURES
    for start, at in (("random", 0), ("kmeans", 4)):
        points = board.Scalars(f"log_likelihood/{start}")
        assert [p.step for p in points] == [1, 2, 3, 4]
        expected = [float(row["log_likelihood"]) for row in rows[at : at + 4]]
        np.testing.assert_allclose([p.value for p in points], expected, rtol=1e-6)


def test_log_likelihoods_are_sums_over_the_faces_before_each_m_step(entry_here, read_faces):
    settings = ("mixture.n_components=4", "start=kmeans")
    _, shorter = entry_here("cluster", *settings, "mixture.max_iter=1")
    _, longer = entry_here("cluster", *settings, "mixture.max_iter=2")
    mixture = gmm.Mixture.load(shorter / "mixture.pt")
    by_hand = {
        split: logsumexp(diagonal_log_joint(read_faces(split)[0], mixture), -1).sum()
        for split in ("train", "val", "test")
    }
    assert summary_of(shorter)["model"]["log_likelihood"] == pytest.approx(by_hand, rel=1e-5)
    before, after = (float(row["log_likelihood"]) for row in rows_of(longer))
    assert after == pytest.approx(by_hand["train"], rel=1e-5)
    assert abs(after - before) > 1e-3 * abs(after)  # or the step would not tell
    n_parameters = 4 * 2 * 2304 + 3
    criteria = summary_of(shorter)["model"]
    bic = n_parameters * np.log(84) - 2 * by_hand["train"]
    assert criteria["bic"] == pytest.approx(bic, rel=1e-5)
    assert criteria["aic"] == pytest.approx(2 * (n_parameters - by_hand["train"]), rel=1e-5)


def test_both_starts_are_the_single_ones_side_by_side(entry_here):
    settings = ("mixture.n_init=2", "mixture.max_iter=3", *QUICK)
    both, random, kmeans = (
        rows_of(entry_here("cluster", f"start={start}", *settings)[1])
        for start in ("both", "random", "kmeans")
    )
    assert [{**row, "log_likelihood": ""} for row in both] == [
        {**row, "log_likelihood": ""} for row in random + kmeans
    ]
    values = [[float(row["log_likelihood"]) for row in rows] for rows in (both, random + kmeans)]
    np.testing.assert_allclose(*values, rtol=1e-6)


def test_the_best_restart_of_the_best_start_is_saved(entry_here):
    _, run = entry_here("cluster", "mixture.n_init=4", "mixture.max_iter=3", "seed=5", *QUICK)
    summary = summary_of(run)
    ends = {
        (row["start"], int(row["restart"])): float(row["log_likelihood"])
        for row in rows_of(run)
        if row["iteration"] == "3"
    }
    assert len(ends) == 8
    start, restart = max(ends, key=ends.get)
    assert (summary["model"]["start"], summary["model"]["restart"]) == (start, restart)
    for name, facts in summary["log_likelihood"].items():
        of_start = {r: end for (s, r), end in ends.items() if s == name}
        assert facts["best_restart"] == max(of_start, key=of_start.get)
        assert facts["last"] == pytest.approx(max(of_start.values()))
    assert summary["model"]["log_likelihood"]["train"] > ends[start, restart]


def test_clusters_are_counted_against_expressions(entry_here, read_faces):
    _, run = entry_here("cluster", "mixture.n_components=6", "mixture.max_iter=5")
    x, labels = read_faces("train")
    answers = diagonal_log_joint(x, gmm.Mixture.load(run / "mixture.pt")).argmax(-1)
    clusters = summary_of(run)["clusters"]
    for c, counts in enumerate(clusters["counts"].values()):
        assert counts == [int(((answers == k) & (labels == c)).sum()) for k in range(6)]
    frequent = sum(np.bincount(labels[answers == k], minlength=7).max() for k in range(6))
    assert clusters["purity"] == pytest.approx(frequent / 84)
    expected = sklearn.metrics.adjusted_rand_score(labels, answers)
    assert clusters["adjusted_rand"] == pytest.approx(expected)
    assert clusters["largest_class"] == pytest.approx(1 / 7)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_mixtures_of_principal_components_can_be_read_back(entry_here, read_faces, covariance_type):
    settings = ("features=pca", "n_features=6", "mixture.n_components=2")
    _, run = entry_here("cluster", *settings, f"mixture.covariance_type={covariance_type}")
    mixture = gmm.Mixture.load(run / "mixture.pt")
    assert mixture.means.shape == (2, 6)
    with np.load(run / "features.npz", allow_pickle=False) as basis:
        center, components = basis["center"], basis["components"]
    for split in ("train", "val", "test"):
        scores = (read_faces(split)[0] - center) @ components.T
        covariances = mixture.covariances.double().expand(2, 6, 6).numpy()
        parts = zip(mixture.weights, mixture.means, covariances, strict=True)
        joint = [
            np.log(float(w)) + multivariate_normal(m.numpy(), c).logpdf(scores) for w, m, c in parts
        ]
        expected = logsumexp(joint, 0).sum()
        saved = summary_of(run)["model"]["log_likelihood"][split]
        assert saved == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("start", ["k-means++", "random_from_data"])
@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_other_starts_and_structures_run(entry_here, start, covariance_type):
    settings = (f"mixture.covariance_type={covariance_type}", "mixture.max_iter=2")
    value, run = entry_here("cluster", f"start={start}", *settings, "mixture.rand_const=null")
    assert np.isfinite(value)
    assert {row["start"] for row in rows_of(run)} == {start}


@pytest.mark.parametrize("features", ["pixels", "pca"])
@pytest.mark.parametrize("covariance_type", ["factor", "ppca"])
def test_mixtures_of_factors_run_with_their_figures(entry_here, features, covariance_type):
    settings = (f"features={features}", "n_features=6", "mixture.n_factors=4")
    mixture = (f"mixture.covariance_type={covariance_type}", "mixture.max_iter=2")
    value, run = entry_here("cluster", *settings, *mixture, figures=features == "pca")
    mixture = gmm.Mixture.load(run / "mixture.pt")
    assert mixture.covariance_type == covariance_type
    assert mixture.covariances.shape[1:] == (2304 if features == "pixels" else 6, 5)
    assert np.isfinite(value)


def test_a_fit_that_has_converged_has_no_rows_after_its_end(entry_here):
    _, run = entry_here("cluster", "mixture.tol=0.01", "mixture.max_iter=200", *QUICK)
    for name, facts in summary_of(run)["log_likelihood"].items():
        assert facts["converged"]
        restart = str(facts["best_restart"])
        rows = [r for r in rows_of(run) if (r["start"], r["restart"]) == (name, restart)]
        assert len(rows) == facts["iterations"] < 200
        values = [float(row["log_likelihood"]) for row in rows]
        assert (values[0], values[-1]) == pytest.approx((facts["first"], facts["last"]))


@pytest.mark.parametrize(
    ("curve", "iteration"),
    [([0.0, 998.9, 999.1, 1000.0], 3), ([-2000.0, -1000.9, -1000.0], 2), ([5.0], 1), ([], None)],
)
def test_near_the_end_is_within_a_thousandth_of_it(curve, iteration):
    assert near_end(torch.tensor(curve)) == iteration


MISTAKES = {
    "data.contrast=equalise": (
        "data.contrast must be left out for mixtures, which ignore it, got 'equalise'"
    ),
    "data.balanced=true": "data.balanced must be left out for mixtures, which ignore it, got True",
    "mixture.n_components=0": "mixture.n_components must be an integer of at least 1, got 0",
    "mixture.n_components=85": "mixture.n_components must be an integer from 1 to 84, got 85",
    "mixture.n_components=[2,3]": (
        "mixture.n_components must be an integer of at least 1, got [2, 3]"
    ),
    "mixture.covariance_type=round": (
        "mixture.covariance_type must be one of diag, spherical, tied, full, factor, ppca, "
        "got 'round'"
    ),
    "mixture.n_factors=-1": "mixture.n_factors must be an integer of at least 0, got -1",
    "mixture.n_factors=[2,3]": (
        "mixture.n_factors must be one number for diag, which has none, got [2, 3]"
    ),
    "+mixture.share_covariance=true": (
        "mixture.share_covariance must be false, as there are no classes, got True"
    ),
    "mixture.max_iter=0": "mixture.max_iter must be an integer of at least 1, got 0",
    "mixture.n_init=x": "mixture.n_init must be an integer of at least 1, got 'x'",
    "mixture.tol=-1": "mixture.tol must be a number of at least 0, got -1",
    "mixture.min_variance=nan": "mixture.min_variance must be a number of at least 0, got nan",
    "mixture.rand_const=0": "mixture.rand_const must be a number above 0, got 0",
    "mixture.lloyd_iter=-1": "mixture.lloyd_iter must be an integer of at least 0, got -1",
    "mixture.chunk_size=0": "mixture.chunk_size must be an integer of at least 1, got 0",
    "+mixture.colour=red": "mixture.colour must be a setting that exists, got an unknown key",
    "start=warm": (
        "start must be one of both, random, kmeans, k-means++, random_from_data, got 'warm'"
    ),
    "device=abacus": "device must be auto, cpu, or a CUDA device that is here, got 'abacus'",
    "device=cuda:99": "device must be auto, cpu, or a CUDA device that is here, got 'cuda:99'",
    "device=meta": "device must be auto, cpu, or a CUDA device that is here, got 'meta'",
    "features=sift": "features must be one of pixels, pca, got 'sift'",
    "seed=-1": "seed must be an integer from 0 to 4294967295, got -1",
    "data.path=gone.csv": "no such file or folder: gone.csv",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_names_the_setting_and_leaves_nothing(entry_here, tmp_path, override):
    with pytest.raises(InputError, match=f"^{re.escape(MISTAKES[override])}$"):
        entry_here("cluster", override)
    assert not any((tmp_path / "run0").iterdir())


def test_more_principal_components_than_faces_are_a_mistake(entry_here):
    with pytest.raises(InputError, match=r"^n_features must be an integer from 1 to 84, got 85$"):
        entry_here("cluster", "features=pca", "n_features=85")


@pytest.mark.parametrize("entry", ["cluster", "classify"])
def test_more_factors_than_features_are_a_mistake(entry_here, entry):
    with pytest.raises(
        InputError, match=r"^mixture\.n_factors must be an integer from 0 to 5, got 6"
    ):
        entry_here(entry, *QUICK, "mixture.covariance_type=ppca", "mixture.n_factors=6")


def test_mixtures_without_a_density_say_what_helps(entry_here, tmp_path):
    remedy = r"raise mixture\.reg_covar \(now 0\) or mixture\.min_variance \(now 0\)$"
    settings = ("mixture.min_variance=0", "mixture.n_components=40", *QUICK)
    with pytest.raises(InputError, match=f"^every restart lost a covariance; {remedy}"):
        entry_here("cluster", *settings, "start=random_from_data", "mixture.rand_const=null")
    assert not any((tmp_path / "run0").iterdir())


def test_a_sweep_fits_every_combination(shell, tmp_path, face_settings):
    sweep = tmp_path / "sweep"
    settings = ["mixture.n_components=2,0,3", "start=random,kmeans", "mixture.max_iter=2"]
    done = shell(
        *("gmm.cluster", "-m", *face_settings, *settings, f"hydra.sweep.dir={sweep}"), new=True
    )
    assert done.returncode == 1
    assert done.stderr.count("failed: mixture.n_components must be an integer") == 2
    found = [summary_of(path.parent) for path in sorted(sweep.glob("*/summary.json"))]
    kinds = {(len(s["model"]["weights"]), s["model"]["start"]) for s in found}
    assert kinds == {(2, "random"), (2, "kmeans"), (3, "random"), (3, "kmeans")}
    with (sweep / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    shown = [(row["mixture.n_components"], row["start"], row["status"]) for row in rows]
    expected = [("2", "done"), ("0", "failed"), ("3", "done")]
    assert shown == [(n, start, end) for n, end in expected for start in ("random", "kmeans")]
    told = [float(row["val_log_likelihood"]) for row in rows if row["status"] == "done"]
    assert told == [s["model"]["log_likelihood"]["val"] for s in found]
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_mistake_in_the_shell_is_one_line(shell, tmp_path, face_settings):
    run = tmp_path / "run"
    done = shell("gmm.cluster", *face_settings, "mixture.tol=-1", f"hydra.run.dir={run}")
    assert done.returncode == 1
    assert done.stderr == "mixture.tol must be a number of at least 0, got -1\n"
    assert {path.name for path in run.iterdir()} == {".hydra", "cluster.log"}


def test_an_unknown_setting_is_compared_with_those_of_the_command(shell):
    done = shell("gmm.cluster", "mixture.n_component=3")
    assert done.returncode == 1
    expected = "got an unknown key; did you mean mixture.n_components?\n"
    assert done.stderr == f"mixture.n_component must be a setting that exists, {expected}"


def test_help_shows_settings_and_examples(shell):
    shown = shell("gmm.cluster", "--help")
    assert shown.returncode == 0
    assert len(re.findall(r"^ *python -m gmm\.cluster", shown.stdout, re.MULTILINE)) == 5
    assert "covariance_type: diag" in shown.stdout
