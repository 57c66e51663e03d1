"""The folder of a run: every file in it, its format, and how it is read again.

In comes what a run has to say, out go files that are whole at any time; or in come the files of a
run from anywhere, and out go plain values that cannot run code. Runs are resumed from here.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
