"""How good stored networks are, how sure, and how far that can be trusted.

In come folders of runs or checkpoints, out go measures, tables and pictures in
`evaluation/<split>/`. The measures are functions on tensors, which the mixtures use too.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
