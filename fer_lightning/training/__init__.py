"""One run of Lightning: the LightningModule that all networks share, optimisers, and callbacks.

In comes a composed configuration, out goes a trained network and, by the callbacks, all that
stands in the folder of its run. `Run` holds the parts together.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
