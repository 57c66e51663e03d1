"""How the expressions of a video's persons change over time, as a figure."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fer_lightning.data import CLASSES
from fer_lightning.plots import DPI, EXPRESSIONS, INK, plain
from fer_lightning.recognition.tracks import SMOOTHING, Tracks

MOST = 4  # persons, those who are seen longest


def timeline(tracks: Tracks, name: str) -> Figure | None:
    """Draw the probabilities of the expressions over time, stacked; a panel for each person.

    Args:
        tracks: The persons of a video.
        name: Name of the video, for the title.

    Returns:
        The figure, or None if there is nobody.
    """
    persons = sorted(tracks.longest(MOST))
    if not persons:
        return None
    figure = Figure(figsize=(9, 1.2 + 1.9 * len(persons)), dpi=DPI, layout="constrained")
    axes_of = figure.subplots(len(persons), 1, sharex=True, squeeze=False)[:, 0]
    for axes, person in zip(axes_of, persons, strict=True):
        times, probabilities = tracks.smooth(person)
        colors = [EXPRESSIONS[c] for c in CLASSES]
        axes.stackplot(times, probabilities.T, labels=CLASSES, colors=colors, linewidth=0)
        axes.set_ylim(0, 1)
        plain(axes, "", f"person {person}" if len(tracks.seconds) > 1 else "probability")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes_of[-1].set_xlabel("seconds", color=INK)
    more = len(tracks.seconds) - len(persons)
    left_out = f"; {more} more seen for less time" if more > 0 else ""
    title = f"{name}: means over about {SMOOTHING:g} s{left_out}"
    axes_of[0].set_title(title, size=11, color=INK, loc="left")
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=7, fontsize=8)
    return figure
