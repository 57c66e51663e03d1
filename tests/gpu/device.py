"""The device whose results are compared with the CPU's, and how near they must be."""

DEVICE = "cuda"
# How far float32 may move in four epochs, relative to a cross-entropy: sums are taken in another
# order.
RTOL = {"mlp": 2e-4, "cnn": 2e-3}
