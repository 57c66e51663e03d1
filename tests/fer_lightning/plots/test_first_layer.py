import numpy as np
import pytest
import torch
from torch import nn

from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.plots.sheets import first_layer


def canvas_of(figure):
    return figure.axes[0].images[0]


@pytest.mark.parametrize("model", [MLP([3, 4]), CNN([3, 4], kernel_size=7)])
def test_all_weights_share_one_symmetric_grey_scale_with_a_bar(saved, model):
    weights = next(model.parameters()).detach()
    picture = canvas_of(saved(first_layer(model)))
    largest = float(weights.abs().max())
    assert picture.get_clim() == pytest.approx((-largest, largest))
    assert picture.get_cmap().name == "gray"
    assert len(picture.axes.figure.axes) == 2
    shown = picture.get_array().compressed()
    assert set(np.unique(shown)) == set(np.unique(weights))


def test_a_hidden_unit_is_shown_as_the_face_that_it_looks_for(saved):
    model = MLP([2])
    with torch.no_grad():
        next(model.parameters())[1] = torch.arange(2304) / 2304
    figure = saved(first_layer(model))
    tile = canvas_of(figure).get_array()[-48:, -48:]
    np.testing.assert_allclose(tile, np.arange(2304).reshape(48, 48) / 2304, rtol=1e-6)
    assert figure.texts[0].get_text() == "First layer: weights of 2 hidden units"


def test_a_filter_is_enlarged_whole(saved):
    model = CNN([2, 3], kernel_size=3)
    figure = saved(first_layer(model))
    tile = canvas_of(figure).get_array()[-48:, -48:]
    conv = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    np.testing.assert_array_equal(tile[::16, ::16], conv.weight.detach()[1, 0])
    np.testing.assert_array_equal(tile[15::16, 15::16], conv.weight.detach()[1, 0])


@pytest.mark.parametrize("n", [2, 7, 16, 25, 100])
def test_any_number_of_units_fits_on_a_page(saved, n):
    width, height = saved(first_layer(MLP([n]))).get_size_inches()
    assert width < 9
    assert height < 9
