"""Points in the parts of a folder."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

import gmm
from gmm.points import Shards


@pytest.fixture
def x():
    return np.random.default_rng(2).normal(size=(95, 3, 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, x):
    top = tmp_path / "shards"
    top.mkdir()
    np.save(top / "a.npy", x[:40])
    np.savez_compressed(top / "b.npz", faces=x[40:70])
    np.savez(top / "c.npz", x[70:71])
    np.save(top / "d.npy", x[71:].astype(">f4").astype(np.float32))
    (top / "notes.txt").write_text("not a part")
    return top


def test_points_come_in_the_order_of_the_parts(folder, x):
    shards = Shards(folder, batch_size=16)
    assert (shards.n_points, shards.n_features, shards.dtype) == (95, 6, np.float32)
    for _ in range(2):  # it can be read again and again
        batches = list(shards)
        assert max(map(len, batches)) == 16
        np.testing.assert_array_equal(torch.cat(batches).numpy(), x.reshape(95, 6))


@pytest.mark.parametrize("n_processes", [1, 2, 7])
def test_processes_read_every_point_once(folder, x, n_processes):
    whole = Shards(folder, batch_size=16)
    parts = [torch.cat(list(whole.of_process(rank, n_processes))) for rank in range(n_processes)]
    np.testing.assert_array_equal(torch.cat(parts).numpy(), x.reshape(95, 6))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_fit_equals_that_in_memory(folder, x):
    def fit(data):
        generator = torch.Generator().manual_seed(3)
        return gmm.fit_many(data, 3, max_iter=5, tol=0, reg_covar=0.1, generator=generator)

    whole, shards = fit(torch.from_numpy(x).flatten(1)), fit(Shards(folder, 16))
    for a, b in zip(whole.mixture.tensors(), shards.mixture.tensors(), strict=True):
        torch.testing.assert_close(a, b)


def test_other_byte_orders_are_read(tmp_path, x):
    np.save(tmp_path / "a.npy", x.astype(">f8"))
    (batch,) = Shards(tmp_path)
    assert batch.dtype == torch.float64
    np.testing.assert_array_equal(batch.numpy(), x.reshape(95, 6))


def spoil(folder, name):
    path = folder / {"several arrays": "b.npz", "no zip": "b.npz"}.get(name, "a.npy")
    content = path.read_bytes()
    if name == "truncated":
        path.write_bytes(content[:-5])
    elif name == "huge":
        path.write_bytes(content.replace(b"(40, 3, 2), }     ", b"(4000000, 3, 2), }"))
    elif name == "pickled":
        np.save(path, np.array([[{"a": 1}]]), allow_pickle=True)
    elif name == "by columns":
        np.save(path, np.asfortranarray(np.ones((4, 3, 2), np.float32)))
    elif name == "other rows":
        np.save(path, np.ones((4, 5), np.float32))
    elif name == "no points":
        np.save(path, np.ones((0, 3, 2), np.float32))
    elif name == "a number":
        np.save(path, np.float32(1))
    elif name == "several arrays":
        np.savez(path, a=np.ones(3), b=np.ones(3))
    elif name == "no zip":
        path.write_bytes(b"PK" + bytes(100))
    elif name == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("truncated", r"a\.npy: must hold 40 rows, got a file of another size"),
        ("huge", r"a\.npy: must hold \d+ rows, got a file of another size"),
        ("pickled", r"a\.npy: must hold one of uint8, .*, got object"),
        ("by columns", r"a\.npy: must hold points by rows, got shape \(4, 3, 2\) by columns"),
        ("other rows", r"b\.npz: must hold rows of shape \(5,\) and float32, as a\.npy, got"),
        ("no points", r"a\.npy: must hold points by rows, got shape \(0, 3, 2\)"),
        ("a number", r"a\.npy: must hold points by rows, got shape \(\)"),
        ("several arrays", r"b\.npz: must hold one array, got 2"),
        ("no zip", r"b\.npz: cannot be read \(File is not a zip file\)"),
        ("empty", r"a\.npy: "),
    ],
)
def test_a_part_that_cannot_be_used_is_named(folder, name, told):
    spoil(folder, name)
    with pytest.raises(ValueError, match=told) as raised:
        Shards(folder)
    assert str(raised.value).count("npy") + str(raised.value).count("npz") <= 2


def test_a_part_whose_content_is_damaged_is_named(folder):
    path = folder / "b.npz"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[0].header_offset
    content[start + 200] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.npz: cannot be read"):
        list(Shards(folder))


def test_a_folder_without_parts_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"must be a folder with \.npy or \.npz files, got none"):
        Shards(tmp_path)


PEAK = """
import resource, sys, torch, gmm
from gmm import Shards

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def fit(folder):
    shards = Shards(folder, 256)
    generator = torch.Generator().manual_seed(0)
    gmm.fit_many(shards, 3, max_iter=2, chunk_size=256, generator=generator)

fit(sys.argv[1])
before = peak()
fit(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_memory_does_not_grow_with_the_number_of_points(tmp_path):
    rng = np.random.default_rng(0)
    for name, n_parts in (("few", 1), ("many", 40)):
        (tmp_path / name).mkdir()
        for i in range(n_parts):
            x = rng.integers(0, 256, (2000, 512), dtype=np.uint8)
            np.save(tmp_path / name / f"{i:02}.npy", x)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "few"), str(tmp_path / "many")]
    grown = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    # 41 MB of points, 164 MB as float32; 8 bytes a point are for the order of a random start.
    assert grown < 12e6
