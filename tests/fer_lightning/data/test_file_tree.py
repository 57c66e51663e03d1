import zipfile

import pytest

from fer_lightning.data.file_tree import open_tree
from fer_lightning.errors import InputError


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
