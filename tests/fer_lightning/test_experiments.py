"""Each experiment is what the study says, and a moment of each of its runs works."""

import itertools
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from fer_lightning.runs.settings import flat_settings
from fer_lightning.shell.configuration import CONF, register_resolvers

MLP = {"model": "mlp", "model.hidden": [16, 32], "optim": "sgd", "optim.lr": 0.01}
MLP |= {"optim.momentum": 0.0, "data.batch_size": 100, "trainer.max_epochs": 1000}
MLP |= {"data.cv_folds": None, "data.cv_fold": None, "optim.weight_decay": 0.0}
CNN = {"model": "cnn", "model.filters": [8, 16], "model.kernel_size": 5, "optim": "sgd"}
CNN |= {"optim.lr": 0.1, "optim.momentum": 0.0, "data.batch_size": 100, "trainer.max_epochs": 30}
CNN |= {"data.cv_folds": None, "data.cv_fold": None, "optim.weight_decay": 0.0}
SIZES = {"optim.lr": 0.01, "optim.momentum": 0.9}
MLP_LR = [0.001, 0.05, 0.1, 0.5, 1.0]
CNN_LR = [0.001, 0.01, 0.05, 0.5, 1.0]
MOMENTUM = [0.0, 0.5, 0.9]
BATCH_SIZE = [1, 10, 50, 500, 1000]
GRID = {"optim.momentum": MOMENTUM, "data.batch_size": BATCH_SIZE, "data.cv_fold": [0, 1, 2, 3, 4]}
STUDY = {
    "mlp": (MLP, {}),
    "cnn": (CNN, {}),
    "cnn_matched": ({**CNN, "model.filters": [20, 40]}, {}),
    "mlp_learning_rate": (MLP, {"optim.lr": MLP_LR}),
    "cnn_learning_rate": (CNN, {"optim.lr": CNN_LR}),
    "mlp_momentum": (MLP, {"optim.momentum": MOMENTUM}),
    "cnn_momentum": (CNN, {"optim.momentum": MOMENTUM}),
    "mlp_batch_size": (MLP, {"data.batch_size": BATCH_SIZE}),
    "cnn_batch_size": (CNN, {"data.batch_size": BATCH_SIZE}),
    "mlp_hidden": ({**MLP, **SIZES}, {"model.hidden": [[2, 4], [24, 48], [50, 100]]}),
    "cnn_filters": ({**CNN, **SIZES}, {"model.filters": [[2, 4], [12, 24], [25, 50]]}),
    "mlp_grid": ({**MLP, "data.cv_folds": 5}, {"optim.lr": MLP_LR, **GRID}),
    "cnn_grid": ({**CNN, "data.cv_folds": 5}, {"optim.lr": CNN_LR, **GRID}),
}


def composition(experiment):
    """The settings of an experiment, and the overrides of each of its jobs."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"experiment={experiment}"], return_hydra_config=True)
    params = (config.hydra.sweeper.params or {}).items()
    swept = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params])
    assert str(config.hydra.mode) == ("RunMode.MULTIRUN" if swept else "None")
    values = [
        [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]
        for override in swept
    ]
    del config.hydra
    return flat_settings(config), list(itertools.product(*values))


# The recipes, and what makes their networks small enough for a test.
RECIPES = {
    "fer2013": ["model.stem=4", "model.widths=[4]", "model.depths=[1]"],
    "tfd": ["model.stem=4", "model.widths=[4]", "model.depths=[1]"],
    "fer2013_gpu": ["model.widths=[4]", "model.hidden=[5]", "compile=false"],
}


def test_every_experiment_of_the_study_is_there():
    assert {p.stem for p in (CONF / "experiment").glob("*.yaml")} == set(STUDY) | set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_works_for_a_moment(recipe, train_here):
    short = ["trainer.max_epochs=1", *RECIPES[recipe]]
    assert 0 <= train_here("run", f"experiment={recipe}", *short) <= 1


@pytest.mark.parametrize("experiment", STUDY)
def test_an_experiment_composes_to_the_values_of_the_study(experiment):
    fixed, swept = STUDY[experiment]
    settings, jobs = composition(experiment)
    assert {key: settings[key] for key in fixed} == fixed
    expected = [
        {f"{key}={value}".replace(" ", "") for key, value in zip(swept, values, strict=True)}
        for values in itertools.product(*swept.values())
    ]
    assert [set(job) for job in jobs] == expected


@pytest.mark.parametrize("experiment", STUDY)
def test_the_header_of_an_experiment_counts_its_runs_and_epochs(experiment):
    header = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    n_runs, n_epochs = map(int, re.search(r"(\d+) runs? of (\d+) epochs", header).groups())
    settings, jobs = composition(experiment)
    assert (n_runs, n_epochs) == (len(jobs), settings["trainer.max_epochs"])
    total = re.search(r"epochs: ([\d,]+) epochs", header)
    assert n_runs == 1 or int(total[1].replace(",", "")) == n_runs * n_epochs


@pytest.mark.parametrize("experiment", STUDY)
def test_every_run_of_an_experiment_works_for_a_moment(experiment, train_here):
    _, jobs = composition(experiment)
    for number, job in enumerate(jobs[:: max(1, len(jobs) // 7)]):
        short = ["trainer.max_epochs=1"]
        accuracy = train_here(str(number), f"experiment={experiment}", *job, *short)
        assert 0 <= accuracy <= 1
