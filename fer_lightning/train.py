"""Train a network: `python -m fer_lightning.train --help` shows what can be set."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from fer_lightning.machine import first_import
from fer_lightning.shell import command
from fer_lightning.sweeps import judge_of, rank, trained
from fer_lightning.training import check_settings


def main(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Train as the configuration says, and return the best validation accuracy."""
    finish = trained(folder)
    if finish:
        return finish()
    check_settings(config)
    with first_import("torch"):  # which takes a second
        from fer_lightning.fused import train

    hydra = HydraConfig.get()
    in_sweep = hydra.mode == RunMode.MULTIRUN
    judge = judge_of(config, hydra, folder) if in_sweep else None
    return train(config, folder, overrides, judge, is_command=True)


def cli() -> None:
    """Run the command line."""
    command("train", main, end_sweep=rank)


if __name__ == "__main__":
    cli()
