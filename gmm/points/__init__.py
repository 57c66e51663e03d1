"""Points as a stream of centred, padded and masked blocks, wherever they are.

In come tensors, arrays, batches or shards, of one process or several; out go blocks that fit in
memory.
"""

from gmm.points.blocks import Batches, Block, Points, as_points, open_points
from gmm.points.distributed import Distributed
from gmm.points.shards import Shards

__all__ = ["Batches", "Block", "Distributed", "Points", "Shards", "as_points", "open_points"]
