"""ONNX files of mixtures."""

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from gmm.exporting.graphs import Graph, graph_of
from gmm.exporting.preparing import ExportError
from gmm.mixtures.mixture import Mixture

OPSET = 18
MAX_BYTES = 2**31 - 2**20  # of a file, with room for what is no number
MISSING = "ONNX files need other packages: pip install 'fer-lightning[export]'"


def to_onnx(
    mixture: Mixture,
    path: str | Path,
    *,
    log_prior: Any = None,
    classes: Sequence[Any] | None = None,
) -> None:
    """Write a mixture, or a mixture per class, to an ONNX file that takes points (N, D), float32.

    The file of one mixture gives `log_prob`, (N,), `log_responsibilities`, (N, K), and `cluster`,
    (N,). That of a mixture per class gives `log_joint` and `log_proba`, (N, C), and `label`, (N,),
    the place of the likeliest class.

    Args:
        mixture: Of batch shape (), or (C,) for a mixture per class.
        path: The file.
        log_prior: log p(c) of every class, (C,); only for a mixture per class.
        classes: Names or numbers of the classes, (C,), kept in the metadata; 0, 1, ... by default.

    Raises:
        ExportError: If an argument breaks its rule, a covariance is singular, or the file would be
            larger than 2 GB.
        ImportError: If the packages of the extra `export` are not installed.

    Examples:
        ::

            gmm.to_onnx(fits.mixture, "mixture.onnx")
            gmm.to_onnx(
                classifier.mixtures_,  # of a `MixtureClassifier`
                "classifier.onnx",
                log_prior=classifier.class_log_prior_,
                classes=classifier.classes_,
            )
    """
    write_onnx(graph_of(mixture, log_prior, classes), path)


def write_onnx(graph: Graph, path: str | Path) -> None:
    """Write a graph as ONNX, with its facts in the metadata; see `to_onnx` for the errors."""
    required("onnx", "onnxscript")
    n_bytes = sum(buffer.nbytes for buffer in graph.module.buffers())
    if n_bytes > MAX_BYTES:
        raise ExportError(f"the mixture must fit in 2 GB, got {n_bytes / 1e9:.3g} GB of numbers")
    with _quiet():
        shapes = ({0: Dim("n", min=1)},)
        program = torch.export.export(graph.module, (graph.example,), dynamic_shapes=shapes)
        exported: Any = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[graph.input],
            output_names=list(graph.outputs),
        )
    exported.model.metadata_props.update(graph.facts)
    exported.model.graph.name = "gmm"
    exported.save(str(path))


def required(*names: str) -> list[Any]:
    """Return packages, or raise an `ImportError` that says what to install."""
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(MISSING) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters from telling on the terminal what they do."""
    loggers = [
        logging.getLogger(n) for n in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
