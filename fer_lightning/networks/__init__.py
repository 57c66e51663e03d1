"""The networks, a file each, top to bottom.

In come faces (B, 1, 48, 48), out go logits (B, 7). Each is an `ExpressionClassifier`, which knows
how to train it.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
