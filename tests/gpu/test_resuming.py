"""Runs that were cut off on one device and go on on the same or the other."""

import numpy as np
import pytest

from tests.gpu.device import DEVICE, RTOL

pytestmark = pytest.mark.gpu


@pytest.fixture
def cut_off(train_on, monkeypatch):
    """Train on a device until a signal comes at the end of the second epoch."""
    from fer_lightning import processes
    from fer_lightning.errors import Interrupted
    from fer_lightning.training.callbacks.epoch_log import EpochLog

    def cut(name, device, *overrides):
        original = EpochLog.on_validation_end

        def with_signal(self, training):
            original(self, training)
            if training.current_epoch + 1 >= 2:
                processes._signals.arrived(15, None)

        with monkeypatch.context() as patch:
            patch.setattr(EpochLog, "on_validation_end", with_signal)
            patch.setattr(processes, "GRACE_SECONDS", 0)
            with pytest.raises(Interrupted):
                train_on(name, device, *overrides)

    return cut


@pytest.mark.parametrize("engine", ["lightning", "fused"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize(
    ("begun_on", "ended_on"),
    [(DEVICE, DEVICE), (DEVICE, "cpu"), ("cpu", DEVICE)],
    ids=["gpu", "gpu-cpu", "cpu-gpu"],
)
def test_a_run_goes_on_on_either_device(
    engine, model, begun_on, ended_on, train_on, cut_off, summary_of
):
    given = (f"model={model}", f"engine={engine}", "optim.momentum=0.5")
    _, expected = train_on("whole", ended_on, *given)
    cut_off("parts", begun_on, *given)
    folder, found = train_on("parts", ended_on, *given, resume=True)
    assert len(found) == 4
    np.testing.assert_allclose(found[:, [0, 2]], expected[:, [0, 2]], rtol=RTOL[model])
    assert summary_of(folder)["device"].startswith(ended_on)
