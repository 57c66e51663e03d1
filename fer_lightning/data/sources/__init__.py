"""The data sets that can be read, a file for each format.

In comes a path, out go `FaceSplits`. A source is a frozen dataclass whose fields are its settings.
"""
