"""Export a network: `python -m fer_lightning.export --help` shows what can be set."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.shell import command


def main(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Write the network that the configuration names to a file that other programs run."""
    from fer_lightning.exporting import export  # PyTorch takes a second to import

    export(config)


def cli() -> None:
    """Run the command line."""
    command("export", main, arguments="runs")


if __name__ == "__main__":
    cli()
