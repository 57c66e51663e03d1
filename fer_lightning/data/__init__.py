"""Faces: where they come from, how they are kept, and how a network receives them.

In comes a data set in one of the formats of `sources/`, out go `FaceSplits` in memory and, by
`FaceDataModule`, minibatches on the device that trains.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
