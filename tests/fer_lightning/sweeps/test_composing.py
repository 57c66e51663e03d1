import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import OmegaConf

from fer_lightning.runs import flat_settings, task_settings
from fer_lightning.shell.configuration import CONF, register_resolvers
from fer_lightning.sweeps.launching.composing import QuickComposition

JOBS = [
    ["optim.lr=0.1", "seed=3"],
    ["optim.lr=0.2", "seed=4"],
    ["seed=5", "optim.lr=0.3", "model=cnn", "model.filters=[4,8]"],
    ["model=cnn", "optim=adamw", "optim.betas=[0.8,0.9]", "+trainer.precision=64"],
    ["model=cnn", "optim=adamw", "optim.lr=0.1"],
    ["experiment=mlp_momentum", "optim.momentum=0.9"],
    ["++new.key={a:1}", "++new.key={b:2}", "loss.weight=[1,2,3,4,5,6,7]"],
    ["++new.key={c:3}", "~compile"],
    ["hydra.sweep.subdir='1_x'", "optim.lr=0.1", "callbacks=[ema]"],
    ["data=fer2013", "data.path='a b=c'", "optim.lr=${study.lr}"],
    ["hydra.searchpath=[]", "model=cnn"],
]


@pytest.fixture
def loader():
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        given = ["hydra/launcher=fused", "hydra.sweep.dir=/nowhere/sweep"]
        loader.master = compose("train", given, return_hydra_config=True)
        yield loader


def test_configurations_are_those_of_hydra(loader):
    quick = QuickComposition(loader)
    for job in [*JOBS, *JOBS[::-1]]:  # again, when what they share has been used
        expected = loader.load_sweep_config(loader.master, job)
        found = quick(loader.master, job)
        assert plain(found.hydra) == plain(expected.hydra)
        assert plain(task_settings(found)) == plain(task_settings(expected))
        assert flat_settings(task_settings(found)) == flat_settings(task_settings(expected))
        assert OmegaConf.is_struct(found)


def plain(config):
    return OmegaConf.to_container(config, resolve=False)


@pytest.mark.parametrize(
    "job",
    [["optim.lx=1"], ["model=nosuch"], ["optim.lr=1,2"], ["optim=sgd,adamw"], ["+optim.lr=1"]],
)
def test_mistakes_are_told_as_by_hydra(loader, job):
    errors = []
    for load in (loader.load_sweep_config, QuickComposition(loader)):
        with pytest.raises((HydraException, ConfigCompositionException)) as error:
            load(loader.master, job)
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_files_are_merged_once_for_each_choice(loader, monkeypatch):
    calls = []
    by_hydra = loader.load_sweep_config
    monkeypatch.setattr(
        loader, "load_sweep_config", lambda *given: (calls.append(given), by_hydra(*given))[1]
    )
    quick = QuickComposition(loader)
    for job in [*JOBS[:2], ["model=cnn", "seed=1"], ["seed=2", "model=cnn"]]:
        quick(loader.master, job)
    assert len(calls) == 2
