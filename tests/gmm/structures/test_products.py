import numpy as np
import pytest
import torch

from gmm.structures import weighted_sums

DTYPES = [(torch.float32, 3e-6), (torch.float64, 1e-13)]


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("G", [1, 3])
def test_weighted_sums_add_every_row_once(G, dtype, tolerance):
    x, w = torch.rand(G, 5000, 30, dtype=dtype), torch.rand(G, 5000, 4, dtype=dtype)
    expected = np.einsum("gnp,gnd->gpd", w.double().numpy(), x.double().numpy())
    sums = weighted_sums(w, x)
    assert sums.dtype == torch.float64
    np.testing.assert_allclose(sums, expected, rtol=tolerance)
