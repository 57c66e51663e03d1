"""Faces as they are changed while a network learns, and the views by which it is evaluated."""
