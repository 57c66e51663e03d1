"""The device whose results are compared with the CPU's, and how near they must be."""

import os

DEVICE = os.environ.get("GPU_TESTS_ON", "cuda")  # cpu, to try the tests themselves
# How far float32 may move in four epochs, relative to a cross-entropy: sums are taken in another
# order.
RTOL = {"mlp": 2e-4, "cnn": 2e-3}
