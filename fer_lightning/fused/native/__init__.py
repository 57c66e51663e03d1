"""Epochs of SGD as compiled loops on a CPU, a model on each core."""
