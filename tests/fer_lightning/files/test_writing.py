import csv

import pytest

from fer_lightning.files.writing import whole_folder, write_table


def write(path, name):
    with whole_folder(path) as part:
        (part / name).write_text(name)


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "folder"
    write(path, "first")
    write(path, "second")
    assert [file.name for file in path.iterdir()] == ["second"]
    assert [folder.name for folder in path.parent.iterdir()] == ["folder"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "folder"
    write(path, "first")
    with pytest.raises(ZeroDivisionError), whole_folder(path) as part:
        (part / "second").write_text(str(1 / 0))
    assert [file.name for file in path.iterdir()] == ["first"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["folder"]


def test_a_table_quotes_what_needs_it(tmp_path):
    write_table(tmp_path / "t.csv", ("a", "b"), [(1, "x,y"), (None, 'say "z"')])
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", "x,y"], ["", 'say "z"']]
