"""A page in the browser: a photo in, expressions out, and networks and mixtures side by side.

In come models, by name, each from faces to probabilities, and a recogniser; out goes a page that
this machine serves, which asks no other machine for anything.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
