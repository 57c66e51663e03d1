"""Persons in a video are told apart by where they are."""

import numpy as np
import pytest

from fer_lightning.data import CLASSES
from fer_lightning.recognition import Face
from fer_lightning.recognition.tracks import Tracks, smoothed


def face(left, top=0.0, expression="happy"):
    probabilities = {name: float(name == expression) for name in CLASSES}
    return Face((left, top, left + 40, top + 40), expression, probabilities)


def test_two_who_move_keep_their_numbers_whatever_their_order():
    tracks = Tracks()
    assert tracks.follow([face(0), face(200)], 0.0) == [1, 2]
    assert tracks.follow([face(8), face(190)], 0.1) == [1, 2]
    assert tracks.follow([face(182), face(15)], 0.2) == [2, 1]
    assert tracks.seconds == {1: [0.0, 0.1, 0.2], 2: [0.0, 0.1, 0.2]}


def test_who_overlaps_most_is_joined_first():
    tracks = Tracks()
    tracks.follow([face(0), face(30)], 0.0)
    assert tracks.follow([face(14), face(31)], 0.1) == [1, 2]


def test_who_is_gone_for_long_is_another_and_who_blinks_is_not():
    tracks = Tracks()
    assert tracks.follow([face(0)], 0.0) == [1]
    assert tracks.follow([], 0.5) == []
    assert tracks.follow([face(0)], 0.9) == [1]
    assert tracks.follow([face(0)], 2.5) == [2]
    assert tracks.longest(1) == [1]


def test_means_over_time_are_gaussian():
    times = np.array([0.0, 0.1, 0.4, 3.0])
    values = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    found = smoothed(times, values, width=0.2)
    weights = np.exp(-0.5 * ((times[:, None] - times) / 0.2) ** 2)
    weights *= np.abs(times[:, None] - times) <= 0.6
    np.testing.assert_allclose(found, weights @ values / weights.sum(1, keepdims=True))
    np.testing.assert_allclose(found.sum(1), 1)


def test_a_person_has_a_row_each_time(saved):
    from fer_lightning.recognition.timeline import timeline

    tracks = Tracks()
    for i in range(20):
        tracks.follow([face(0, expression="sad" if i < 10 else "happy"), face(100)], i / 10)
    times, probabilities = tracks.smooth(1)
    assert times == pytest.approx(np.arange(20) / 10)
    assert probabilities[0, CLASSES.index("sad")] > 0.99
    assert probabilities[-1, CLASSES.index("happy")] > 0.99
    figure = saved(timeline(tracks, "clip.mp4"))
    assert [axes.get_ylabel() for axes in figure.axes] == ["person 1", "person 2"]
    assert timeline(Tracks(), "nobody.mp4") is None
