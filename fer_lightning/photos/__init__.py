"""Pictures, videos and cameras; the faces in them; and these faces cut out.

In come files of any kind from anywhere, out go pixels within bounds, places of faces, and faces as
the data sets have them. What an expression is, is not known here.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
