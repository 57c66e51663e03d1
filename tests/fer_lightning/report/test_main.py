import subprocess
import sys

import pytest

from fer_lightning.report.__main__ import main


def test_the_page_lies_in_the_first_folder(write_run, tmp_path, capsys):
    write_run("a/1")
    write_run("b/2")
    main([str(tmp_path / "a"), str(tmp_path / "b")])
    path = tmp_path / "a" / "report.html"
    assert capsys.readouterr().out == f"{path}\n"
    assert "2 runs" in path.read_text()


def test_the_page_lies_where_it_is_asked_for_and_replaces_an_older_one(write_run, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    main([str(write_run("a")), f"out={path}"])
    assert path.read_text().startswith("<!doctype html>")
    assert not list(tmp_path.glob("*/report.html"))
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{}/gone"], "PATH must be a folder that exists, got '{}/gone'"),
        (["{}/empty"], "PATH must hold runs, got none in {}/empty"),
        (["{}/a", "out={}/gone/x.html"], "out must be a file that can be written, got '{}/gone/x"),
        (["{}/a", "out={}/empty"], "out must be a file that can be written, got '{}/empty'"),
    ],
)
def test_a_mistake_is_one_line(write_run, tmp_path, words, message):
    write_run("a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        main([word.format(tmp_path) for word in words])
    assert str(ended.value).startswith(message.format(tmp_path))
    assert "\n" not in str(ended.value)


def test_neither_torch_nor_lightning_nor_hydra_is_imported():
    code = "import sys, fer_lightning.report.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "lightning", "hydra"} & set(done.stdout.split())
