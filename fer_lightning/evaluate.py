"""Evaluate trained networks: `python -m fer_lightning.evaluate --help` shows what can be set."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.shell import command


def main(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Evaluate what the configuration names; results go to the runs' folders and `output`."""
    from fer_lightning.evaluation import evaluate  # Lightning takes seconds to import

    evaluate(config)


def cli() -> None:
    """Run the command line."""
    command("evaluate", main, arguments="runs")


if __name__ == "__main__":
    cli()
