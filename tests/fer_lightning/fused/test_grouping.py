"""Which jobs of a sweep are trained together."""

import pytest

from fer_lightning.fused.grouping import Group, grouped, obstacle
from fer_lightning.runs.settings import flat_settings


@pytest.fixture
def settings(composed):
    def make(*overrides):
        return flat_settings(composed("train", *overrides))

    return make


def test_jobs_that_differ_in_numbers_of_their_own_are_one_group(settings):
    lrs, momenta = ("0.1", "0.01"), ("0", "0.9")
    jobs = [settings(f"optim.lr={lr}", f"optim.momentum={m}") for lr in lrs for m in momenta]
    jobs += [settings("optim.weight_decay=0.1", "threads=2", "compile=false")]
    assert grouped(jobs) == [Group((0, 1, 2, 3, 4))]


@pytest.mark.parametrize(
    "other",
    [
        *("model=cnn", "model.hidden=[8]", "optim=adamw", "data.batch_size=10", "data.seed=1"),
        *("trainer.max_epochs=7", "+trainer.precision=64-true", "data.cv_folds=5"),
    ],
)
def test_jobs_of_another_kind_are_groups_of_their_own(settings, other):
    jobs = [settings("seed=1"), settings(other), settings("seed=2"), settings(other, "seed=3")]
    assert [group.jobs for group in grouped(jobs)] == [(0, 2), (1, 3)]


def test_jobs_that_share_their_minibatches_stand_side_by_side(settings):
    jobs = [settings(f"optim.lr={lr}", f"seed={seed}") for lr in (0.1, 0.2, 0.3) for seed in (0, 1)]
    assert [group.jobs for group in grouped(jobs)] == [(0, 2, 4, 1, 3, 5)]


def test_folds_have_orders_of_their_own(settings):
    given = [
        ("data.cv_folds=2", f"data.cv_fold={fold}", f"optim.lr={lr}")
        for lr in (1, 2)
        for fold in (1, 0)
    ]
    assert [group.jobs for group in grouped([settings(*g) for g in given])] == [(1, 3, 0, 2)]


def test_orders_with_more_jobs_than_others_are_a_group_of_their_own(settings):
    seeds = [0, 0, 0, 1, 2]
    jobs = [settings(f"seed={seed}", f"optim.lr={i + 1}") for i, seed in enumerate(seeds)]
    assert [group.jobs for group in grouped(jobs)] == [(0, 1, 2), (3, 4)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("+trainer.precision=bf16-mixed", "trainer.precision=bf16-mixed"),
        ("+trainer.limit_train_batches=3", "trainer.limit_train_batches"),
        ("trainer.devices=2", "several devices"),
        ("optim._target_=elsewhere.Lion", "optim=lion"),
        ("optim=muon", "optim=muon"),
        ("model=resnet", "model=resnet"),
        ("augment=standard", "augment is"),
        ("tta=flip", "tta is"),
        ("data.contrast=equalise", "data.contrast is"),
        ("data.balanced=true", "data.balanced is"),
        ("loss.weight=balanced", "loss is"),
        ("loss.label_smoothing=0.1", "loss is"),
    ],
)
def test_what_only_lightning_can_do_is_left_to_it(settings, given, reason):
    assert reason in obstacle(settings(given))
    groups = grouped([settings(given), settings("seed=1"), settings("seed=2")])
    assert [group.jobs for group in groups] == [(0,), (1, 2)]
    assert reason in groups[0].alone


def test_soft_targets_are_left_to_lightning_and_majorities_are_not(settings):
    voted = ["data=ferplus", "data.path=fer2013.csv", "data.labels=fer2013new.csv"]
    assert "data.votes=soft" in obstacle(settings(*voted))
    assert obstacle(settings(*voted, "data.votes=majority")) is None


def test_a_job_without_a_partner_says_so(settings):
    assert "no other job" in grouped([settings()])[0].alone
