from .cache import load as load
from .class_names import CLASSES as CLASSES
from .contrast import equalised as equalised, prepared as prepared
from .datamodule import FaceDataModule as FaceDataModule
from .faces import (
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
from .image_size import SIZE as SIZE, require_image_size as require_image_size
from .loading import (
    LoadedFaces as LoadedFaces,
    loaded as loaded,
    loaded_by as loaded_by,
    twins_in_training as twins_in_training,
)
from .loading_rules import require_loading_of as require_loading_of
from .minibatches import (
    EVALUATION_BATCH as EVALUATION_BATCH,
    Augmentation as Augmentation,
    Batch as Batch,
    Minibatches as Minibatches,
    ShareOfBatch as ShareOfBatch,
    TrainLoader as TrainLoader,
    epoch_order as epoch_order,
    in_order as in_order,
)
from .resident import ResidentFaces as ResidentFaces
from .sources.fer2013 import Fer2013 as Fer2013
from .sources.folder import ClassFolders as ClassFolders
from .sources.synthetic import Synthetic as Synthetic
from .sources.tfd import Tfd as Tfd
from .splitting import (
    SPLITS as SPLITS,
    require_contrast as require_contrast,
)
