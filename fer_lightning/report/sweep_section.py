"""Every sweep: its ranking, its curves, and maps of its grid."""

import math
from collections import Counter

from fer_lightning.report.collection import Collection
from fer_lightning.report.convergence import DEFINITION
from fer_lightning.report.curve_figures import curve_panels, like_long
from fer_lightning.report.files import readable
from fer_lightning.report.grids import arranged, grid_of
from fer_lightning.report.heat_maps import MOST_MAPS, heat_maps
from fer_lightning.report.markup import Markup, element, joined
from fer_lightning.report.pictures import figure_image
from fer_lightning.report.section import Section, figure_box, paragraph
from fer_lightning.report.setting_values import short
from fer_lightning.report.sweeps import Configuration, Spread, Sweep
from fer_lightning.report.tables import Cell, figure, setting, spread, table

MOST_PANELS = 75
ALONE = "Runs outside sweeps"


def sweep_section(found: Collection) -> Section:
    """All sweeps, and then the runs that are in none."""
    parts = [(f"sweep-{i}", _name(sweep)) for i, sweep in enumerate(found.sweeps, 1)]
    shown_sweeps = [
        element("section", element("h3", name), _facts(sweep), _ranking(sweep), *_figures(sweep),
                id=id_)
        for (id_, name), sweep in zip(parts, found.sweeps, strict=True)
    ]  # fmt: skip
    content = joined([paragraph(DEFINITION, class_="note"), *shown_sweeps])
    return Section("sweeps", "Sweeps: ranking, convergence and curves", content, tuple(parts))


def _name(sweep: Sweep) -> str:
    return ALONE if sweep.path is None else readable(sweep.path.name)


def _facts(sweep: Sweep) -> Markup:
    """How many runs, what they vary, and the best of them."""
    runs = sweep.runs
    counts = Counter(run.status for run in runs)
    text = f"{len(runs)} runs ({', '.join(f'{n} {status}' for status, n in counts.items())})"
    if sweep.path is not None:
        varied = ", ".join(f"{key} ({len(sweep.values(key))})" for key in sweep.keys)
        text += f", varying {varied}" if varied else ""
        text += f"; mean ± standard deviation over {', '.join(sweep.repeated)}" * bool(
            sweep.repeated
        )
    best = sweep.ranking()[0]
    acc = best.score("best", "val", "acc")
    if acc is None:
        return paragraph(f"{text}. No run has a validation accuracy.")
    near = Spread.of(run.convergence.near_best for run in best.runs)
    name = best.label or "this configuration"
    return paragraph(
        f"{text}. Best on validation: ",
        element("strong", f"{name}: {spread(acc, '.1f', 100).text} %"),
        f", within one point of it from epoch {spread(near, '.0f').text}." if near else ".",
    )


def _ranking(sweep: Sweep) -> Markup:
    columns = [
        "Rank", *(["Run"] if sweep.path is None else map(short, sweep.keys)), "Status",
        "Val acc, %", "Val CE", "Best epoch", "Within one point", "CE turns", "Test acc, %",
        "Test CE", "Train acc, %", "Last val acc, %", "Last val CE", "Seconds",
    ]  # fmt: skip
    ranked = enumerate(sweep.ranking(), 1)
    return table(columns, [_row(rank, configuration) for rank, configuration in ranked])


def _row(rank: int, of: Configuration) -> list[Cell | str]:
    counts = Counter(run.status for run in of.runs)
    status = ", ".join(f"{n} {name}" if len(of.runs) > 1 else name for name, n in counts.items())
    best, near, turns = (
        Spread.of(getattr(run.convergence, name) for run in of.runs)
        for name in ("best", "near_best", "ce_turns")
    )
    turned = spread(turns, ".0f")
    if turns and turns.n < len(of.runs):
        turned = Cell(f"{turned.text} ({turns.n} of {len(of.runs)})", turns.mean)
    return [
        figure(rank, "d"),
        *([of.name] if of.name else map(setting, of.values.values())),
        status,
        spread(of.score("best", "val", "acc"), ".1f", 100),
        spread(of.score("best", "val", "ce"), ".3f"),
        spread(best, ".0f"),
        spread(near, ".0f"),
        turned,
        spread(of.score("best", "test", "acc"), ".1f", 100),
        spread(of.score("best", "test", "ce"), ".3f"),
        spread(of.score("best", "train", "acc"), ".1f", 100),
        spread(of.score("final", "val", "acc"), ".1f", 100),
        spread(of.score("final", "val", "ce"), ".3f"),
        spread(Spread.of(run.seconds for run in of.runs), ".1f"),
    ]


def _figures(sweep: Sweep) -> list[Markup]:
    """Curves of cross-entropy and accuracy, and maps if the sweep is a grid."""
    panels, columns = arranged(sweep, MOST_PANELS)
    n, said = len(sweep.configurations), ""
    if len(panels) < n:
        said = f" Of {n} configurations, the {len(panels)} best on validation are shown."
    if any(len(configuration.runs) > 1 for configuration in panels):
        said += " Each line is one run; a panel holds all seeds and folds of a configuration."
    if not like_long(panels):
        said += " Panels have epochs of their own, as some runs are far longer than others."
    captions = {
        "ce": "Cross-entropy of every epoch. Jumps are cut off at the top of their panel.",
        "acc": "Accuracy of every epoch.",
    }
    boxes = []
    for measure, caption in captions.items():
        image = figure_image(curve_panels(panels, measure, columns), caption)
        boxes.append(figure_box(image, caption + said))
    grid = grid_of(sweep)
    if grid is None:
        return boxes
    caption = "Best validation accuracy in percent, with the standard deviation of repeated cells."
    if math.prod(len(sweep.values(key)) for key in grid.others) > MOST_MAPS:
        caption += f" The first {MOST_MAPS} maps are shown."
    return [*boxes, figure_box(figure_image(heat_maps(sweep, grid), caption), caption)]
