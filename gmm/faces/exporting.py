"""The export of a mixture: write the file, compare it with the library, say what came of it."""

from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.errors import InputError, SettingError, require, require_integer
from fer_lightning.files import whole_file
from gmm.exporting import ExportError, Graph, graph_of, required, write_onnx
from gmm.exporting.checking import BATCH, Check, check
from gmm.faces.compared import compared
from gmm.faces.image_graph import image_graph
from gmm.faces.stored_mixtures import StoredMixture, stored_mixture

INPUTS = ("images", "points")


def export(config: DictConfig) -> None:
    """Write the mixture that a configuration names to an ONNX file.

    Args:
        config: The composed configuration of `conf/gmm/export.yaml`.

    Raises:
        InputError: A setting breaks its rule, the mixture cannot be read or exported, or the
            packages of the extra `export` are not installed.
    """
    path = _checked(config)
    stored = stored_mixture(str(config.runs[0]), config.n_components)
    try:
        required("onnx", "onnxscript", "onnxruntime")
        graph = _graph(stored, config.input)
        both = compared(config, stored, graph.input)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            write_onnx(graph, part)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    except (ExportError, ImportError) as error:
        raise InputError(str(error)) from error
    found = check(path, graph, both.inputs, stored.mixture, both.points, stored.log_prior)
    print(_text(path, graph, found, both.words))


def _checked(config: DictConfig) -> Path:
    """Return the path of the file, once the settings are found to obey their rules."""
    one = "be one run of gmm.cluster or gmm.classify, or a model file"
    require(len(config.runs) == 1, "runs", one, list(config.runs))
    fits = isinstance(config.out, str) and config.out.endswith(".onnx")
    require(fits, "out", "be a file that ends in .onnx", config.out)
    if config.n_components is not None:
        require_integer("n_components", config.n_components, 1)
    known = config.input is None or config.input in INPUTS
    require(known, "input", f"be one of {', '.join(INPUTS)}, or null", config.input)
    return Path(config.out).expanduser()


def _graph(stored: StoredMixture, takes: str | None) -> Graph:
    """Return the graph for what goes in: faces, wherever it is known how they become points."""
    graph = graph_of(stored.mixture, stored.log_prior, stored.classes)
    if stored.temperature is not None:
        graph.facts["temperature"] = repr(stored.temperature)
    if stored.features is not None and takes != "points":
        return image_graph(graph, stored.features)
    if takes == "images":
        rule = "be points for a mixture of which nothing says how faces become its points"
        raise SettingError("input", rule, takes)
    return graph


def _text(path: Path, graph: Graph, found: Check, words: str) -> str:
    one, many = found.per_second
    probabilities = "probabilities" if "classes" in graph.facts else "responsibilities"
    return "\n".join(
        (
            f"{path}: {path.stat().st_size:,} bytes, takes {graph.facts['input']}",
            f"beside the library in float64, {found.n:,} {words}: greatest difference of log "
            f"densities {found.density:.2g}, of {probabilities} {found.probability:.2g}; "
            f"{found.same:.2%} the same answers",
            f"{one:,.0f} {graph.input} a second one at a time, {many:,.0f} in batches of {BATCH}",
        )
    )
