"""Hydra sweepers that choose runs by what came of others: searches, and sweeps that stop early."""
