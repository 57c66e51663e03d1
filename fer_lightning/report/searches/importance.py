"""How much of the differences between runs each setting explains: functional ANOVA, by optuna."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.plots import BLUE, INK
from fer_lightning.report.runs import Run
from fer_lightning.report.searches.scale import Scale, scale_of
from fer_lightning.report.searches.search import NAMES, objective
from fer_lightning.report.sweeps import short, shown
from fer_lightning.sweeps import DIRECTIONS

LEAST = 4  # runs
MOST = 12  # settings that are drawn


def has_optuna() -> bool:
    """Return whether the packages that tell importances are there."""
    try:
        import optuna
        import sklearn  # noqa: F401
    except ImportError:
        return False
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return True


def importances(
    runs: Sequence[Run], keys: Sequence[str], logarithmic: Mapping[str, bool], name: str
) -> dict[str, float] | None:
    """Return the share of each setting in the variance of an objective, the largest first.

    Hutter, Hoos & Leyton-Brown (2014), "An efficient approach for assessing hyperparameter
    importance". Runs that have diverged count as the worst of the others.

    Args:
        runs: Those that have ended.
        keys: The settings.
        logarithmic: Of those with an interval, whether it was logarithmic.
        name: Of the objective.

    Returns:
        Shares, or None if there are too few runs, or all are alike.
    """
    values = [objective(run, name) for run in runs]
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return None
    worst = min(known) if DIRECTIONS[name] == "maximize" else max(known)
    told = [
        (run, worst if value is None else value)
        for run, value in zip(runs, values, strict=True)
        if value is not None or run.status == "diverged"
    ]
    columns = {key: [run.settings.get(key) for run, _ in told] for key in keys}
    scales = {key: scale_of(column, logarithmic.get(key)) for key, column in columns.items()}
    varying = {key: scale for key, scale in scales.items() if len(scale.values) > 1}
    if len(told) < LEAST or not varying:
        return None
    return _fanova(columns, varying, [value for _, value in told])


def _fanova(
    columns: Mapping[str, Sequence[Any]], scales: Mapping[str, Scale], values: Sequence[float]
) -> dict[str, float] | None:
    import optuna
    from optuna.trial import create_trial

    study = optuna.create_study()  # in memory; of the direction nothing depends here
    distributions = {key: _distribution(scale) for key, scale in scales.items()}
    for i, value in enumerate(values):
        params = {key: _param(scale, columns[key][i]) for key, scale in scales.items()}
        study.add_trial(create_trial(params=params, distributions=distributions, value=value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        told = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (RuntimeError, ValueError):  # no tree finds a difference
        return None
    return dict(told) if np.isfinite(list(told.values())).all() else None


def _distribution(scale: Scale) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if scale.kind == "categories":
        names = [_param(scale, value) for value in scale.values]
        return CategoricalDistribution(list(dict.fromkeys(names)))
    low, high = float(scale.values[0]), float(scale.values[-1])
    return FloatDistribution(low, high, log=scale.kind == "log")


def _param(scale: Scale, value: Any) -> Any:
    return shown(value) if scale.kind == "categories" else float(value)


def importance_bars(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw the importance of each setting as bars, a panel for each objective.

    Args:
        shares: By objective, the share of each setting.
    """
    first = next(iter(shares.values()))
    keys = list(first)[:MOST]
    n = len(shares)
    size = (min(10.6, 1.6 + 3.9 * n), 0.75 + 0.3 * len(keys))
    figure = Figure(size, layout="constrained")
    panels = figure.subplots(1, n, squeeze=False, sharey=True)[0]
    for axes, (name, each) in zip(panels, shares.items(), strict=True):
        _bars(axes, [each.get(key, 0.0) for key in keys])
        axes.set_title(NAMES[name].removesuffix(", %"), size=8.5, color=INK, loc="left")
    panels[0].set_yticks(range(len(keys)), [short(key) for key in keys])
    panels[0].invert_yaxis()
    return figure


def _bars(axes: Axes, shares: Sequence[float]) -> None:
    places = range(len(shares))
    axes.barh(places, shares, color=BLUE, height=0.62)
    for y, share in zip(places, shares, strict=True):
        text = "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"
        axes.annotate(text, (share, y), (4, 0), textcoords="offset points", size=8, color=INK,
                      va="center")  # fmt: skip
    axes.set_xlim(0, 1.18 * max(*shares, 1e-3))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(INK)
    axes.tick_params(length=0, labelbottom=False, colors=INK, labelsize=8.5)
