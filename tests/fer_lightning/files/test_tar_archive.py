"""Tar archives, good ones and those that are made to harm."""

import gzip
import io
import os
import tarfile

import pytest

from fer_lightning.errors import InputError
from fer_lightning.files import archive_limits
from fer_lightning.files.file_tree import open_tree
from fer_lightning.files.tar_archive import TarArchive


def pack(path, files, mode="w:gz", links=(), **formats):
    """A tar archive of names and contents, and of members that are no files."""
    with tarfile.open(path, mode, **formats) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, kind in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return path


FILES = {"./b/c/2.txt": b"two" * 500, "./top.txt": b"top", "./a/1.txt": b"", "./a/ü.txt": b"u"}


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.tar", "w:"), ("x.tgz", "w:gz"), ("x.tar.gz", "w:gz"), ("X.TAR.GZ", "w:gz")],
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_has_the_names_and_contents_that_were_packed(tmp_path, name, mode, form):
    hidden = {
        "./.hidden": b"x",
        "./a/._1.txt": b"x",
        "__MACOSX/y": b"x",
        "./d/" + "n" * 90: b"long",
    }
    tree = open_tree(pack(tmp_path / name, FILES | hidden, mode, format=form))
    assert tree.names() == ["a/1.txt", "a/ü.txt", "b/c/2.txt", "d/" + "n" * 90, "top.txt"]
    for name, content in FILES.items():
        assert tree.read(name.removeprefix("./")) == content
    with tree.open("b/c/2.txt") as file:
        assert (file.read(4), file.read()) == (b"twot", b"wo" + b"two" * 498)


def test_a_folder_that_was_packed_by_tar_itself(tmp_path, monkeypatch):
    (tmp_path / "faces" / "sad").mkdir(parents=True)
    (tmp_path / "faces" / "sad" / "1.png").write_bytes(b"png")
    with tarfile.open(tmp_path / "faces.tgz", "w:gz") as archive:
        archive.add(tmp_path / "faces", "faces")
    assert open_tree(tmp_path / "faces.tgz").names() == ["faces/sad/1.png"]


def test_files_in_stored_order_are_read_in_one_pass(tmp_path, monkeypatch):
    rewinds = []
    original = gzip.GzipFile.rewind
    monkeypatch.setattr(gzip.GzipFile, "rewind", lambda file: rewinds.append(1) or original(file))
    path = pack(tmp_path / "x.tgz", {f"{i * 7 % 100:02}.txt": b"%d" % i * 3000 for i in range(100)})
    tree = open_tree(path)
    names = tree.names()
    stored = tree.in_stored_order(names)
    assert stored != names == sorted(stored)
    for name in stored:
        number = int(name[:2]) * 43 % 100  # 7 * 43 = 301
        assert tree.read(name) == b"%d" % number * 3000
    assert len(rewinds) <= 1


def read_all(path):
    tree = open_tree(path)
    return [tree.read(name) for name in tree.names()]


def refused(path):
    with pytest.raises(InputError, match=path.name) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/x", "C:/x", "a\\..\\..\\x"])
def test_names_that_leave_the_archive_are_refused(tmp_path, name):
    path = pack(tmp_path / "x.tgz", {"fine.txt": b"", name: b"x"})
    assert "names in the archive must stay inside it" in refused(path)


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
        *(tarfile.GNUTYPE_SPARSE, b"Z"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, kind):
    path = pack(tmp_path / "x.tar", {"fine.txt": b""}, "w:", links=[("sad/x.png", kind)])
    assert "sad/x.png: must be a file or a folder, not a link" in refused(path)


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_an_archive_that_is_cut_off_is_named(tmp_path, mode, share):
    files = {f"sad/{i}.txt": os.urandom(3000) for i in range(20)}
    path = pack(tmp_path / "x.tar", files, mode)
    content = path.read_bytes().rstrip(b"\0") if mode == "w:" else path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "not a tar archive, or a truncated one" in refused(path) or "cannot be read" in refused(
        path
    )


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_an_archive_that_is_cut_off_between_two_files_is_named(tmp_path, packed):
    path = pack(tmp_path / "x.tar", {"a.txt": b"a" * 512, "b.txt": b"b" * 512}, "w:")
    path.write_bytes(packed(path.read_bytes()[: 2 * 512]))
    assert "its end is missing" in refused(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a tar archive", b"x" * 5000, b"\x1f\x8b" + b"x" * 99]
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    refused(path)


def test_damage_of_what_gzip_packed_is_noticed(tmp_path):
    path = pack(tmp_path / "x.tgz", {"sad/1.txt": os.urandom(3000), "sad/2.txt": os.urandom(3000)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("n_bytes", [2**27, 2**22])
def test_an_archive_that_expands_beyond_all_measure_is_refused(tmp_path, n_bytes):
    path = pack(tmp_path / "x.tgz", {"x.csv": bytes(n_bytes)})
    assert "must expand to at most 100 times its size" in refused(path)


def test_zeros_behind_the_end_of_an_archive_count_too(tmp_path):
    path = pack(tmp_path / "x.tgz", {"x.csv": b"x"})
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(2**24)))
    assert "must expand to at most 100 times its size" in refused(path)


def test_the_size_of_an_archive_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_limits, "MAX_STREAM_BYTES", 10_000)
    path = pack(tmp_path / "x.tgz", {"x.csv": os.urandom(20_000)})
    assert "must expand to at most 10000 bytes" in refused(path)


def test_the_number_of_files_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_limits, "MAX_MEMBERS", 2)
    path = pack(tmp_path / "x.tgz", {"a": b"", "b": b"", "c": b""})
    assert "must hold at most 2 files, got 3" in refused(path)


def test_a_file_that_is_read_at_once_has_a_bound(tmp_path, monkeypatch):
    path = pack(tmp_path / "x.tgz", {"x.txt": b"content"})
    tree = open_tree(path)
    monkeypatch.setattr(archive_limits, "MAX_READ_BYTES", 6)
    with pytest.raises(InputError, match=r"x\.txt: must have at most 6 bytes"):
        tree.read("x.txt")


def header(**fields):
    member = tarfile.TarInfo("sad/x.png")
    for name, value in fields.items():
        setattr(member, name, value)
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [-512, -1, 2**40, 2**60, 2**62])
def test_a_size_out_of_nowhere_is_refused_at_once(tmp_path, kind, size):
    path = tmp_path / "x.tar"
    path.write_bytes(header(type=kind, size=size) + bytes(4096))
    refused(path)


def test_headers_within_headers_are_refused(tmp_path):
    path = tmp_path / "x.tar"
    one = header(type=tarfile.GNUTYPE_LONGNAME, size=1) + b"x".ljust(512, b"\0")
    path.write_bytes(one * 5000 + bytes(1024))
    refused(path)


def test_an_archive_closes_its_file(tmp_path):
    path = pack(tmp_path / "x.tgz", {"x.txt": b"x"})
    archive = TarArchive(path)
    bounded = archive._tar.fileobj
    del archive
    bounded.close()
    assert bounded._packed.closed
    bounded.close()
