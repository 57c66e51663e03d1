"""What a stored mixture per class says of faces: probabilities of all expressions."""

from collections.abc import Callable

import numpy as np
import torch

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError
from gmm.faces.image_graph import encoded
from gmm.faces.stored_mixtures import stored_mixture


def answers_of(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps faces, (N, H, H) uint8, to probabilities of the seven classes, (N, 7).

    They are calibrated as the run has found; a class that it does not know has probability 0.

    Args:
        name: Folder of a run of `gmm.classify`.

    Raises:
        InputError: It has no mixture per class, or does not say how faces become points.
    """
    stored = stored_mixture(name)
    features, log_prior = stored.features, stored.log_prior
    if features is None or log_prior is None or stored.classes is None:
        raise InputError(f"{name}: must be the folder of a run of gmm.classify")
    places = [CLASSES.index(label) for label in stored.classes]
    temperature = stored.temperature or 1.0

    def answer(faces: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(np.ascontiguousarray(faces)).unsqueeze(1)
        points = encoded(images, features).to(stored.mixture.means.dtype)
        evidence = stored.mixture.score_samples(points, dtype=torch.float64).cpu()
        log_joint = evidence + log_prior[:, None]  # (C, N)
        found = np.zeros((len(faces), len(CLASSES)))
        found[:, places] = (log_joint / temperature).softmax(0).mT.numpy()
        return found

    return answer
