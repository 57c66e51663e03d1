"""A trained network put to use: from pictures, videos and crops to expressions.

In come weights, those that are shipped or those of a run, and pictures of any kind; out go faces
with calibrated probabilities, as values, tables, and annotated copies.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
