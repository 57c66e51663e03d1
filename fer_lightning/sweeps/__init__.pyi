from .elsewhere import SubmittedLauncher as SubmittedLauncher
from .halving import HalvingSweeper as HalvingSweeper
from .judging import judge_of as judge_of
from .launchers import FusedLauncher as FusedLauncher, trained as trained
from .on_ray import FusedRayLauncher as FusedRayLauncher, RayLauncher as RayLauncher
from .ranking import rank as rank
from .search import OptunaSweeper as OptunaSweeper
