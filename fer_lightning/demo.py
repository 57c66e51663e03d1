"""Show a page that tells expressions: `python -m fer_lightning.demo --help` tells the settings."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from fer_lightning.errors import require, require_integer
from fer_lightning.shell import command

if TYPE_CHECKING:
    from fer_lightning.webpage import Choice

MIXTURES = "mixtures.pt"  # what a run of gmm.classify leaves


def main(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Serve the page until Ctrl-C."""
    require(
        isinstance(config.host, str) and bool(config.host), "host", "be an address", config.host
    )
    if config.port is not None:
        require_integer("port", config.port, 1, 65535)
    from fer_lightning.recognition import Recogniser  # PyTorch takes a second to import
    from fer_lightning.webpage import CSS, build, network_choices, quiet_gradio, serve

    quiet_gradio()
    recogniser = Recogniser.load()
    _ = recogniser.detector  # what is missing is told now
    named, below = [str(run) for run in config.runs], Path(config.below)
    mixtures = _mixtures(named, below)
    networks = network_choices([run for run in named if run not in mixtures], below)
    page = build(recogniser, networks, list(mixtures.values()))
    serve(page, CSS, config.host, config.port)


def _mixtures(named: list[str], below: Path) -> dict[str, "Choice"]:
    """Return the mixtures per class that can be chosen, by their folders."""
    from fer_lightning.webpage import Choice, newest_runs
    from gmm.faces.answering import answers_of

    runs = named or newest_runs(below, MIXTURES)
    return {
        run: Choice(f"mixtures: {Path(run).name}", functools.partial(answers_of, run))
        for run in runs
        if (Path(run) / MIXTURES).is_file()
    }


def cli() -> None:
    """Run the command line."""
    command("demo", main, arguments="runs")


if __name__ == "__main__":
    cli()
