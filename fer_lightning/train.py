"""Train a network: `python -m fer_lightning.train --help` shows what can be set."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.shell import command
from fer_lightning.sweeps import rank, trained
from fer_lightning.training import check_settings


def main(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Train as the configuration says, and return the best validation accuracy."""
    finish = trained(folder)
    if finish:
        return finish()
    check_settings(config)
    from fer_lightning.fused import train  # PyTorch takes a second to import

    return train(config, folder, overrides, is_command=True)


def cli() -> None:
    """Run the command line."""
    command("train", main, end_sweep=rank)


if __name__ == "__main__":
    cli()
