import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.plots.sheets import CONTACT_GAP, LABEL_WIDTH, contact_sheet


def test_each_row_shows_faces_of_its_class():
    labels = np.array([3, 0, 3, 6])
    pixels = np.full((4, 48, 48), 0, np.uint8) + np.array([30, 60, 90, 120])[:, None, None]
    sheet = np.asarray(contact_sheet(Faces.from_arrays(pixels, labels), per_class=2))
    step = 2 * 48 + CONTACT_GAP

    def tone(row, column):
        return sheet[CONTACT_GAP + row * step + 48, LABEL_WIDTH + column * step + 48]

    assert (tone(3, 0), tone(3, 1), tone(0, 0), tone(6, 0)) == (30, 90, 60, 120)
    assert tone(0, 1) == tone(1, 0) == 255


def test_faces_of_any_size_take_the_same_room():
    labels = np.arange(7)
    sheets = {
        contact_sheet(Faces.from_arrays(np.zeros((7, n, n), np.uint8), labels), per_class=3).size
        for n in (8, 48, 50, 224)
    }
    assert len(sheets) == 1
