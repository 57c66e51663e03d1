"""The networks, a file each: plain modules, top to bottom.

In come faces in [0, 1], (B, 1, H, H), out go logits, (B, 7). How they are trained is said in
`fer_lightning.training`.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
