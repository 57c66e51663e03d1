import numpy as np
from hypothesis import given, strategies as st

from fer_lightning.data.splitting import split_faces

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=300).map(np.array)
FRACTIONS = [0.8, 0.1, 0.1]


@given(LABELS, st.integers(0, 100))
def test_each_part_gets_its_share_of_each_class(labels, seed):
    part = split_faces(labels, np.full(len(labels), -1), FRACTIONS, seed, 7)
    for label in range(7):
        counts = np.bincount(part[labels == label], minlength=3)
        assert np.all(np.abs(counts - np.array(FRACTIONS) * np.sum(labels == label)) < 1)


def test_parts_are_drawn_at_random():
    labels, unknown = np.zeros(1000, int), np.full(1000, -1)
    parts = [split_faces(labels, unknown, FRACTIONS, seed, 7) for seed in (0, 0, 1)]
    assert np.array_equal(parts[0], parts[1])
    # two independent draws of 200 held-out faces of 1000 share 40 of them on average
    both = np.sum((parts[0] > 0) & (parts[2] > 0))
    assert 20 < both < 60


@given(st.integers(5, 40), st.integers(0, 100))
def test_subjects_stay_whole_and_parts_keep_their_sizes(n_subjects, seed):
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(n_subjects), rng.integers(1, 6, n_subjects))
    labels = rng.integers(0, 7, len(subjects))
    part = split_faces(labels, subjects, FRACTIONS, seed, 7)
    assert all(len(set(part[subjects == s])) == 1 for s in range(n_subjects))
    sizes = np.bincount(part, minlength=3)
    assert np.all(np.abs(sizes - np.array(FRACTIONS) * len(labels)) <= 10)


def test_faces_of_unknown_people_are_split_beside_known_ones():
    labels = np.zeros(200, int)
    subjects = np.where(np.arange(200) < 100, np.arange(200) // 10, -1)
    part = split_faces(labels, subjects, FRACTIONS, 0, 7)
    assert np.bincount(part[100:]).tolist() == [80, 10, 10]
    assert np.bincount(part[:100]).tolist() == [80, 10, 10]
