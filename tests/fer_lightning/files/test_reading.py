import datetime
import os

import pytest

from fer_lightning.errors import InputError, one_line
from fer_lightning.files import reading as bounded_files
from fer_lightning.files.reading import plain_yaml, read_bytes, read_json, read_table, read_yaml


def test_a_file_is_read_up_to_its_bound(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path / "x", 5) == b"12345"
    with pytest.raises(InputError, match="x: must have at most 4 bytes, got more"):
        read_bytes(tmp_path / "x", 4)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_without_waiting_for_it(make, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(InputError, match="x: must be a regular file"):
        read_bytes(tmp_path / "x", 5)


def test_plain_values_are_read(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, null, "b"]}')
    assert read_json(tmp_path / "x.json") == {"a": [1, None, "b"]}
    (tmp_path / "x.yaml").write_text("a: [1, null, b]\nwhen: 2000-01-01\npath: ${oc.env:HOME}\n")
    read = read_yaml(tmp_path / "x.yaml")
    when = datetime.date(2000, 1, 1)
    assert read == {"a": [1, None, "b"], "when": when, "path": "${oc.env:HOME}"}
    (tmp_path / "x.csv").write_text('a,b\n1,"2, ""3"""\n')
    assert read_table(tmp_path / "x.csv") == [["a", "b"], ["1", '2, "3"']]


@pytest.mark.parametrize(
    ("read", "content", "reason"),
    [
        (read_json, b"{", "Expecting property name"),
        (read_json, b"[1]", "must hold an object, got list"),
        (read_json, b"\xff", "utf-8"),
        (read_json, b"[" * 100_000, "recursion"),
        (read_json, b"1" * 9999, "digits"),
        (read_yaml, b"a: [", "expected"),
        (read_yaml, b"a: &x [1]\nb: *x", "aliases are not read"),
        (read_yaml, b"!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        (read_yaml, b"[" * 100_000, "recursion"),
        (read_table, b"a" * 200_000, "field larger than field limit"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(read, content, reason, tmp_path):
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"^x\.txt .*{reason}.*$"):
        read(tmp_path / "x.txt")


@pytest.mark.parametrize("read", [read_json, read_yaml, read_table])
def test_a_file_that_is_missing_or_too_long_is_named(read, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"x\.txt cannot be read: No such file"):
        read(tmp_path / "x.txt")
    monkeypatch.setattr(bounded_files, "MAX_TEXT_BYTES", 9)
    (tmp_path / "x.txt").write_text("1" * 10)
    with pytest.raises(InputError, match=r"x\.txt.* must have at most 9 bytes"):
        read(tmp_path / "x.txt")


def test_settings_that_hydra_writes_are_read_as_they_are():
    assert plain_yaml("- optim.lr=0.1\n- data.path='*x'\n") == ["optim.lr=0.1", "data.path='*x'"]


def test_a_line_shows_what_a_terminal_would_obey():
    assert one_line("a\n b\x1b[2J\udcff é") == "a b\\x1b[2J\\udcff é"
