import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fer_lightning.data.faces import Faces, FaceSplits, cross_validated
from fer_lightning.errors import InputError


def splits_of(labels, subjects=None):
    """Faces that carry their number in their first pixel; every fourth of them validates."""
    n = len(labels)
    pixels = np.zeros((n, 48, 48), np.uint8)
    pixels[:, 0, 0] = np.arange(n)
    faces = Faces.from_arrays(pixels, labels, subjects)
    validates = torch.arange(n) % 4 == 0
    test = Faces.from_arrays(pixels[:7], np.arange(7))
    return FaceSplits(faces.take(~validates), faces.take(validates), test)


def numbers(faces):
    return faces.images[:, 0, 0, 0].tolist()


@given(st.lists(st.integers(0, 6), min_size=8, max_size=200), st.integers(2, 8))
def test_every_face_validates_in_one_fold_and_trains_in_all_others(labels, n_folds):
    splits = splits_of(labels)
    validated = []
    for fold in range(n_folds):
        folded = cross_validated(splits, n_folds, fold)
        assert sorted(numbers(folded.train) + numbers(folded.val)) == list(range(len(labels)))
        assert folded.test is splits.test
        for _, faces in list(folded)[:2]:
            assert faces.labels.tolist() == [labels[i] for i in numbers(faces)]
            assert torch.equal(faces.index, faces.images[:, 0, 0, 0].long())
        validated += numbers(folded.val)
    assert sorted(validated) == list(range(len(labels)))


@given(st.lists(st.integers(0, 6), min_size=8, max_size=200), st.integers(2, 8))
def test_folds_have_equal_shares_of_every_class(labels, n_folds):
    folds = [cross_validated(splits_of(labels), n_folds, fold).val for fold in range(n_folds)]
    counts = np.array([faces.class_counts() for faces in folds])
    assert np.all(np.ptp(counts, axis=0) <= 1)
    assert np.ptp(counts.sum(1)) <= 1


@given(st.integers(8, 40), st.integers(2, 5), st.integers(0, 100))
def test_nobody_stands_in_two_folds(n_subjects, n_folds, seed):
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(n_subjects), rng.integers(1, 6, n_subjects))
    subjects = np.where(rng.random(len(subjects)) < 0.2, -1, subjects)
    splits = splits_of(rng.integers(0, 7, len(subjects)), subjects)
    seen = [cross_validated(splits, n_folds, fold).val.subjects for fold in range(n_folds)]
    people = [set(fold.tolist()) - {-1} for fold in seen]
    assert sum(map(len, people)) == len(set().union(*people))
    assert max(map(len, seen)) - min(map(len, seen)) <= 10


def test_folds_are_drawn_and_always_the_same():
    splits = splits_of(np.zeros(200, int))
    once, again = (cross_validated(splits, 2, 0) for _ in range(2))
    assert numbers(once.val) == numbers(again.val)
    # of 199 pairs of neighbours, about half fall into one fold
    in_order = [i in numbers(once.val) for i in numbers(splits.train) + numbers(splits.val)]
    together = sum(a == b for a, b in itertools.pairwise(in_order))
    assert 70 < together < 130


def test_without_folds_the_splits_stay():
    splits = splits_of(np.arange(28) % 7)
    assert cross_validated(splits, None, None) is splits


@pytest.mark.parametrize(
    ("cv_folds", "cv_fold", "message"),
    [
        (5, 5, "cv_fold must be an integer from 0 to 4, got 5"),
        (5, None, "cv_fold must be an integer from 0 to 4, got None"),
        (1, 0, "cv_folds must be an integer of at least 2, got 1"),
        (None, 0, "cv_folds must be given where cv_fold is, got None"),
        (29, 0, "cv_folds must be at most 28, or folds lack faces, got 29"),
    ],
)
def test_a_fold_that_cannot_be_is_refused(cv_folds, cv_fold, message):
    with pytest.raises(InputError) as caught:
        cross_validated(splits_of(np.arange(28) % 7), cv_folds, cv_fold)
    assert str(caught.value) == message
