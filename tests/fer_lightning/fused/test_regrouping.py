from pathlib import Path

import pytest

from fer_lightning.fused.grouping import parts
from fer_lightning.runs.checkpoint_files import Stored


def stored(epoch, share=0.5, diverged_at=None):
    """A checkpoint after so many epochs."""
    progress = {"epoch_progress": {"current": {"processed": epoch}}}
    callbacks = {"EpochLog": {"share": share, "diverged_at": diverged_at, "threads": 3}}
    return Stored(Path(str(epoch)), {"loops": {"fit_loop": progress}, "callbacks": callbacks})


def told(jobs, found):
    return [
        (part.jobs, [part.stored[i].epoch if i in part.stored else 0 for i in part.jobs])
        for part in parts(jobs, {i: [stored(e) for e in epochs] for i, epochs in found.items()})
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({0: [], 1: []}, [((0, 1), [0, 0])]),
        ({0: [9, 5], 1: [9, 5]}, [((0, 1), [9, 9])]),
        ({0: [9, 5], 1: [5, 2]}, [((0, 1), [5, 5])]),  # killed while they wrote
        ({0: [5], 1: [], 2: [5]}, [((0, 1, 2), [0, 0, 0])]),  # for the first time
        ({0: [9, 5], 1: [9], 2: [5]}, [((0, 1), [9, 9]), ((2,), [5])]),  # two damaged files
        ({0: [9, 5], 1: [9, 5], 2: [], 3: []}, [((0, 1), [9, 9]), ((2, 3), [0, 0])]),  # a wave
    ],
)
def test_what_was_together_goes_on_from_the_newest_epoch_that_all_have(found, expected):
    assert told(sorted(found), found) == expected


def test_they_go_on_with_as_many_threads():
    (part,) = parts([0, 1], {0: [stored(5)], 1: [stored(5)]})
    assert part.threads == 3
    (begun_anew,) = parts([0, 1], {0: [], 1: []})
    assert begun_anew.threads is None


def test_one_that_has_diverged_keeps_its_place():
    found = {0: [stored(9), stored(6)], 1: [stored(4, diverged_at=4), stored(3)]}
    (part,) = parts([0, 1], found)
    assert part.were_together
    assert {i: s.epoch for i, s in part.stored.items()} == {0: 9, 1: 4}
    found[0] = [stored(3)]  # before it diverged
    (part,) = parts([0, 1], found)
    assert {i: s.epoch for i, s in part.stored.items()} == {0: 3, 1: 3}


def test_what_was_trained_alone_goes_on_alone_and_so_do_those_after_it():
    found = {0: [stored(9, share=1.0)], 1: [], 2: []}
    alone = parts([0, 1, 2], found)
    assert [part.jobs for part in alone] == [(0,), (1,), (2,)]
    assert not any(part.were_together for part in alone)
