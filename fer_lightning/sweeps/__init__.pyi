from .elsewhere import SubmittedLauncher as SubmittedLauncher
from .launchers import FusedLauncher as FusedLauncher, trained as trained
from .on_ray import FusedRayLauncher as FusedRayLauncher, RayLauncher as RayLauncher
from .ranking import rank as rank
