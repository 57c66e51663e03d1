"""What runs the jobs of a sweep, and what ranks them.

In come the jobs that Hydra has composed, out go the folders of their runs, `summary.csv` and a
ranking. The launchers are registered in `hydra_plugins/`.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
