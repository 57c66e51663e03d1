"""Export a mixture: `python -m gmm.export --help` shows what can be set."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.shell import command


def main(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Write the mixture that the configuration names to a file that other programs run."""
    from gmm.faces.exporting import export  # PyTorch takes a second to import

    export(config)


def cli() -> None:
    """Run the command line."""
    command("gmm/export", main, arguments="runs")


if __name__ == "__main__":
    cli()
