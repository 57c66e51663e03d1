import numpy as np
import torch

from fer_lightning.data.faces import Faces, FaceSplits


def splits_of(drawn, order):
    rows = [order[drawn.splits[order] == number] for number in range(3)]
    return FaceSplits(*(Faces.from_arrays(drawn.pixels[r], drawn.labels[r]) for r in rows))


def test_the_canonical_order_does_not_depend_on_the_order_of_the_source(drawn):
    drawn.pixels[3] = drawn.pixels[5]  # duplicates with other labels exist in real sets
    drawn.splits[3] = drawn.splits[5]
    forward = splits_of(drawn, np.arange(28)).in_canonical_order()
    backward = splits_of(drawn, np.arange(28)[::-1]).in_canonical_order()
    for (_, a), (_, b) in zip(forward, backward, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


def test_the_canonical_order_keeps_every_face_with_its_label_and_index(drawn):
    for split, faces in splits_of(drawn, np.arange(28)).in_canonical_order():
        rows = np.flatnonzero(drawn.splits == ("train", "val", "test").index(split))
        np.testing.assert_array_equal(faces.images[:, 0], drawn.pixels[rows[faces.index]])
        np.testing.assert_array_equal(faces.labels, drawn.labels[rows[faces.index]])
        assert sorted(faces.index.tolist()) == list(range(len(rows)))


def test_the_fingerprint_sees_one_pixel_and_one_label(drawn):
    prints = {splits_of(drawn, np.arange(28)).fingerprint()}
    drawn.pixels[9, 47, 47] ^= 1
    prints.add(splits_of(drawn, np.arange(28)).fingerprint())
    drawn.labels[9] = (drawn.labels[9] + 1) % 7
    prints.add(splits_of(drawn, np.arange(28)).fingerprint())
    assert len(prints) == 3


def test_classes_are_counted(drawn):
    assert splits_of(drawn, np.arange(28)).train.class_counts() == [2] * 7
