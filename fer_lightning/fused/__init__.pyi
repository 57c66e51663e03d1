from .cost import (
    Cost as Cost,
    bytes_of_model as bytes_of_model,
    free_bytes as free_bytes,
    fused_cost as fused_cost,
    waves as waves,
)
from .grouping import Part as Part, grouped as grouped, parts as parts
from .single_run import train as train
from .together import members as members, train_together as train_together
