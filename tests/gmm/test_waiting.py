"""That a step of EM waits for no GPU, seen on PyTorch's meta device."""

import pytest
import torch

import gmm
from gmm import kernels
from gmm.fitting.em_state import EMState
from gmm.points import Points
from tests.on_meta import NoTransfers, on_meta


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch):
    """Take the steps of a GPU on the CPU, too."""
    monkeypatch.setattr(kernels, "DEVICES", ())


SHAPES = {"diag": (3, 5), "spherical": (3,), "tied": (5, 5), "full": (3, 5, 5)}


def state(name: str, n_features: int, dtype: torch.dtype) -> EMState:
    """EM on two data sets of two mixtures each, one of which has a component less."""
    on_diagonal = name in ("diag", "spherical")
    data = [torch.randn(n, n_features, dtype=dtype) for n in (50, 70)]
    points = Points(data, chunk_size=40, wide=on_diagonal)
    shape = tuple(n_features if n == 5 else n for n in SHAPES[name])
    covariances = torch.ones(shape) if on_diagonal else torch.eye(n_features).expand(shape)
    log_weights = torch.full((2, 2, 3), 1 / 3, dtype=dtype).log()
    log_weights[:, 0, 2] = -torch.inf
    means = torch.randn(2, 2, 3, n_features, dtype=dtype)
    covariances = covariances.to(dtype).expand(2, 2, *shape)
    start = gmm.Mixture(log_weights, means, covariances, name)
    return EMState(points, start, reg_covar=1e-3, min_variance=0.0, tol=1e-3)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    ("n_features", "dtype"), [(5, torch.float32), (300, torch.float32), (5, torch.float64)]
)
def test_a_step_waits_for_no_value(name, n_features, dtype):
    on_cpu = state(name, n_features, dtype)
    on_cpu.step()
    elsewhere = on_meta(on_cpu)
    with NoTransfers():
        EMState._step(elsewhere)
    assert elsewhere.previous.shape == on_cpu.previous.shape


def test_where_steps_end_a_value_is_waited_for():
    elsewhere = on_meta(state("diag", 5, torch.float64))
    with pytest.raises(NotImplementedError, match="meta"):
        elsewhere.finished()


def test_a_copy_to_the_device_is_seen():
    with NoTransfers(), pytest.raises(AssertionError, match="copies"):
        torch.zeros(3).to("meta")
