"""Faces that the project draws itself, from facial action units.

In come strengths of action units, an identity and a photo; out go grey levels (N, 1, 48, 48).
"""
