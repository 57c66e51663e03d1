import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from oracles import STRUCTURES, blobs
from sklearn.mixture import GaussianMixture

import gmm
from gmm import kernels

NUMBERS = (1, 2, 3, 5)


def generator():
    return torch.Generator().manual_seed(0)


def clouds(n=60, D=2):
    """Return three clouds of points far from each other."""
    middles = torch.tensor([0.0, 20, 40], dtype=torch.float64).view(3, 1, 1)
    noise = torch.randn(3, n, D, dtype=torch.float64, generator=generator())
    return (noise + middles).flatten(0, 1)


def sklearn_model(mixture):
    """Return scikit-learn's model with the same parameters, from its own code alone."""
    model = GaussianMixture(len(mixture.log_weights), covariance_type=mixture.covariance_type)
    model.weights_, model.means_ = mixture.weights.numpy(), mixture.means.numpy()
    model.covariances_ = mixture.covariances.numpy()
    inverse = mixture.structure.inverse(mixture.covariances).numpy()
    matrix = mixture.covariance_type in ("full", "tied")
    roots = np.linalg.cholesky(inverse) if matrix else np.sqrt(inverse)
    model.precisions_cholesky_ = roots
    return model


@pytest.mark.parametrize("devices", [("cpu",), ()], ids=["kernels", "blocks"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_criteria_are_those_of_scikit_learn_for_the_final_parameters(name, devices, monkeypatch):
    monkeypatch.setattr(kernels, "DEVICES", devices)
    x = torch.from_numpy(blobs(150, 2))
    # After a few steps a log-likelihood of the step before would still be far off.
    choice = gmm.choose(
        x,
        NUMBERS,
        covariance_type=name,
        n_init=2,
        max_iter=4,
        tol=0,
        generator=generator(),
        reg_covar=1e-6,
    )
    for j in range(len(NUMBERS)):
        model = sklearn_model(choice.mixtures[0][j])
        resp = model.predict_proba(x.numpy())
        entropy = -(resp * np.log(np.where(resp > 0, resp, 1))).sum()
        assert choice.log_likelihood[0, j] == pytest.approx(model.score(x.numpy()), rel=1e-9)
        assert choice.bic[0, j] == pytest.approx(model.bic(x.numpy()), rel=1e-9)
        assert choice.aic[0, j] == pytest.approx(model.aic(x.numpy()), rel=1e-9)
        assert choice.icl[0, j] == pytest.approx(model.bic(x.numpy()) + 2 * entropy, rel=1e-9)


@pytest.mark.parametrize("criterion", ["bic", "icl", "held_out"])
def test_three_clouds_are_three_components(criterion):
    choice = gmm.choose(
        clouds(), [1, 2, 3], criterion=criterion, n_init=5, n_folds=3, generator=generator()
    )
    assert choice.n_components == 3
    assert choice.chosen_by(criterion) == ("diag", 3)
    middles = choice.mixture.means.mean(-1).sort().values
    torch.testing.assert_close(middles, torch.tensor([0.0, 20, 40]).double(), atol=0.5, rtol=0)


def test_icl_prefers_fewer_components_that_overlap():
    x = torch.randn(400, 1, generator=generator(), dtype=torch.float64)
    x[:200] += 2.6
    choice = gmm.choose(x, [1, 2, 3], n_init=5, max_iter=500, tol=1e-6, generator=generator())
    assert (choice.icl >= choice.bic).all()
    assert choice.icl[0, 0] == choice.bic[0, 0]  # of one component every point is certain
    assert choice.chosen_by("aic")[1] == 2
    assert choice.chosen_by("icl")[1] == 1


@pytest.mark.parametrize("options", [{"held_out": 0.25}, {"n_folds": 4}])
def test_held_out_points_are_judged_by_the_mixture_that_has_not_seen_them(options):
    x = torch.from_numpy(blobs(103, 2))  # folds of different sizes
    one = gmm.choose(x, [1], covariance_type="full", generator=generator(), **options)
    order = torch.randperm(len(x), generator=generator()).numpy()
    n = options.get("n_folds")
    parts = np.array_split(order, n) if n else [order[: round(0.25 * len(x))]]
    values = []
    for part in parts:
        rest = np.delete(x.numpy(), part, axis=0)
        mean, cov = rest.mean(0), np.cov(rest.T, bias=True)
        off = x.numpy()[part] - mean
        distance = np.einsum("nd,de,ne->n", off, np.linalg.inv(cov), off)
        values.append(-0.5 * (distance + np.log(np.linalg.det(2 * math.pi * cov))))
    values = np.concatenate(values)
    assert one.held_out.item() == pytest.approx(values.mean(), rel=1e-9)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert one.held_out_error.item() == pytest.approx(error, rel=1e-9)


def test_all_mixtures_of_a_structure_are_one_call(monkeypatch):
    from gmm.choosing import choose

    calls = []

    def counted(data, *args, **kwargs):
        calls.append((len(data), *args, kwargs["covariance_type"]))
        return gmm.fit_many(data, *args, **kwargs)

    monkeypatch.setattr(choose, "fit_many", counted)
    gmm.choose(clouds(), [1, 2], covariance_type=["tied", "diag"], n_init=3, n_folds=4)
    assert calls == [(5, (1, 2), "tied"), (5, (1, 2), "diag")]


def test_the_best_structure_is_chosen_with_the_number():
    noise = torch.randn(2, 200, 2, generator=generator(), dtype=torch.float64)
    noise[..., 1] = 0.95 * noise[..., 0] + 0.1 * noise[..., 1]
    x = (noise + torch.tensor([0.0, 9], dtype=torch.float64).view(2, 1, 1)).flatten(0, 1)
    choice = gmm.choose(
        x, [1, 2, 3], covariance_type=["spherical", "tied"], n_init=5, generator=generator()
    )
    assert (choice.covariance_type, choice.n_components) == ("tied", 2)
    assert choice.mixture.covariances.shape == (2, 2)
    chosen = [row for row in choice.table() if row["chosen"]]
    assert len(choice.table()) == 6
    assert [(row["covariance_type"], row["n_components"]) for row in chosen] == [("tied", 2)]
    assert chosen[0]["bic"] == choice.bic.min()


def test_a_mixture_that_breaks_down_is_not_chosen():
    # Two places: with two components every variance is 0.
    x = torch.tensor([[0.0], [1.0]]).repeat(10, 1)
    choice = gmm.choose(x, [1, 2], held_out=None, n_init=3, generator=generator())
    assert choice.n_components == 1
    assert choice.log_likelihood[0].tolist()[1] == -math.inf
    assert choice.bic[0].tolist()[1] == math.inf
    with pytest.raises(ValueError, match="every mixture broke down; raise reg_covar"):
        gmm.choose(x, [2], held_out=None, n_init=3, generator=generator())


def test_without_held_out_points_their_columns_are_empty():
    choice = gmm.choose(clouds(), [1, 2], held_out=None, generator=generator())
    assert choice.held_out.isnan().all()
    assert choice.held_out_error.isnan().all()
    with pytest.raises(ValueError, match="criterion must be another"):
        choice.chosen_by("held_out")


def test_float32_points_give_float32_mixtures():
    choice = gmm.choose(clouds().float(), [2, 3], n_init=3, generator=generator())
    assert choice.mixture.means.dtype == torch.float32
    assert choice.n_components == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": []}, "n_components must name at least one"),
        ({"n_components": [2, 2]}, "none twice"),
        ({"covariance_type": []}, "covariance_type must name at least one"),
        ({"covariance_type": ["diag", "round"]}, "covariance_type must be one of"),
        ({"criterion": "aicc"}, "criterion must be one of .*'aicc'"),
        ({"held_out": 1.0}, "held_out must be a share"),
        ({"held_out": 0.001}, "held_out must be a share"),
        ({"n_folds": 1}, "n_folds must be from 2"),
        ({"n_folds": 91}, "n_folds must be from 2"),
        ({"criterion": "held_out", "held_out": None}, "held_out must not be None"),
        ({"x": torch.zeros(3)}, r"x must be \(N, D\)"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gmm.choose(**{"x": clouds(), "n_components": [1, 2], **options})


def test_the_figure_shows_every_criterion_per_point_and_marks_the_choice(tmp_path):
    choice = gmm.choose(clouds(), [1, 2, 3], n_init=5, generator=generator())
    axes = Figure().subplots()
    choice.plot(axes)
    points = {c.get_label(): c.lines[0].get_xydata() for c in axes.containers}
    assert set(points) == {"BIC", "AIC", "ICL", "held-out points ± s.e.", "points of the fit"}
    np.testing.assert_allclose(points["BIC"], np.c_[1:4, choice.bic[0] / 180])
    np.testing.assert_allclose(points["held-out points ± s.e."][:, 1], -2 * choice.held_out[0])
    assert "K = 3, chosen by BIC" in axes.get_title(loc="right")
    ring = next(line for line in axes.lines if line.get_fillstyle() == "none")
    np.testing.assert_allclose(ring.get_xydata(), [[3, choice.bic[0, 2] / 180]])
    choice.plot(tmp_path / "choice.png")
    assert (tmp_path / "choice.png").read_bytes().startswith(b"\x89PNG")


def test_several_structures_want_as_many_axes():
    choice = gmm.choose(clouds(), [1, 2], covariance_type=["diag", "full"], generator=generator())
    panels = Figure().subplots(1, 2)
    choice.plot(panels)
    marked = [bool(axes.get_title(loc="right")) for axes in panels]
    assert marked == [kind == choice.covariance_type for kind in ("diag", "full")]
    with pytest.raises(ValueError, match="axes must be 2, one for each structure, got 1"):
        choice.plot(panels[0])
