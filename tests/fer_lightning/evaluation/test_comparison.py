import torch

from fer_lightning.evaluation.comparison import Compared, comparison_text, paired_tests, short_names
from fer_lightning.evaluation.measuring import wilson_interval


def compared(run, right, faces="a"):
    right = torch.tensor(right)
    n, k = len(right), int(right.sum())
    facts = {
        "checkpoint": "best.ckpt",
        "epoch": 3,
        "split": "test",
        "data": {"name": "synthetic"},
        "n": n,
        "ce": 1.5,
        "acc": k / n,
        "acc_interval": wilson_interval(k, n),
        "uncertain": {"n": 1, "acc": 0.0},
        "certain": {"n": n - 1, "acc": None},
        "aurc": 0.25,
        "calibration": {"ece": 0.1, "brier": 0.6},
        "temperature": 1.5,
        "calibrated": {"ece": 0.05, "nll": 1.4, "brier": 0.5},
    }
    return Compared(run, facts, right, faces)


def test_each_pair_is_tested_on_the_same_faces_only():
    a = compared("a", [True, True, True, False])
    b = compared("b", [False, False, True, True])
    c = compared("c", [True, False, True, True], faces="other")
    (pair,) = paired_tests([a, b, c])
    # two discordant faces against one: p = 2 * (1 + 3) / 8, at most 1
    assert pair == {"first": "a", "second": "b", "only_first": 2, "only_second": 1, "p": 1.0}
    shown = comparison_text([a, b, c], [pair])
    assert "2 of 3 pairs were shown different faces: not tested" in shown


def test_many_pairs_are_cut_on_the_terminal():
    networks = [compared(f"run{i}", [True, False]) for i in range(8)]
    pairs = paired_tests(networks)
    assert len(pairs) == 28
    shown = comparison_text(networks, pairs)
    assert "15 of 28 pairs; comparison.json has all" in shown
    assert "shown different faces" not in shown


def test_names_on_the_terminal_leave_out_what_all_share():
    runs = ["1_threads-1_optim.lr-0.1", "2_threads-1_optim.lr-0.5"]
    assert list(short_names(runs).values()) == ["1_optim.lr-0.1", "2_optim.lr-0.5"]
    for kept in (["a", "b"], ["x_a", "x"], ["a_b", "b_a"]):
        assert list(short_names(kept).values()) == kept
