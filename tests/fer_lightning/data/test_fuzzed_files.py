"""Any bytes give faces or an `InputError`: damage of good files, and bytes out of nowhere."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.io import savemat

from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.data.sources.tfd import Tfd
from fer_lightning.errors import InputError

# In every run the same cases, however slow the machine is.
fuzzed = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
HEADS = {
    "csv": b"emotion,pixels,Usage\n0,",
    "npz": b"PK\x03\x04\x14\x00\x00\x00\x00\x00",
    "mat": b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM",
}


@st.composite
def edits(draw):
    """Changes of a file: (place in 0..1, bytes that go, bytes that come)."""
    place = st.floats(0, 1, exclude_max=True)
    return draw(st.lists(st.tuples(place, st.integers(0, 8), st.binary(max_size=8)), max_size=4))


def edited(content, changes):
    for place, n_gone, come in changes:
        at = int(place * len(content))
        content = content[:at] + come + content[at + n_gone :]
    return content


def reads_or_refuses(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    source = Fer2013(path) if path.suffix == ".csv" else Tfd(path)
    try:
        splits = source.read()
    except InputError:
        return
    for _, faces in splits:
        assert faces.images.shape == (len(faces), 1, 48, 48)
        assert len(faces) == len(faces.subjects) == len(faces.index) > 0
        assert 0 <= faces.labels.min() <= faces.labels.max() <= 6


@pytest.fixture
def whole(tmp_path, npz_arrays, mat_arrays, drawn, csv_rows):
    """Content of a small good file of a kind."""

    def make(kind):
        out = io.BytesIO()
        match kind:
            case "csv":
                text = io.StringIO(newline="")
                csv.writer(text).writerows(csv_rows(drawn, ["emotion", "pixels", "Usage"]))
                return b"emotion,pixels,Usage\n" + text.getvalue().encode()
            case "npz":
                np.savez_compressed(out, **npz_arrays)
            case "mat":
                savemat(out, mat_arrays)
            case "packed.mat":
                savemat(out, mat_arrays, do_compression=True)
        return out.getvalue()

    return make


@pytest.mark.parametrize("kind", ["csv", "npz", "mat", "packed.mat"])
def test_a_damaged_file_is_read_or_refused(kind, whole, tmp_path):
    content = whole(kind)

    @fuzzed
    @given(edits())
    def check(changes):
        reads_or_refuses(tmp_path / f"faces.{kind}", edited(content, changes))

    check()


@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_a_file_damaged_in_what_describes_it_is_read_or_refused(kind, whole, tmp_path):
    content = whole(kind)
    described = 400  # header, names and sizes; the rest is mostly pixels

    @fuzzed
    @given(st.sampled_from(["first", "last"]), edits())
    def check(end, changes):
        if end == "first":
            damaged = edited(content[:described], changes) + content[described:]
        else:
            damaged = content[:-described] + edited(content[-described:], changes)
        reads_or_refuses(tmp_path / f"faces.{kind}", damaged)

    check()


@pytest.mark.parametrize("kind", ["csv", "npz", "mat"])
def test_bytes_out_of_nowhere_are_refused(kind, tmp_path):
    @fuzzed
    @given(st.booleans(), st.binary(max_size=300))
    def check(begins_well, content):
        begin = HEADS[kind] if begins_well else b""
        reads_or_refuses(tmp_path / f"faces.{kind}", begin + content)

    check()
