"""How figures, sheets of faces and tables of text look.

In come tensors and texts, out go matplotlib figures and lines for the terminal. What a figure
means is said where it is asked for.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
