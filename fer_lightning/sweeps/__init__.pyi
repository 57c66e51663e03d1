from .halving import HalvingSweeper as HalvingSweeper
from .launchers import (
    FusedLauncher as FusedLauncher,
    SubmittedLauncher as SubmittedLauncher,
    trained as trained,
)
from .objectives import DIRECTIONS as DIRECTIONS, pareto as pareto
from .ranking import rank as rank
from .rungs import rung_epochs as rung_epochs
from .search import OptunaSweeper as OptunaSweeper
from .watching import watcher_of as watcher_of
