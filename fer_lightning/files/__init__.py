"""Files: written whole, read within bounds, unpacked without surprises.

In come paths, out go plain values. Nothing here knows faces, networks or runs.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
