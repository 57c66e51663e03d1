"""A device that is not here is one line at every door."""

import re

import numpy as np
import pytest
import torch
from oracles import blobs

import gmm
from fer_lightning.errors import InputError

ABSENT = [
    pytest.param(
        "cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="cuda is here")
    ),
    "cuda:99",
    "gpu",
    "hpu",
    "meta",
]


def told(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_here_is_told_by_the_library(device):
    x = blobs(20, 2)
    points = torch.from_numpy(x)
    fitted = (
        gmm.GaussianMixture(2, warm_start=True, random_state=0).fit(x).set_params(device=device)
    )
    classifier = gmm.MixtureClassifier(device=device)
    doors = [
        lambda: gmm.GaussianMixture(2, device=device).fit(x),
        lambda: gmm.GaussianMixture(2, device=device).fit(points),
        lambda: gmm.GaussianMixture(2, device=device).fit([x[:10], x[10:]]),
        lambda: gmm.GaussianMixture(2, device=device).partial_fit(x),
        lambda: fitted.fit(x),
        lambda: fitted.partial_fit(x),
        lambda: fitted.predict(x),
        lambda: fitted.sample(3),
        lambda: classifier.fit(x, np.arange(20) % 2),
        lambda: classifier.partial_fit(x, np.arange(20) % 2, classes=[0, 1]),
        lambda: gmm.fit_many(points, 2, device=device),
        lambda: (
            gmm.fit_many([points, points[:9]], [1, 2], device=torch.device("cuda:99"))
            if device == "cuda:99"
            else gmm.fit_many([points, points[:9]], [1, 2], device=device)
        ),
    ]
    expected = f"device must be one that PyTorch finds on this machine, such as cpu, got '{device}'"
    for door in doors:
        with pytest.raises(ValueError, match="device") as error:
            door()
        assert told(error) == expected


@pytest.mark.parametrize("command", ["cluster", "classify"])
@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_here_is_told_by_the_commands(entry_here, tmp_path, command, device):
    expected = f"device must be auto, cpu, or a CUDA device that is here, got '{device}'"
    with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
        entry_here(command, f"device={device}")
    assert not any((tmp_path / "run0").iterdir())
