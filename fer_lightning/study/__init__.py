"""The published study, one command after another: `python -m fer_lightning.study`.

In come its parts (A1, B3, ...), out go the folders of their runs and a report. Each step is a
command line that one can also type.
"""
