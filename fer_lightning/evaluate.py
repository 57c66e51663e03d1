"""Evaluate trained networks: `python -m fer_lightning.evaluate --help` shows what can be set."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.shell import command


def main(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Evaluate the runs that the configuration names; write to their folders and to `output`."""
    from fer_lightning.evaluation import evaluate  # Lightning takes seconds to import

    evaluate(config)


def cli() -> None:
    """Run the command line."""
    command("evaluate", main, arguments="runs")


if __name__ == "__main__":
    cli()
