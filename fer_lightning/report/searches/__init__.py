"""How a sweep that searches came to its best run, and which settings decided."""
