"""Networks as files that other programs run: ONNX, PyTorch's own format, and bare weights.

In comes a network that is ready to be used, out goes one file with all that stands between grey
levels and probabilities inside, compared with PyTorch before it is said to be there.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
