import numpy as np
import pytest
import torch
from mixtures_at_random import mixture_batch, plane, with_unused_slot
from oracles import STRUCTURES, matrices

import gmm

BATCHES = [(), (1,), (2, 3)]


def points(n: int, D: int) -> torch.Tensor:
    noise = torch.randn(n, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 5 + 3 * noise


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("batch", BATCHES)
def test_a_density_is_that_of_some_features_times_that_of_the_rest_given_them(name, batch):
    mixture, x = with_unused_slot(mixture_batch(name, batch, D=4)), points(6, 4)
    given, rest = [2, -4], [1, 3]
    some = mixture.marginal(given).score_samples(x[:, given])
    conditional = mixture.condition(given, x[:, given])
    assert conditional.batch_shape == (*batch, 6)
    assert conditional.covariance_type == name
    own_row = x[:, rest].expand(*batch, 6, 2).unsqueeze(-2)
    others = conditional.score_samples(own_row).squeeze(-1)
    torch.testing.assert_close(some + others, mixture.score_samples(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_marginal_is_the_integral_over_the_other_feature(name):
    mixture, (grid, area) = mixture_batch(name), plane()
    density = mixture.score_samples(grid).exp().view(400, 400)
    line = grid[:400, 1:]
    for kept, integrated in ((0, 1), (1, 0)):
        expected = density.sum(integrated) * area**0.5
        found = mixture.marginal([kept]).score_samples(line).exp()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_conditional_is_the_joint_density_along_a_line_made_to_add_up_to_one(name):
    mixture, (grid, area) = mixture_batch(name), plane()
    rows = grid.view(400, 400, 2)
    for i in (180, 200, 215):
        along = mixture.score_samples(rows[i]).exp()
        expected = along / (along.sum() * area**0.5)
        found = mixture.condition([0], rows[i, 0, :1]).score_samples(rows[i, :, 1:]).exp()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_components_are_conditioned_by_the_formula_with_inverses(name):
    mixture, value, a, b = mixture_batch(name, D=4), points(1, 4)[0], [3, 0], [1, 2]
    found = mixture.condition(a, value[a])
    covariances = matrices(mixture.covariances.numpy(), name, 3, 4)
    of_found = matrices(found.covariances.numpy(), name, 3, 2)
    for k, (mean, C) in enumerate(zip(mixture.means.numpy(), covariances, strict=True)):
        gain = C[np.ix_(b, a)] @ np.linalg.inv(C[np.ix_(a, a)])
        np.testing.assert_allclose(found.means[k], mean[b] + gain @ (value.numpy()[a] - mean[a]))
        np.testing.assert_allclose(
            of_found[k], C[np.ix_(b, b)] - gain @ C[np.ix_(a, b)], atol=1e-12
        )


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("many", [(), (1,), (2, 2)])
def test_a_batch_of_conditions_equals_one_after_the_other(name, batch, many):
    mixtures = with_unused_slot(mixture_batch(name, batch, D=3))
    values = points(int(np.prod(many)), 2).reshape(*many, 2)
    together = mixtures.condition([0, 2], values)
    assert together.batch_shape == (*batch, *many)
    for at in np.ndindex(*batch):
        for row in np.ndindex(*many):
            alone = mixtures[at].condition([0, 2], values[row])
            for one, other in zip(together[(*at, *row)].tensors(), alone.tensors(), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_marginal_keeps_the_order_of_its_features(name):
    mixture, x = mixture_batch(name, (2,), D=4), points(5, 4)
    turned = mixture.marginal([3, 1, 0, 2])
    torch.testing.assert_close(turned.score_samples(x[:, [3, 1, 0, 2]]), mixture.score_samples(x))
    assert torch.equal(mixture.marginal([-1, 0]).means, mixture.means[..., [3, 0]])
    assert torch.equal(mixture.marginal(range(2)).weights, mixture.weights)


@pytest.mark.parametrize("name", STRUCTURES)
def test_slots_that_are_unused_stay_so(name):
    mixture = mixture_batch(name, D=3)
    padded = with_unused_slot(mixture, torch.nan).condition([1], torch.tensor([[4.0], [6.0]]))
    assert padded.n_components.tolist() == [3, 3]
    expected = mixture.condition([1], torch.tensor([[4.0], [6.0]]))
    assert torch.equal(padded.weights[:, :3], expected.weights)
    assert padded.means.isfinite().all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_values_far_from_every_component_leave_the_nearest(name):
    means = torch.tensor([[0.0, 0], [1, 1], [2, 2]], dtype=torch.float64)
    covariances = {
        "diag": torch.ones(3, 2),
        "spherical": torch.ones(3),
        "tied": torch.eye(2),
        "full": torch.eye(2).expand(3, 2, 2),
    }[name].double()
    thirds = torch.full((3,), 1 / 3, dtype=torch.float64).log()
    mixture = gmm.Mixture(thirds, means, covariances, name)
    assert mixture.condition([0], torch.tensor([1e4])).weights.tolist() == [0, 0, 1]
    # one unit apart, x^2 / 2 differs by 100 - 1 / 2 and 100 - 3 / 2 at a distance of 100
    log_weights = mixture.condition([0], torch.tensor([-100.0])).log_weights
    torch.testing.assert_close(log_weights.diff(), torch.tensor([-100.5, -101.5]).double())


def test_float32_is_what_float64_is_to_its_digits():
    mixture = mixture_batch("full", (2,), D=5)
    values = points(3, 2)
    single = mixture.to(torch.float32).condition([1, 4], values.float())
    assert {t.dtype for t in single.tensors()} == {torch.float32}
    for one, other in zip(
        single.tensors(), mixture.condition([1, 4], values).tensors(), strict=True
    ):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STRUCTURES)
def test_conditionals_can_be_differentiated_by_values_and_parameters(name):
    padded = with_unused_slot(mixture_batch(name, D=3), torch.nan)
    parts = [t.clone().requires_grad_() for t in mixture_batch(name, D=3).tensors()]
    values = points(2, 1).requires_grad_()

    def mean(log_weights, means, covariances, values):
        if name in ("tied", "full"):  # finite differences leave the symmetric matrices
            covariances = (covariances + covariances.mT) / 2
        return gmm.Mixture(log_weights, means, covariances, name).condition([1], values).mean

    assert torch.autograd.gradcheck(mean, (*parts, values))
    padded.condition([1], values).mean.sum().backward()
    assert values.grad.isfinite().all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_conditionals_are_saved_as_other_mixtures_are(name, tmp_path):
    mixture = mixture_batch(name, D=3).condition([0], points(4, 1))
    mixture.save(tmp_path / "model.pt")
    again = gmm.Mixture.load(tmp_path / "model.pt")
    assert all(map(torch.equal, again.tensors(), mixture.tensors()))


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ([], "dims must name at least one feature, got none"),
        ([0, 3], r"dims must be from -3 to 2, got \[0, 3\]"),
        ([-4], r"dims must be from -3 to 2, got \[-4\]"),
        ([1, -2], r"dims must name no feature twice, got \[1, -2\]"),
    ],
)
def test_features_that_are_none_are_refused(dims, message):
    mixture = mixture_batch("full", D=3)
    with pytest.raises(ValueError, match=message):
        mixture.marginal(dims)
    with pytest.raises(ValueError, match=message):
        mixture.condition(dims, torch.zeros(len(dims)))


def test_values_that_no_feature_can_have_are_refused():
    mixture = mixture_batch("diag", D=3)
    with pytest.raises(ValueError, match=r"values must have shape \(..., 2\).*, got \(3,\)"):
        mixture.condition([0, 1], torch.zeros(3))
    with pytest.raises(ValueError, match=r"values must have shape \(..., 1\).*, got \(\)"):
        mixture.condition([0], torch.tensor(1.0))
    with pytest.raises(ValueError, match="values must be finite, got NaN or infinity"):
        mixture.condition([0], torch.tensor([torch.nan]))
    with pytest.raises(ValueError, match="dims must leave at least one feature, got all 3"):
        mixture.condition([0, 1, 2], torch.zeros(3))


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_covariance_that_is_none_is_named(name):
    mixture = mixture_batch(name, (2, 2))
    mixture.covariances[1, 0] *= -1
    with pytest.raises(ValueError, match=r"of component 0 in mixture \(1, 0\) is not positive def"):
        mixture.condition([0], torch.zeros(1))
