"""Show runs on one page: `python -m fer_lightning.report --help` shows how."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fer_lightning.errors import InputError, one_line
from fer_lightning.files import whole_file
from fer_lightning.report.collection import collect
from fer_lightning.report.page import page
from fer_lightning.shell import project_root

OUT = "out="


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and print its path; a mistake of the user gives one line and status 1."""
    words: list[str] = _parser().parse_args(arguments).words
    out = [word.removeprefix(OUT) for word in words if word.startswith(OUT)]
    paths = [Path(word) for word in words if not word.startswith(OUT)]
    try:
        print(write_report(paths or [project_root() / "multirun"], Path(out[-1]) if out else None))
    except InputError as error:
        sys.exit(one_line(error))


def write_report(paths: Sequence[Path], out: Path | None = None) -> Path:
    """Write one page about all runs in or below some folders.

    Args:
        paths: Folders of runs or sweeps, or folders that contain them.
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
        raise InputError(f"out must be a file that can be written, got {str(out)!r}") from error
    return out


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fer_lightning.report",
        usage="%(prog)s [PATH ...] [out=FILE]",
        description="Show runs of networks and mixtures on one page that needs no network.",
        epilog="out=FILE is the page; by default it is report.html in the first PATH.",
    )
    what = "a run, a sweep, or a folder that holds such; default: multirun"
    parser.add_argument("words", nargs="*", metavar="PATH", help=what)
    return parser


if __name__ == "__main__":
    main()
