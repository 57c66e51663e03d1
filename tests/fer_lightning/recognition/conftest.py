"""A photo with a face that everyone who has matplotlib has."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

PORTRAIT = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """Rear Admiral Grace Hopper, (600, 512, 3), her face at about x 175 to 360, y 110 to 345."""
    with Image.open(PORTRAIT) as image:
        return np.asarray(image.convert("RGB"))
