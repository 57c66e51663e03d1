from .augmenting.augmentation import Augment as Augment
from .augmenting.views import (
    TTA as TTA,
    as_evaluated as as_evaluated,
    evaluated as evaluated,
    require_tta as require_tta,
)
from .by_lightning.classifier import ExpressionClassifier as ExpressionClassifier
from .by_lightning.fitting import Fit as Fit
from .by_lightning.without_plots import import_torchmetrics as import_torchmetrics
from .callbacks.progress import EpochBar as EpochBar
from .callbacks.stops import Judge as Judge
from .expression_network import ExpressionNetwork as ExpressionNetwork
from .loggers import TensorBoard as TensorBoard, log_figures as log_figures
from .losses import CrossEntropy as CrossEntropy
from .optim.optimizers import (
    SGD as SGD,
    AdamW as AdamW,
    Muon as Muon,
    OptimizerSettings as OptimizerSettings,
)
from .optim.schedules import (
    Cosine as Cosine,
    OneCycle as OneCycle,
    Plateau as Plateau,
    Schedule as Schedule,
    Step as Step,
    configured as configured,
)
from .predictions import (
    COLUMNS as COLUMNS,
    Predictions as Predictions,
    confident_mistakes as confident_mistakes,
    predict as predict,
    uncertain_faces as uncertain_faces,
)
from .rules import check_settings as check_settings
from .run import ALL_THREADS as ALL_THREADS, Run as Run, leave_group as leave_group
from .scoring import logits_of as logits_of
