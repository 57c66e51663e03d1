"""Train a network: `python train.py --help` shows what can be set."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.fused.launcher import trained
from fer_lightning.ranking import rank
from fer_lightning.run_settings import check_settings
from fer_lightning.shell import command


def main(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Train as the configuration says, and return the best validation accuracy."""
    finish = trained(folder)
    if finish:
        return finish()
    check_settings(config)
    from fer_lightning.training import train  # Lightning takes seconds to import

    return train(config, folder, overrides)


if __name__ == "__main__":
    command("train", main, end_sweep=rank)
