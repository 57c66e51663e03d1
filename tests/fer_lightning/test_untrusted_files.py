"""Files made to harm, through the doors that the commands use: each ends with one clear line."""

import io
import os
import pickle
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

import gmm
from fer_lightning.data.cache import load
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.data.sources.folder import ClassFolders
from fer_lightning.data.sources.tfd import Tfd
from fer_lightning.errors import InputError, one_line
from fer_lightning.evaluation.stored_runs import load_network, run_faces
from fer_lightning.networks.mlp import MLP

DOORS = {".ckpt": load_network, ".pt": gmm.Mixture.load}
SOURCES = {".csv": Fer2013, ".npz": Tfd, ".mat": Tfd}


class Trap:
    """What leaves a file called `ran` where its pickle is loaded."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Read a file or folder as the commands do; returns the line by which it was refused."""
    monkeypatch.chdir(tmp_path)

    def read(path, source=None):
        source = source or SOURCES.get(path.suffix, ClassFolders)
        door = DOORS.get(path.suffix, lambda path: load(source(path), tmp_path / "cache"))
        with pytest.raises((InputError, gmm.ModelFileError)) as caught:
            door(path)
        line = one_line(caught.value)
        assert path.name in line
        assert line.isprintable()
        assert len(line) < 600
        assert not (tmp_path / "ran").exists(), "code in the file was run"
        assert not list(tmp_path.glob("cache/*")), "a part of the faces was kept"
        return line

    return read


@pytest.fixture
def good(tmp_path, csv_path, npz_arrays, mat_arrays, drawn, write_folder, zip_folder):
    """Make a file that is fine, by its name."""

    def make(name):
        path = tmp_path / name
        match path.suffix:
            case ".csv":
                return csv_path.rename(path)
            case ".npz":
                np.savez_compressed(path, **npz_arrays)
            case ".mat":
                savemat(path, mat_arrays, do_compression="packed" in name)
            case ".zip":
                zip_folder(write_folder(drawn)).rename(path)
            case ".ckpt":
                torch.save(checkpoint(), path)
            case ".pt":
                mixture().save(path)
        return path

    return make


def checkpoint(**changes):
    model = MLP([3])
    content = {"state_dict": model.state_dict(), "hyper_parameters": {"hidden": [3]}}
    return {**content, "network": "MLP", "epoch": 4} | changes


def mixture(**changes):
    parts = {"log_weights": torch.zeros(1), "means": torch.zeros(1, 2)}
    return gmm.Mixture(**({**parts, "covariances": torch.ones(1, 2)} | changes))


NAMES = ("f.csv", "f.npz", "f.mat", "packed.mat", "f.zip", "f.ckpt", "f.pt")


@pytest.mark.parametrize("tenths", range(10))
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_ends_too_early(name, tenths, good, refused):
    path = good(name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * tenths // 10])
    refused(path)


@pytest.mark.parametrize("tenths", range(10))
def test_a_picture_that_ends_too_early(tenths, tmp_path, drawn, write_folder, refused):
    folder = write_folder(drawn)
    picture = next(folder.rglob("*.png"))
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size * tenths // 10])
    assert picture.name in refused(folder, Fer2013)


@pytest.mark.parametrize(
    ("name", "claimed"),
    [(a, b) for a in NAMES for b in NAMES if a.split(".")[1] != b.split(".")[1]],
)
def test_a_file_of_another_kind(name, claimed, good, refused):
    path = good(name)
    refused(path.rename(path.with_name(f"claimed_{claimed}")))


@pytest.mark.parametrize("name", ["f.npz", "f.ckpt", "f.pt", "f.mat", "f.csv", "f.zip"])
def test_a_bare_pickle_is_never_loaded(name, tmp_path, refused):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Trap()))
    refused(path)


@pytest.mark.parametrize("key", ["state_dict", "hyper_parameters", "network", "epoch", "more"])
def test_a_pickle_inside_a_checkpoint_is_never_loaded(key, tmp_path, refused):
    torch.save(checkpoint(**{key: Trap()}), tmp_path / "x.ckpt")
    assert "could run code" in refused(tmp_path / "x.ckpt")


def test_a_pickle_inside_a_mixture_is_never_loaded(tmp_path, refused):
    torch.save({"format": "gmm.Mixture 1", "means": Trap()}, tmp_path / "x.pt")
    refused(tmp_path / "x.pt")


@pytest.mark.parametrize("old", [True, False])
def test_the_old_formats_of_pytorch_are_not_read(old, tmp_path, refused):
    for path, content in ((tmp_path / "x.ckpt", checkpoint()), (tmp_path / "x.pt", {"a": 1})):
        content = content if old else {"a": Trap()}
        torch.save(content, path, _use_new_zipfile_serialization=False)
        refused(path)


def test_an_object_array_is_never_unpickled(tmp_path, npz_arrays, refused):
    arrays = {**npz_arrays, "target_train": np.array([Trap()] * 14, dtype=object)}
    np.savez(tmp_path / "x.npz", **arrays)
    assert "could run code" in refused(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "value", [np.array([[{"a": 1}]]), {"a": 1}, "text", np.array([1, "x"], dtype=object)]
)
def test_only_numbers_are_read_from_a_mat_file(value, tmp_path, mat_arrays, refused):
    savemat(tmp_path / "x.mat", {**mat_arrays, "images": value})
    assert "images must be an array of numbers" in refused(tmp_path / "x.mat")


@pytest.mark.parametrize("version", ["4", "hdf5"])
def test_other_versions_of_mat_files_are_not_read(version, tmp_path, refused):
    path = tmp_path / "x.mat"
    if version == "4":
        savemat(path, {"images": np.zeros((3, 3))}, format="4")
    else:
        path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600))
    assert "version 5 to 7.2" in refused(path)


def element(kind, content, declared=None):
    return struct.pack("<II", kind, len(content) if declared is None else declared) + content


HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


@pytest.mark.parametrize(
    "content",
    [
        element(14, b"", 2**32 - 1),
        element(15, b"", 2**32 - 8),
        element(15, zlib.compress(element(14, b"", 2**32 - 1))),
        b"".join(element(15, zlib.compress(bytes(2**24))) for _ in range(9)) + bytes(8),
    ],
    ids=["declared", "declared packed", "declared inside", "expands"],
)
def test_a_mat_file_that_asks_for_gigabytes(content, tmp_path, refused, monkeypatch):
    monkeypatch.setattr("fer_lightning.data.sources.tfd.MAX_BYTES", 2**27)
    (tmp_path / "x.mat").write_bytes(HEAD + content)
    refused(tmp_path / "x.mat")


@pytest.mark.parametrize("shape", ["(1000000000000, 2304)", "(-1, 2304)", "(" * 9000, "(2,) * 9"])
def test_an_array_that_asks_for_terabytes(shape, tmp_path, npz_arrays, refused):
    np.savez(tmp_path / "x.npz", **npz_arrays)
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    replaced(tmp_path / "x.npz", "inputs_train.npy", member)
    refused(tmp_path / "x.npz")


def replaced(path, name, content):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | {name: content}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, data in members.items():
            archive.writestr(each, data)


@pytest.mark.parametrize(
    ("form", "width", "height"),
    [("PNG", 60_000, 60_000), ("PNG", 9_000, 9_000), ("BMP", 2**31 - 1, 2**31 - 1)],
)
def test_a_picture_that_declares_a_huge_size(form, width, height, tmp_path, drawn, refused):
    out = io.BytesIO()
    Image.new("L", (48, 48)).save(out, form)
    content = bytearray(out.getvalue())
    at, order = (16, ">") if form == "PNG" else (18, "<")
    content[at : at + 8] = struct.pack(f"{order}II", width, height)
    if form == "PNG":
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    for split, face in (("train", "happy"), ("val", "sad"), ("test", "fear")):
        (tmp_path / "faces" / split / face).mkdir(parents=True)
        (tmp_path / "faces" / split / face / f"x.{form.lower()}").write_bytes(content)
    refused(tmp_path / "faces")


def archive_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("name", ["train/happy/x.png", "fer2013.csv", "x.txt"])
def test_a_zip_that_expands_a_thousandfold(name, tmp_path, refused):
    path = archive_of(tmp_path / "bomb.zip", **{name: bytes(2**26)})
    assert path.stat().st_size < 2**17
    assert "must expand to at most 100 times its size" in refused(path)


@pytest.mark.parametrize("names", [["inputs_train.npy"], ["x"]])
def test_an_npz_that_expands_a_thousandfold(names, tmp_path, npz_arrays, refused):
    np.savez_compressed(tmp_path / "x.npz", **npz_arrays)
    replaced(tmp_path / "x.npz", names[0], bytes(2**26))
    assert "must expand to at most" in refused(tmp_path / "x.npz")


def test_a_zip_that_holds_less_than_it_declares(tmp_path, refused):
    path = archive_of(tmp_path / "x.zip", **{"train/happy/x.png": b"x" * 500})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    assert "must expand to at most" in refused(path)


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "C:/out.png", "a\\..\\..\\out.png"])
def test_a_zip_whose_names_leave_it(name, tmp_path, refused):
    archive_of(tmp_path / "x.zip", **{name: b"x"})
    assert "must stay inside" in refused(tmp_path / "x.zip")


def test_a_link_inside_a_zip_is_not_followed(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("train/happy/x.png", "val/sad/x.png", "test/fear/x.png"):
            link = zipfile.ZipInfo(name)
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/hostname")
    assert "not a readable picture" in refused(tmp_path / "x.zip")


@pytest.mark.parametrize("kind", ["file", "folder", "device"])
def test_a_link_out_of_a_folder(kind, drawn, write_folder, tmp_path, refused):
    folder = write_folder(drawn)
    (tmp_path / "secret").mkdir()
    shutil.copy(next(folder.rglob("*.png")), tmp_path / "secret" / "x.png")
    where = {"file": tmp_path / "secret" / "x.png", "folder": tmp_path / "secret"}
    (folder / "train" / "happy" / "x.png").symlink_to(where.get(kind, "/dev/zero"))
    assert "links must stay inside" in refused(folder)


@pytest.mark.parametrize("kind", ["picture", "set"])
def test_a_pipe_is_not_waited_for(kind, drawn, write_folder, tmp_path, refused):
    folder = write_folder(drawn)
    pipe = folder / "train" / "happy" / "x.png" if kind == "picture" else tmp_path / "x.csv"
    os.mkfifo(pipe)
    refused(folder if kind == "picture" else pipe)


@pytest.mark.parametrize(
    "line", [b"0," * 10**6, b'"' + b"x" * 2**21, b"0," + b"1 " * 700_000 + b",Training"]
)
def test_a_csv_line_without_an_end(line, tmp_path, refused):
    (tmp_path / "x.csv").write_bytes(b"emotion,pixels,Usage\n" + line)
    assert "a line must have fewer than 1048576 characters" in refused(tmp_path / "x.csv")


NESTED: list = [1]
for _ in range(60):
    NESTED = [NESTED] * 10


@pytest.mark.parametrize(
    "changes",
    [
        {"hyper_parameters": {"hidden": [10**12]}},
        {"hyper_parameters": {"hidden": [10**5, 10**6]}},
        {"hyper_parameters": {"hidden": [1] * 10**5}},
        {"hyper_parameters": {"hidden": NESTED}},
        {"hyper_parameters": {"hidden": [3], "optimizer": "os.system"}},
        {"hyper_parameters": {"_instantiator": "os.system"}},
        {"network": NESTED},
        {"epoch": NESTED},
        {
            "hyper_parameters": {"hidden": [10**5]},
            "state_dict": {n: torch.zeros(1).expand(w.shape) for n, w in (
                ("layers.1.weight", torch.empty(10**5, 2304, device="meta")),
                ("layers.1.bias", torch.empty(10**5, device="meta")),
                ("layers.3.weight", torch.empty(7, 10**5, device="meta")),
                ("layers.3.bias", torch.empty(7, device="meta")),
            )},
        },
        {"state_dict": {n: w.to("meta") for n, w in MLP([3]).state_dict().items()}},
        {"state_dict": {n: w.to_sparse() for n, w in MLP([3]).state_dict().items()}},
    ],
)  # fmt: skip
def test_a_checkpoint_that_asks_for_more_than_it_holds(changes, tmp_path, refused):
    torch.save(checkpoint(**changes), tmp_path / "x.ckpt")
    assert "not a checkpoint of one of this project's" in refused(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    "changes",
    [
        {"means": torch.zeros(1).expand(10**6, 10**6)},
        {"means": torch.zeros(1, 2, device="meta")},
        {"log_weights": [0.0]},
        {"covariance_type": "os.system"},
        {"more": 1},
    ],
)
def test_a_mixture_that_asks_for_more_than_it_holds(changes, tmp_path, refused):
    whole = mixture()
    content = {"format": "gmm.Mixture 1", "covariance_type": "diag", "means": whole.means}
    content |= {"log_weights": whole.log_weights, "covariances": whole.covariances}
    torch.save(content | changes, tmp_path / "x.pt")
    refused(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["f.ckpt", "f.pt"])
def test_a_torch_file_that_expands(name, good, refused):
    path = good(name)
    with zipfile.ZipFile(path) as archive:
        inside = next(each for each in archive.namelist() if each.endswith("data/0"))
    replaced(path, inside, bytes(2**26))
    line = refused(path)
    assert path.suffix == ".pt" or "its members are compressed" in line


LAUGHS = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 99))]
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".hydra/config.yaml", LAUGHS),
        (".hydra/config.yaml", "[" * 10**5),
        (".hydra/config.yaml", "data: {source: {_target_: os.system, command: mkdir ran}}"),
        (".hydra/config.yaml", "data: !!python/object/apply:os.mkdir [ran]"),
        (".hydra/config.yaml", "data: {source: {_target_: 3}}"),
        ("summary.json", "[" * 10**5),
        ("summary.json", '{"settings": {"data": "os.system", "data.command": "mkdir ran"}}'),
        ("summary.json", "9" * 10**4),
        ("summary.json", "\udcff"),
    ],
)
def test_settings_beside_a_checkpoint(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match="run") as caught:
        run_faces(tmp_path / "run")
    assert len(one_line(caught.value)) < 300
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\x1b[2J", "a\nb", "\udcff", "$x^$"])
def test_names_are_shown_as_they_are_and_no_more(name, tmp_path, refused):
    folder = tmp_path / "faces" / name.replace("/", "")
    folder.mkdir(parents=True)
    (folder / "x.png").touch()
    assert "class folder" in refused(tmp_path / "faces")


def test_commands_end_with_one_line_and_a_status(tmp_path, csv_path, shell):
    archive_of(tmp_path / "bomb.zip", **{"train/happy/\x1b[2Jx.png": bytes(2**26)})
    torch.save(checkpoint(network=Trap()), tmp_path / "x.ckpt")
    faces = ("data=fer2013", f"data.path={csv_path}", "data.cache_dir=null")
    for command in (
        ("fer_lightning.data", "data=folder", f"data.path={tmp_path / 'bomb.zip'}"),
        ("fer_lightning.evaluate", str(tmp_path / "x.ckpt"), *faces),
    ):
        ended = shell(*command)
        assert ended.returncode == 1
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
        assert "Traceback" not in ended.stderr
    assert not list(tmp_path.rglob("ran"))
