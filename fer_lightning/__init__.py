"""Recognise seven facial expressions on grey faces, with PyTorch Lightning and Hydra.

The commands stand here as modules; everything else lives in rooms, of which each imports only
those below it. `docs/architecture.md` is the map.
"""
