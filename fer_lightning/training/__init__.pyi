from .augmentation import Augment as Augment
from .callbacks.progress import EpochBar as EpochBar
from .callbacks.stops import Judge as Judge
from .classifier import ExpressionClassifier as ExpressionClassifier
from .loggers import TensorBoard as TensorBoard, log_epoch as log_epoch
from .losses import CrossEntropy as CrossEntropy
from .optimizers import (
    SGD as SGD,
    AdamW as AdamW,
    Muon as Muon,
    OptimizerSettings as OptimizerSettings,
)
from .predictions import (
    COLUMNS as COLUMNS,
    Predictions as Predictions,
    confident_mistakes as confident_mistakes,
    logits_of as logits_of,
    predict as predict,
    uncertain_faces as uncertain_faces,
)
from .rules import check_settings as check_settings
from .run import ALL_THREADS as ALL_THREADS, Run as Run, fit as fit, leave_group as leave_group
from .schedules import (
    Cosine as Cosine,
    OneCycle as OneCycle,
    Plateau as Plateau,
    Schedule as Schedule,
    Step as Step,
    configured as configured,
)
from .views import (
    TTA as TTA,
    as_evaluated as as_evaluated,
    evaluated as evaluated,
    require_tta as require_tta,
)
