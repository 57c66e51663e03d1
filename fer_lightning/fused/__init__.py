"""Many small networks trained as one, and the choice of the loop that trains a single one.

In come runs that have not been trained, out go the same runs with trained networks and the files
that Lightning's loop would have left. The loop, its gradients and its optimisers are our own.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
