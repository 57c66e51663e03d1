from .launching.elsewhere import SubmittedLauncher as SubmittedLauncher
from .launching.launchers import FusedLauncher as FusedLauncher, trained as trained
from .launching.on_ray import FusedRayLauncher as FusedRayLauncher, RayLauncher as RayLauncher
from .ranking import rank as rank
from .searching.halving import HalvingSweeper as HalvingSweeper
from .searching.judging import judge_of as judge_of
from .searching.objectives import DIRECTIONS as DIRECTIONS, pareto as pareto
from .searching.rungs import rung_epochs as rung_epochs
from .searching.search import OptunaSweeper as OptunaSweeper
