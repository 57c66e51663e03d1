from .launchers import FusedLauncher as FusedLauncher
from .launchers import SubmittedLauncher as SubmittedLauncher
from .launchers import trained as trained
from .ranking import rank as rank
