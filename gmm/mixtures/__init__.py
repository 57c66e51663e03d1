"""A batch of mixtures as a value, and what can be asked of it."""
