"""One page about many runs, for a browser: `python -m fer_lightning.report`."""
