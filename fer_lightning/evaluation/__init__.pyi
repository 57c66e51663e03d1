from .calibration import (
    Reliability as Reliability,
    best_temperature as best_temperature,
    reliability as reliability,
    reliability_diagram as reliability_diagram,
    scaled as scaled,
)
from .job import evaluate as evaluate
from .stored_runs import (
    DataSet as DataSet,
    chosen_faces as chosen_faces,
    load_network as load_network,
    run_faces as run_faces,
)
