"""The mixtures applied to faces: what `python -m gmm.cluster` and `python -m gmm.classify` do.

In come a configuration and a data set, out go mixtures, figures and tables in the folder of a run.
The library knows nothing of this package.
"""
