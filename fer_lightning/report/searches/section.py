"""What the page shows of a search: its figures, one below the other."""

from collections.abc import Iterator

from fer_lightning.report.markup import Markup, command, figure_box, paragraph
from fer_lightning.report.pictures import figure_image
from fer_lightning.report.searches.front import front_of, front_scatter
from fer_lightning.report.searches.funnel import funnels
from fer_lightning.report.searches.importance import LEAST, has_optuna, importance_bars, importances
from fer_lightning.report.searches.parallel import parallel_coordinates
from fer_lightning.report.searches.progress import progress
from fer_lightning.report.searches.rungs import races
from fer_lightning.report.searches.search import ACCURACY, Search, objective, search_of
from fer_lightning.report.sweeps import Sweep, grid_of

MOST_AXES = 8


def search_boxes(sweep: Sweep) -> list[Markup]:
    """Return what is shown of how a sweep searched, and of what its settings do; [] for none."""
    search = search_of(sweep)
    if search is None:
        return []
    boxes: list[Markup] = []
    if search.chose:
        boxes += _progress(search)
    if search.is_halving:
        boxes += _funnels(search)
    if len(search.objectives) > 1:
        boxes += _front(search)
    if search.chose or len(sweep.configurations) >= LEAST:
        boxes += _importance(search)
        if search.chose or (len(sweep.keys) > 1 and not _is_map(sweep)):
            boxes += _parallel(search)
    return boxes


def _is_map(sweep: Sweep) -> bool:
    """Return whether heat maps show all of a sweep: a grid of two settings."""
    grid = grid_of(sweep)
    return grid is not None and not grid.others


def _progress(search: Search) -> Iterator[Markup]:
    runs, name = search.ended(), search.objectives[0]
    if any(objective(run, name) is not None for run in runs):
        caption = "The best run so far. Each point is a run, with the best of its epochs."
        yield figure_box(figure_image(progress(runs, name), caption), caption)


def _funnels(search: Search) -> Iterator[Markup]:
    found = races(search)
    if found:
        caption = "Runs that came to each rung, and their best validation accuracy until then."
        yield figure_box(figure_image(funnels(found), caption), caption)


def _front(search: Search) -> Iterator[Markup]:
    runs = [run for run in search.ended() if run.status == "done"]
    whole, in_front = front_of(runs, search.objectives)
    if whole:
        caption = f"The Pareto front: {sum(in_front)} of {len(whole)} runs, with their numbers."
        if len(search.objectives) > 2:
            caption += f" It is that of all {len(search.objectives)} objectives."
        figure = front_scatter(whole, in_front, search.objectives)
        yield figure_box(figure_image(figure, caption), caption)


def _importance(search: Search) -> Iterator[Markup]:
    keys = search.sweep.keys
    if len(keys) < 2:
        return
    if not has_optuna():
        extra = "pip install -e '.[search]'"
        yield paragraph("How important each setting is, is shown with ", command(extra), ".",
                        class_="note")  # fmt: skip
        return
    runs = search.ended()
    told = {name: importances(runs, keys, search.logarithmic, name) for name in search.objectives}
    known = {name: shares for name, shares in told.items() if shares}
    if known:
        caption = (
            "Importance: the share of each setting in what differs between runs, by functional "
            "ANOVA; the shares sum to 1."
        )
        if any(run.was_given_up for run in runs):
            caption += " Runs that were stopped count with the best of their epochs."
        yield figure_box(figure_image(importance_bars(known), caption), caption)


def _parallel(search: Search) -> Iterator[Markup]:
    runs = [run for run in search.sweep.runs if objective(run, ACCURACY) is not None]
    keys = search.sweep.keys[:MOST_AXES]
    if len(runs) < 2 or not keys:
        return
    caption = "Each line is a run, from its settings to its best validation accuracy."
    if len(keys) < len(search.sweep.keys):
        caption += f" The first {MOST_AXES} settings are shown."
    if len(runs) < len(search.sweep.runs):
        caption += f" Runs without one: {len(search.sweep.runs) - len(runs)}."
    figure = parallel_coordinates(runs, keys, search.logarithmic)
    yield figure_box(figure_image(figure, caption), caption)
