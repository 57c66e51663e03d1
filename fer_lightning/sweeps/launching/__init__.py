"""Hydra launchers that run the jobs of a sweep: here, together, or on other machines."""
