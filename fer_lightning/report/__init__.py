"""One page about many runs: `python -m fer_lightning.report`.

In come folders of runs, which are read and never trusted; out goes one HTML file that needs
neither a network nor any other file. Nothing here knows networks or faces.
"""
