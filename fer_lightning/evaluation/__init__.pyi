from .calibration import Reliability as Reliability
from .calibration import best_temperature as best_temperature
from .calibration import reliability as reliability
from .calibration import reliability_diagram as reliability_diagram
from .calibration import scaled as scaled
from .job import evaluate as evaluate
