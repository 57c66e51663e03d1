"""The mixtures: what they look like, how EM went, and how well they tell expressions apart."""

from fer_lightning.bounded_files import value_at
from fer_lightning.report.collection import Collection
from fer_lightning.report.files import number_at, text_at
from fer_lightning.report.markup import Markup, element, joined
from fer_lightning.report.mixture_figures import MOST_PANELS, error_panels, likelihood_panels
from fer_lightning.report.mixtures import MixtureRun
from fer_lightning.report.pictures import figure_image, picture_image
from fer_lightning.report.section import Section, command, figure_box, folded, paragraph
from fer_lightning.report.setting_values import shown
from fer_lightning.report.tables import Cell, figure, percent, table

MOST = 6  # runs of which pictures are embedded
CLUSTER_PICTURES = {
    "means": "Means",
    "variances": "Variances",
    "mixing": "Mixing proportions",
    "typical": "Most typical faces",
    "samples": "Sampled faces",
    "clusters": "Clusters against expressions",
}
CLASSIFY_PICTURES = {"confusion": "Confusion matrix", "reliability": "Reliability"}
ABOUT = {
    "cluster": ("Clusters of faces", "python -m gmm.cluster"),
    "classify": ("A mixture per expression", "python -m gmm.classify"),
}


def mixture_section(found: Collection) -> Section:
    """Clusterings, and mixtures that tell expressions apart."""
    parts = [
        element(
            "section", element("h3", ABOUT[kind][0]), *_part(kind, found), id=f"mixtures-{kind}"
        )
        for kind in ABOUT
    ]
    links = tuple((f"mixtures-{kind}", title) for kind, (title, _) in ABOUT.items())
    return Section("mixtures", "Gaussian mixtures", joined(parts), links)


def _part(kind: str, found: Collection) -> list[Markup]:
    runs = found.of_kind(kind)
    if not runs:
        return [paragraph("None among these runs; made by ", command(ABOUT[kind][1]), ".")]
    few = [(_title(run), run) for run in runs if run.rows][:MOST_PANELS]
    limit = f" At most {MOST_PANELS} runs are drawn." if len(runs) > MOST_PANELS else ""
    if kind == "cluster":
        told, pictures = _clusterings(runs), CLUSTER_PICTURES
        caption = "Log-likelihood of the training faces before each M-step, from the second on."
        drawn = likelihood_panels(few) if few else None
    else:
        told, pictures = _classifications(runs), CLASSIFY_PICTURES
        caption = "Share of wrong answers against the number of components of each expression."
        drawn = error_panels(few) if few else None
    box = [figure_box(figure_image(drawn, caption), caption + limit)] if drawn else []
    return [told, *box, *(_pictures(run, pictures, run is runs[0]) for run in runs[:MOST])]


def _title(run: MixtureRun) -> str:
    classes = value_at(run.summary, "classes")
    told = f", {len(classes)} expressions" if isinstance(classes, list) else ""
    features = text_at(run.summary, "features", "name")
    structure = shown(run.setting("mixture.covariance_type"))
    return f"{run.folder.name}\n{structure}, {features}{told}"


def _clusterings(runs: list[MixtureRun]) -> Markup:
    columns = [
        "Run", "K", "Covariance", "Features", "Start", "Iterations", "Within 0.1 % at",
        "Log-likelihood, train", "Val", "Test", "BIC", "Purity", "Largest class", "Adjusted Rand",
        "Seconds",
    ]  # fmt: skip
    return table(columns, map(_clustering, runs))


def _clustering(run: MixtureRun) -> list[Cell | str]:
    s = run.summary
    weights, start = value_at(s, "model", "weights"), text_at(s, "model", "start") or "-"
    likelihood = [number_at(s, "model", "log_likelihood", x) for x in ("train", "val", "test")]
    return [
        run.folder.name,
        figure(len(weights) if isinstance(weights, list) else None, "d"),
        shown(run.setting("mixture.covariance_type")),
        text_at(s, "features", "name") or "-",
        start,
        figure(number_at(s, "log_likelihood", start, "iterations"), ",.0f"),
        figure(number_at(s, "log_likelihood", start, "within_0.1_percent_at"), ",.0f"),
        *(figure(value, ",.0f") for value in likelihood),
        figure(number_at(s, "model", "bic"), ",.0f"),
        percent(number_at(s, "clusters", "purity")),
        percent(number_at(s, "clusters", "largest_class")),
        figure(number_at(s, "clusters", "adjusted_rand"), ".3f"),
        figure(number_at(s, "seconds"), ".1f"),
    ]


def _classifications(runs: list[MixtureRun]) -> Markup:
    columns = [
        "Run", "Expressions", "Covariance", "Features", "Best K", "Train error", "Val error",
        "Test error", "Temperature", "ECE", "ECE scaled", "NLL", "NLL scaled", "Seconds",
    ]  # fmt: skip
    return table(columns, map(_classification, runs))


def _classification(run: MixtureRun) -> list[Cell | str]:
    s = run.summary
    classes = value_at(s, "classes")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    return [
        run.folder.name,
        ", ".join(names) if len(names) < 4 else f"{len(names)}",
        shown(run.setting("mixture.covariance_type")),
        text_at(s, "features", "name") or "-",
        figure(number_at(s, "best", "n_components"), ",.0f"),
        *(figure(number_at(s, "best", split), ".3f") for split in ("train", "val", "test")),
        figure(number_at(s, "calibration", "temperature"), ",.3g"),
        *(
            figure(number_at(s, "calibration", state, name), ".3g")
            for name in ("ece", "nll")
            for state in ("test_as_fitted", "test_scaled")
        ),
        figure(number_at(s, "seconds"), ".1f"),
    ]


def _pictures(run: MixtureRun, pictures: dict[str, str], unfolded: bool) -> Markup:
    boxes = []
    for name, caption in pictures.items():
        path = run.folder.path / f"{name}.png"
        image = picture_image(path, f"{caption} of {run.folder.name}") if path.is_file() else None
        if image:
            boxes.append(figure_box(image))
    return folded(f"Pictures of {run.folder.name}", boxes, unfolded=unfolded)
