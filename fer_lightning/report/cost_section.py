"""What accuracy costs in parameters and in time."""

from fer_lightning.report.collection import Collection
from fer_lightning.report.cost_figure import Cost, cost_figure
from fer_lightning.report.files import number_at
from fer_lightning.report.pictures import figure_image
from fer_lightning.report.section import Section, figure_box, paragraph


def cost_section(found: Collection) -> Section:
    """Accuracy against parameters and against seconds, of all runs."""
    title = "Accuracy against parameters and seconds"
    costs = _costs(found)
    if not costs:
        return Section("cost", title, paragraph("No run has a validation accuracy yet."))
    caption = (
        "A point for each run: its best validation accuracy. Seconds compare only runs of one "
        "device with nothing else beside them; those of mixtures are of all numbers of components "
        "together."
    )
    return Section("cost", title, figure_box(figure_image(cost_figure(costs), title), caption))


def _costs(found: Collection) -> list[Cost]:
    costs = []
    for run in found.runs:
        acc = run.score("best", "val", "acc")
        if acc is not None:
            n_parameters = number_at(run.summary, "n_parameters")
            costs.append(Cost(run.model or "network", acc, n_parameters, run.seconds))
    for mixture in found.of_kind("classify"):
        error = number_at(mixture.summary, "best", "val")
        if error is not None and mixture.tells_all_test_faces_apart:
            n_parameters = number_at(mixture.summary, "best", "n_parameters")
            seconds = number_at(mixture.summary, "seconds")
            costs.append(Cost("mixtures", 1 - error, n_parameters, seconds))
    return costs
