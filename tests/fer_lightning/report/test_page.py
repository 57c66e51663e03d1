"""The page as text: what a reader of its HTML sees, without a browser."""

import base64
import json
import re
from datetime import datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from fer_lightning.report.collection import collect
from fer_lightning.report.page import page

SECTIONS = {
    "runs", "sweeps", "cost", "same-faces", "first-layers", "uncertainty", "mixtures", "trouble",
}  # fmt: skip
EVIL = "<script>alert('x')</script> & \" onclick=\"$3$ {x}"


class Parsed(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.raw = [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.raw = tag if tag in ("script", "style") else self.raw

    def handle_endtag(self, tag):
        self.raw = None if tag == self.raw else self.raw

    def handle_data(self, data):
        if self.raw is None:
            self.text.append(data)


@pytest.fixture
def parsed(tmp_path):
    """The page about everything in the test's folder."""

    def make():
        return Parsed(page(collect([tmp_path]), datetime(2026, 1, 2, 3, 4)))

    return make


def ids(found):
    return {attrs["id"] for _, attrs in found.tags if "id" in attrs}


def test_every_section_is_there_whatever_there_is_to_show(parsed, write_run, write_clustering):
    write_clustering("a")
    assert ids(parsed()) >= SECTIONS
    write_run("b")
    assert ids(parsed()) >= SECTIONS


def test_links_lead_to_places_on_the_page(parsed, write_sweep, write_run):
    write_run("a")
    write_sweep("b", ({"optim.lr": 0.1}, 0.5), ({"optim.lr": 0.2}, 0.6))
    found = parsed()
    links = [attrs["href"] for tag, attrs in found.tags if tag == "a"]
    assert len(links) >= len(SECTIONS) + 2
    assert {link.removeprefix("#") for link in links} <= ids(found)


def test_the_page_asks_for_nothing_outside_itself(
    parsed, write_sweep, write_clustering, write_evaluation
):
    write_clustering("b")
    sweep = write_sweep("a", ({"optim.lr": 0.1}, 0.5), ({"optim.lr": 0.2}, 0.6))
    write_evaluation(sweep / "0_run")
    found = parsed()
    for _, attrs in found.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match("data:|#", attrs.get(name, "#"))
    policy = [a["content"] for _, a in found.tags if "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_names_are_text_whatever_they_say(parsed, write_sweep, write_run, write_classification):
    name = EVIL.replace("/", "\N{DIVISION SLASH}")
    runs = [({"optim.lr": lr, "model.kind": EVIL + str(lr)}, 0.5) for lr in (0.1, 0.2)]
    write_sweep(name, *runs)
    write_run(f"2_{name}", data={"name": EVIL, "fingerprint": EVIL}, settings={"model": EVIL})
    write_classification(f"3_{name}", classes=[EVIL, EVIL], features={"name": EVIL})
    (write_run(f"4_{name}") / "summary.json").write_text(EVIL)
    found = parsed()
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert not any(key.startswith("on") for _, attrs in found.tags for key in attrs)
    text = "".join(found.text)
    assert text.count(name) > 5
    assert EVIL in text


@pytest.mark.parametrize("name", ["\udcff", "\x01\n", "\N{GRINNING FACE}\u4e2d", EVIL[:8], "$$"])
def test_names_that_are_hard_to_draw_break_neither_the_page_nor_its_figures(
    parsed, write_run, write_sweep, name
):
    write_run(f"a{name}")
    write_sweep(f"b{name}", *[({"optim.lr": lr, "x": name + str(lr)}, 0.5) for lr in (0.1, 0.2)])
    found = parsed()
    "".join(found.text).encode()
    figures = [attrs["src"] for tag, attrs in found.tags if "svg" in attrs.get("src", "")]
    assert len(figures) == 5
    for figure in figures:
        ElementTree.fromstring(base64.b64decode(figure.partition(",")[2]))


def test_unfinished_and_damaged_runs_are_listed(parsed, write_run, write_classification, tmp_path):
    write_run("a")
    (write_run("b") / "summary.json").unlink()
    (write_run("c") / "metrics.csv").write_bytes(b"\x00\xff")
    (write_classification("d") / "error.csv").write_text("")
    diverged = {"epoch": None, "train": None, "val": {"acc": None}, "test": 7}
    write_run("e", diverged=True, diverged_epoch=2, best=diverged, final=diverged)
    write_run("f", **dict.fromkeys(("final", "best", "n_parameters", "data", "settings"), "x"))
    text = " ".join(parsed().text)
    assert "4 not done" in re.sub(r"\s+", " ", text)
    assert "metrics.csv cannot be read" in text
    assert "error.csv must have the columns" in text
    assert "It has no summary.json: it is still running, or was stopped." in text
    assert "Its training loss was no finite number in epoch 2." in text


@pytest.mark.parametrize("curve", [[], [float("nan")] * 3, [float("inf"), 1e30, -5.0], [0.5]])
def test_curves_without_a_usable_figure_are_drawn_empty(parsed, write_run, curve):
    path = write_run("a")
    rows = [f"{i},{ce},nan,{ce},nan,1" for i, ce in enumerate(curve, 1)]
    lines = ["epoch,train_ce,train_acc,val_ce,val_acc,seconds", *rows]
    (path / "metrics.csv").write_text("\n".join(lines) + "\n")
    assert ids(parsed()) >= SECTIONS


def test_runs_that_are_not_evaluated_name_the_command(parsed, write_run):
    write_run("worse", (0.1, 0.2, 0.1))
    path = write_run("the better", (0.1, 0.6, 0.1))
    text = " ".join(parsed().text)
    assert f"python -m fer_lightning.evaluate '{path}'" in text


def test_an_evaluated_run_shows_its_figures_and_pictures(parsed, write_run, write_evaluation):
    folder = write_evaluation(write_run("a"))
    (folder / "mistakes.png").write_bytes(b"no picture")
    found = parsed()
    text = " ".join(found.text)
    assert "45.0% [26.0%, 66.0%]" in text
    assert "25.0% [5.0%, 70.0%]" in text
    assert "mistakes.png cannot be read" in text
    pictures = {attrs["alt"] for tag, attrs in found.tags if tag == "img"}
    assert {"First layer of a", "Uncertain faces of a, test"} <= pictures
    assert {
        "What speaks for the surest mistakes of a, test",
        "What speaks for the surest right answers of a, test",
    } <= pictures


def test_a_broken_evaluation_is_named(parsed, write_run, write_evaluation):
    folder = write_evaluation(write_run("a"))
    (folder / "evaluation.json").write_text(json.dumps({"acc": "x", "acc_interval": 3}))
    assert ids(parsed()) >= SECTIONS
    (folder / "evaluation.json").write_text("{")
    assert "evaluation.json cannot be read" in " ".join(parsed().text)


def test_a_grid_has_a_map_and_its_curves(parsed, write_sweep):
    runs = [({"optim.lr": lr, "optim.momentum": m}, 0.5) for lr in (0.1, 0.2) for m in (0, 0.9)]
    write_sweep("a", *runs)
    alts = [attrs["alt"] for tag, attrs in parsed().tags if tag == "img"]
    starts = ("Cross-entropy of every epoch", "Accuracy of every", "Best validation accuracy in")
    assert all(any(alt.startswith(start) for alt in alts) for start in starts)
