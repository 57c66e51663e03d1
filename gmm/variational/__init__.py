"""Variational inference: posteriors of mixtures in place of a maximum."""
