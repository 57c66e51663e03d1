"""Show runs on one page: `python -m fer_lightning.report --help` shows how."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fer_lightning.atomic import whole_file
from fer_lightning.errors import InputError
from fer_lightning.report.collection import collect
from fer_lightning.report.page import page

MULTIRUN = Path(__file__).resolve().parents[2] / "multirun"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and say where it is; a mistake of the user is one line and status 1."""
    given = _parser().parse_args(arguments)
    try:
        print(write_report(given.paths or [MULTIRUN], given.out))
    except InputError as error:
        sys.exit(str(error))


def write_report(paths: Sequence[Path], out: Path | None = None) -> Path:
    """Write one page about all runs in or below some folders.

    Args:
        paths: Folders of runs or sweeps, or folders that hold such.
        out: The file; by default `report.html` in the first folder.

    Returns:
        The file.

    Raises:
        InputError: There is no run, or the file cannot be written.
    """
    out = paths[0] / "report.html" if out is None else out
    html = page(collect(paths), datetime.now())
    try:
        with whole_file(out) as part:
            # names of files need not be text: what is none becomes a question mark
            part.write_text(html, encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"--out must be a file that can be written, got {str(out)!r}") from error
    return out


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fer_lightning.report",
        description="Show runs of networks and mixtures on one page that needs no network.",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="a run, a sweep, or a folder that holds such; default: multirun",
    )
    parser.add_argument(
        "--out", type=Path, help="the file to write; default: report.html in the first PATH"
    )
    return parser


if __name__ == "__main__":
    main()
