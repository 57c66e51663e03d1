"""What is wrong with a data set: faces shown twice, empty pictures, doubtful labels.

In come the faces of any source, and perhaps the runs of a cross-validation; out go `audit.csv`, by
which faces can be left out of training, and one page with pictures.
"""

import lazy_loader

# What other rooms may use is listed in __init__.pyi, and imported when first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
