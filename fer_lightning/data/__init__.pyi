from .cache import load as load
from .datamodule import EVALUATION_BATCH as EVALUATION_BATCH, FaceDataModule as FaceDataModule
from .faces import (
    CLASSES as CLASSES,
    SIZE as SIZE,
    Faces as Faces,
    FaceSplits as FaceSplits,
    Source as Source,
    cross_validated as cross_validated,
)
from .findings import (
    AUDIT_COLUMNS as AUDIT_COLUMNS,
    DROPPED as DROPPED,
    FINDINGS as FINDINGS,
    TWINS as TWINS,
    require_findings as require_findings,
)
from .loading import (
    LoadedFaces as LoadedFaces,
    loaded as loaded,
    loaded_by as loaded_by,
    twins_in_training as twins_in_training,
)
from .minibatches import (
    Batch as Batch,
    Minibatches as Minibatches,
    ShareOfBatch as ShareOfBatch,
    TrainLoader as TrainLoader,
    epoch_order as epoch_order,
    in_order as in_order,
)
from .sources.fer2013 import Fer2013 as Fer2013
from .sources.folder import ClassFolders as ClassFolders
from .sources.synthetic import Synthetic as Synthetic
from .sources.tfd import Tfd as Tfd
from .splitting import SPLITS as SPLITS, require_loading as require_loading
