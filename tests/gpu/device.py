"""The device whose results are compared with the CPU's."""

DEVICE = "cuda"
