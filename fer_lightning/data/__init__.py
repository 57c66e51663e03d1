"""Faces: where they come from, and how a network receives them."""
