"""How fast the project is on a GPU: `python -m benchmarks.gpu`."""
