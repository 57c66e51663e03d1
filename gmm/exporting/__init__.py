"""Mixtures as ONNX files, which other programs run without PyTorch.

In comes a mixture, or one per class and how frequent the classes are; out goes a file that takes
points. The points are centred inside, so that float32 is enough.
"""

from gmm.exporting.graphs import Graph, graph_of
from gmm.exporting.onnx_file import required, to_onnx, write_onnx
from gmm.exporting.preparing import ExportError

__all__ = [
    "ExportError",
    "Graph",
    "graph_of",
    "required",
    "to_onnx",
    "write_onnx",
]
