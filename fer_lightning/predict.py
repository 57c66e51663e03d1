"""Tell the expressions in photos: `python -m fer_lightning.predict --help` tells the settings."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.shell import command


def main(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Find the faces in what the configuration names, and tell their expressions."""
    from fer_lightning.recognition import recognise  # PyTorch takes a second to import

    recognise(config)


def cli() -> None:
    """Run the command line."""
    command("predict", main, arguments="sources", flags={"--camera": "camera", "model": "weights"})


if __name__ == "__main__":
    cli()
