"""Train a network from a clone: the same as `python -m fer_lightning.train`."""

from fer_lightning.train import cli

if __name__ == "__main__":
    cli()
