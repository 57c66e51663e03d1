"""A fit by EM that was cut off ends as one that was not, to the last digit."""

import logging

import pytest
import torch

from fer_lightning.errors import Interrupted, SettingError
from gmm.faces import kept_state
from gmm.faces.kept_state import KeptState, Turns, remove_state
from gmm.fitting.em import fit_em
from gmm.starting.starts import Start, make_start


@pytest.fixture
def fit():
    """Fit mixtures from four starts, of which some converge before others, to wide points."""
    x = torch.randn(400, 600, generator=torch.Generator().manual_seed(0))
    x[:200, :300] += 0.4
    generator = torch.Generator().manual_seed(1)
    start = make_start(x, 3, Start("random", rand_const=2.0), n_init=4, generator=generator)

    def run(memory=None, tol=1e-2, callback=None):
        return fit_em(
            x, start, max_iter=30, tol=tol, min_variance=0.01, memory=memory, callback=callback
        )

    return run


def assert_same(a, b):
    for name in ("log_likelihood", "converged", "n_iter", "singular", "empty"):
        assert torch.equal(getattr(a, name).nan_to_num(1e9), getattr(b, name).nan_to_num(1e9)), name
    for ours, theirs in zip(a.mixture.tensors(), b.mixture.tensors(), strict=True):
        assert torch.equal(ours, theirs)


def stopping_at(last):
    """A callback that ends the fit in an iteration, before its state is kept."""

    def stop(iteration, mean):
        if iteration == last:
            raise Interrupted(15)

    return stop


@pytest.mark.parametrize("tol", [0.0, 1e-2])
@pytest.mark.parametrize("last", [2, 9, 15])
def test_a_fit_cut_off_ends_as_one_that_was_not(fit, tmp_path, tol, last):
    whole = fit(tol=tol)
    with pytest.raises(Interrupted):
        fit(KeptState(tmp_path, 0, resumes=False), tol, stopping_at(last))
    seen = []
    state = KeptState(tmp_path, 0, resumes=True)
    assert_same(whole, fit(state, tol, lambda iteration, mean: seen.append(iteration)))
    assert seen[0] == last
    remove_state(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_fit_that_had_ended_is_not_taken_further(fit, tmp_path):
    whole = fit(KeptState(tmp_path, 0, resumes=False))
    assert int(whole.n_iter.max()) < 30
    seen = []
    again = fit(KeptState(tmp_path, 0, resumes=True), callback=lambda *_: seen.append(1))
    assert_same(whole, again)
    assert not seen


def test_a_damaged_state_is_named_and_the_one_before_it_used(fit, tmp_path, caplog):
    whole = fit()
    with pytest.raises(Interrupted):
        fit(KeptState(tmp_path, 0, resumes=False), callback=stopping_at(6))
    path = tmp_path / "em.pt"
    path.write_bytes(path.read_bytes()[:-100])
    caplog.set_level(logging.INFO)
    assert_same(whole, fit(KeptState(tmp_path, 0, resumes=True)))
    assert f"{path}: damaged (" in caplog.text
    assert "goes on from iteration 4" in caplog.text


def test_without_a_state_a_fit_begins_anew_and_says_so(fit, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert_same(fit(), fit(KeptState(tmp_path, 0, resumes=True)))
    assert "begins anew" in caplog.text


def test_the_state_is_written_every_so_many_seconds_and_when_a_signal_waits(
    fit, tmp_path, monkeypatch
):
    fit(KeptState(tmp_path, 1e9, resumes=False))
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr(kept_state, "is_waiting", lambda: True)
    fit(KeptState(tmp_path, 1e9, resumes=False))
    assert (tmp_path / "em.pt").exists()


def test_the_time_between_two_writings_has_its_rule(tmp_path):
    with pytest.raises(SettingError, match="checkpoint_every_seconds must be a number of at least"):
        KeptState(tmp_path, -1, resumes=False)


@pytest.fixture
def several():
    """Fit mixtures of two, three and four components to the same points, one after another."""
    x = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
    starts = [
        make_start(x, K, Start("random"), n_init=2, generator=torch.Generator().manual_seed(K))
        for K in (2, 3, 4)
    ]

    def run(memory=None, tol=1e-3, callback=None):
        turns = None if memory is None else Turns(memory)
        options = {"max_iter": 12, "tol": tol, "memory": turns, "callback": callback}
        return [fit_em(x, start, **options) for start in starts]

    return run


@pytest.mark.parametrize("tol", [0.0, 1e-3])
@pytest.mark.parametrize("last", [3, 13, 16, 35])
def test_several_fits_cut_off_end_as_those_that_were_not(several, tmp_path, tol, last):
    steps = []
    whole = several(tol=tol, callback=lambda iteration, mean: steps.append(iteration))
    last = min(last, len(steps) - 1)
    seen = []

    def stop(iteration, mean):
        seen.append(iteration)
        if len(seen) == last:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        several(KeptState(tmp_path, 0, resumes=False), tol, stop)
    again = []
    state = KeptState(tmp_path, 0, resumes=True)
    resumed = several(state, tol, lambda iteration, mean: again.append(iteration))
    for ours, theirs in zip(resumed, whole, strict=True):
        assert_same(theirs, ours)
    assert again == steps[last - 1 :]  # of the iteration that was not kept, and all after it
