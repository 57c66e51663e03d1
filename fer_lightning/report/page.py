"""The whole page."""

from datetime import datetime
from importlib.resources import files
from string import Template

from fer_lightning.report.collection import Collection
from fer_lightning.report.comparison_section import cost_section, same_faces_section
from fer_lightning.report.evaluation_section import first_layer_section, uncertainty_section
from fer_lightning.report.markup import Markup, element, joined
from fer_lightning.report.mixture_section import mixture_section
from fer_lightning.report.pictures import drawing
from fer_lightning.report.run_section import run_section, trouble_section
from fer_lightning.report.sweep_section import sweep_section

SECTIONS = (
    run_section,
    sweep_section,
    cost_section,
    same_faces_section,
    first_layer_section,
    uncertainty_section,
    mixture_section,
    trouble_section,
)

STOPPED = "stopped early by their search"


def page(found: Collection, made: datetime) -> str:
    """Return the page as HTML that needs no other file.

    Args:
        found: What it shows.
        made: When it is made.
    """
    with drawing():
        sections = [section(found) for section in SECTIONS]
    here = files("fer_lightning.report")
    template = Template((here / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        contents=element("ul", *(section.contents() for section in sections)),
        made=f"{made:%Y-%m-%d %H:%M}",
        tiles=_tiles(found),
        sections=joined(section.html() for section in sections),
    )


def _tiles(found: Collection) -> Markup:
    """Return the counts of runs, sweeps and evaluations as list items."""
    sweeps = sum(sweep.path is not None for sweep in found.sweeps)
    counts = {
        "runs of networks": len(found.runs),
        "sweeps": sweeps,
        "runs of mixtures": len(found.mixtures),
        "evaluations": len(found.evaluations),
        STOPPED: sum(run.was_given_up for run in found.runs),
        "not done": sum(run.is_trouble for run in found.all_runs),
    }
    return joined(
        element("li", element("strong", f"{n:,}"), f" {name}")
        for name, n in counts.items()
        if n or name != STOPPED
    )
