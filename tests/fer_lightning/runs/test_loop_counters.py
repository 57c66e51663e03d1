"""What the fused loop says it has counted is what Lightning's loops count."""

import pytest
import torch

SCHEDULES = [[], ["schedule=cosine"], ["schedule=plateau", "schedule.patience=0"]]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["constant", "cosine", "plateau"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_checkpoints_of_both_engines_have_the_same_counters(train_here, tmp_path, schedule, epochs):
    given = [f"trainer.max_epochs={epochs}", "data.batch_size=4", "compile=false", *schedule]
    found = {}
    for engine in ("lightning", "fused"):
        train_here(engine, f"engine={engine}", *given)
        last = tmp_path / engine / "checkpoints" / "last.ckpt"
        found[engine] = torch.load(last, weights_only=True)
    assert found["fused"].keys() == found["lightning"].keys()
    for name in ("loops", "epoch", "global_step", "pytorch-lightning_version", "network"):
        assert found["fused"][name] == found["lightning"][name]
    assert found["fused"]["callbacks"].keys() == found["lightning"]["callbacks"].keys()
    groups = [found[engine]["optimizer_states"][0]["param_groups"] for engine in found]
    assert groups[0] == groups[1]


def test_a_checkpoint_at_the_end_of_an_epoch_has_the_same_counters(
    train_here, tmp_path, monkeypatch
):
    from fer_lightning.training.callbacks.checkpoints import Checkpoints

    written, original = {}, Checkpoints.write

    def write(self, training):
        path = tmp_path / "written.ckpt"
        training.save_checkpoint(path)
        engine = self.folder.parent.name
        written.setdefault(engine, []).append(torch.load(path, weights_only=True))
        original(self, training)

    monkeypatch.setattr(Checkpoints, "write", write)
    for engine in ("lightning", "fused"):
        given = ["schedule=plateau", "checkpoint_every_seconds=0", "compile=false"]
        train_here(engine, f"engine={engine}", *given)
    within = {k: [c for c in each if "epoch_so_far" not in c] for k, each in written.items()}
    assert [c["epoch"] for c in within["fused"]] == [0, 1, 3]  # in hooks, and at the end
    for lightning, fused in zip(*(within[k] for k in ("lightning", "fused")), strict=True):
        assert fused["loops"] == lightning["loops"]
        assert ("plateau" in fused) == ("plateau" in lightning)
