import json

import pytest

EXPERIMENT = {"experimentName": "", "includeMetrics": True}
GROUPS = {
    "experimentName": "",
    "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
    "colParams": [],
    "aggregationType": "AGGREGATION_AVG",
    "startIndex": 0,
    "sliceSize": 100,
}
CURVES = {"train/ce", "train/acc", "val/ce", "val/acc"}
FIGURES = {
    f"summary/best_{name}" for name in ("epoch", "train_ce", "train_acc", "val_ce", "val_acc")
}
FIGURES |= {"summary/test_ce", "summary/test_acc"}
RUNS = {
    "1": ["optim.lr=0.1", "model.hidden=[4]"],
    "2": ["optim.lr=1", "model.hidden=[4,8]", "optim.nesterov=true", "optim.momentum=0.5"],
    "3": ["optim.lr=1e30", "model.hidden=[4]", "data.batch_size=2"],
    "4": ["optim.lr=0.1", "model.hidden=[4]"],  # the first again
}


def named(metric):
    """A metric under its group, the sub-run, and its tag."""
    return f"{metric['group']}/{metric['tag']}".lstrip("/")


@pytest.fixture
def shown(train_here, tensorboard):
    """The answers of a server that shows a few runs, of which the third diverges."""
    for name, overrides in RUNS.items():
        train_here(name, *overrides)
    show = tensorboard()
    show("text/tags", until=lambda found: found.keys() == RUNS.keys())
    return show


def test_the_hparams_tab_has_a_row_for_each_run_and_numbers_in_numeric_columns(shown, tmp_path):
    experiment = shown("hparams/experiment", EXPERIMENT)
    columns = {info["name"]: info for info in experiment["hparamInfos"]}
    types = {name: info["type"].removeprefix("DATA_TYPE_") for name, info in columns.items()}
    expected = {"model": "STRING", "model.hidden": "STRING", "optim": "STRING", "data": "STRING"}
    expected |= {"optim.lr": "FLOAT64", "optim.momentum": "FLOAT64", "data.batch_size": "FLOAT64"}
    expected |= {"seed": "FLOAT64", "trainer.max_epochs": "FLOAT64", "optim.nesterov": "BOOL"}
    expected |= {"optim.weight_decay": "FLOAT64", "data.image_size": "FLOAT64"}
    assert types == expected
    differing = {name for name, info in columns.items() if info["differs"]}
    swept = {"optim.lr", "model.hidden", "optim.momentum", "optim.nesterov", "data.batch_size"}
    assert differing == swept
    tags = {named(info["name"]) for info in experiment["metricInfos"]}
    assert tags == CURVES | FIGURES

    rows = {row["name"]: row for row in shown("hparams/session_groups", GROUPS)["sessionGroups"]}
    assert rows.keys() == RUNS.keys()
    for row in rows.values():
        assert row["hparams"].keys() == columns.keys()
        assert len(row["sessions"]) == 1
    assert rows["1"]["hparams"]["optim.lr"] == 0.1
    assert rows["2"]["hparams"]["model.hidden"] == "[4, 8]"

    for name in ("1", "2", "4"):
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        figures = {named(m["name"]): m["value"] for m in rows[name]["metricValues"]}
        assert figures.keys() == CURVES | FIGURES
        assert figures["summary/best_epoch"] == summary["best"]["epoch"]
        for split, key in (("train", "ce"), ("train", "acc"), ("val", "ce"), ("val", "acc")):
            assert figures[f"summary/best_{split}_{key}"] == pytest.approx(
                summary["best"][split][key]
            )
        assert figures["val/ce"] == pytest.approx(summary["final"]["val"]["ce"])
        assert rows[name]["sessions"][0]["status"] == "STATUS_SUCCESS"


def test_a_diverged_run_has_a_row_without_what_does_not_exist(shown):
    groups = shown("hparams/session_groups", GROUPS)["sessionGroups"]
    (row,) = [group for group in groups if group["name"] == "3"]
    assert row["sessions"][0]["status"] == "STATUS_FAILURE"
    figures = {named(m["name"]): m["value"] for m in row["metricValues"]}
    assert figures.keys() == {"train/acc", "val/acc"}  # no loss was ever finite
    assert all(isinstance(value, float) for value in figures.values())


def test_the_configuration_is_shown_as_text(shown):
    (text,) = shown("text/text?run=2&tag=config%2Ftext_summary")
    assert "momentum: 0.5" in text["text"]
    assert "max_epochs: 3" in text["text"]


def test_what_a_setting_says_is_no_markup(train_here, tensorboard, csv_path):
    name = csv_path.with_name("<img src=x> **a** ```.csv")
    csv_path.rename(name)
    train_here("1", f"data.path='{name}'", "trainer.max_epochs=1")
    show = tensorboard()
    show("text/tags", until=lambda found: found.keys() == {"1"})
    (text,) = show("text/text?run=1&tag=config%2Ftext_summary")
    shown = " ".join(text["text"].split())  # YAML may begin a new line at a space
    assert "&lt;img src=x&gt; **a** ```.csv" in shown
