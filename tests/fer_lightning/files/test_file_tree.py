import zipfile

import pytest

from fer_lightning.errors import InputError
from fer_lightning.files.file_tree import open_tree


def archive(path, names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), b"content of " + name.encode())
    return path


def test_folder_and_archive_have_the_same_names_and_contents(tmp_path):
    names = ["a/1.txt", "b/c/2.txt", "top.txt"]
    for name in [*names, ".DS_Store", "a/.hidden", ".git/config", "__MACOSX/a/1.txt"]:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + name.encode())
    packed = archive(
        tmp_path / "tree.zip", [*reversed(names), "a/", "__MACOSX/a/1.txt", "a/.hidden"]
    )
    for tree in (open_tree(tmp_path / "tree"), open_tree(packed)):
        assert tree.names() == names
        assert tree.read("b/c/2.txt") == b"content of b/c/2.txt"


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/etc/x", "C:/x", "a\\..\\..\\x"]
)
def test_names_that_leave_the_archive_are_refused(tmp_path, name):
    path = archive(tmp_path / "tree.zip", ["fine.txt", name])
    with pytest.raises(InputError, match=r"tree\.zip: names in the archive must stay inside it"):
        open_tree(path)
    assert not (tmp_path / "out.txt").exists()


def test_a_damaged_member_is_named(tmp_path):
    path = archive(tmp_path / "tree.zip", ["fine.txt", "other.txt"])
    path.write_bytes(path.read_bytes().replace(b"content of fine", b"content of f1ne"))
    tree = open_tree(path)
    assert tree.read("other.txt") == b"content of other.txt"
    with pytest.raises(InputError, match=r"tree\.zip: fine\.txt: damaged or truncated"):
        tree.read("fine.txt")


@pytest.mark.parametrize("content", [b"", b"not a zip archive", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "tree.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"tree\.zip: not a zip archive"):
        open_tree(path)


def test_a_folder_and_an_archive_give_a_file_part_by_part(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x.txt").write_bytes(b"content of x.txt")
    for tree in (open_tree(tmp_path / "tree"), open_tree(archive(tmp_path / "x.zip", ["x.txt"]))):
        with tree.open("x.txt") as file:
            assert (file.read(7), file.read()) == (b"content", b" of x.txt")


def test_a_file_that_is_read_at_once_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_lightning.files.archive_limits.MAX_READ_BYTES", 15)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x.txt").write_bytes(b"content of x.txt")
    for tree in (open_tree(tmp_path / "tree"), open_tree(archive(tmp_path / "x.zip", ["x.txt"]))):
        with pytest.raises(InputError, match=r"x\.txt: must have at most 15 bytes"):
            tree.read("x.txt")


def test_links_inside_a_folder_are_files_of_it(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x.txt").touch()
    (tmp_path / "tree" / "y.txt").symlink_to("x.txt")
    assert open_tree(tmp_path / "tree").names() == ["x.txt", "y.txt"]


def test_the_number_of_files_in_an_archive_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_lightning.files.archive_limits.MAX_MEMBERS", 2)
    archive(tmp_path / "tree.zip", ["a", "b", "c"])
    with pytest.raises(InputError, match=r"tree\.zip: must hold at most 2 files, got 3"):
        open_tree(tmp_path / "tree.zip")
