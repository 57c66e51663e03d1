from .job import export as export
