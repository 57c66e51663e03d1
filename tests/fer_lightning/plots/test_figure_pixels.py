import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from fer_lightning.plots.style import pixels


def test_pixels_are_those_of_the_saved_file(tmp_path):
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.add_subplot().plot([0, 1], [1, 0], color="red")
    figure.savefig(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(pixels(figure), expected)
    assert expected.shape == (50, 100, 3)
