"""What all commands share: Hydra's entry, the words of a command line, and the jobs of a sweep.

In comes a command line, out goes a call of the command with its configuration and the folder of
its run. A mistake of the user becomes one line, a signal a line that says how to go on. Only
commands import this room.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
