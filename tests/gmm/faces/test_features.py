import numpy as np
import pytest
import torch
from oracles import STRUCTURES, blobs, matrices, mixture_of, parameters
from sklearn.decomposition import PCA

from gmm.faces.features import Pixels, PrincipalComponents, pixel_variances


def points(n, D):
    return torch.from_numpy(blobs(n, D))


def test_components_are_those_of_largest_variance():
    x = points(50, 12)
    ours, theirs = PrincipalComponents.of(x, 4), PCA(4).fit(x.numpy())
    cosines = (ours.components.numpy() * theirs.components_).sum(-1)
    np.testing.assert_allclose(np.abs(cosines), 1, rtol=1e-9)
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_.sum())
    scores = ours.encode(x).numpy() * np.sign(cosines)
    np.testing.assert_allclose(scores, theirs.transform(x.numpy()), atol=1e-9)


def test_all_components_give_the_faces_back():
    x = points(30, 9)
    features = PrincipalComponents.of(x, 9)
    assert features.explained == pytest.approx(1)
    torch.testing.assert_close(features.decode(features.encode(x)), x)


def test_some_components_give_the_nearest_faces_in_their_plane():
    x = points(30, 9)
    features = PrincipalComponents.of(x, 3)
    left = x - features.decode(features.encode(x))
    torch.testing.assert_close(left @ features.components.mT, torch.zeros(30, 3).double())
    assert left.square().sum() == pytest.approx(
        (1 - features.explained) * float((x - x.mean(0)).square().sum())
    )


def test_fewer_faces_than_pixels_are_enough():
    x = points(5, 20).float()
    features = PrincipalComponents.of(x, 5)
    torch.testing.assert_close(features.decode(features.encode(x)), x, rtol=1e-4, atol=1e-4)


def test_a_basis_is_read_without_pickle(tmp_path):
    features = PrincipalComponents.of(points(20, 6), 2)
    features.save(tmp_path / "features.npz")
    with np.load(tmp_path / "features.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["components"], features.components.numpy())
        np.testing.assert_array_equal(arrays["center"], features.center.numpy())


@pytest.mark.parametrize("covariance_type", STRUCTURES)
@pytest.mark.parametrize("reduced", [False, True])
def test_variances_of_pixels_are_on_the_diagonal_of_the_covariances(covariance_type, reduced):
    x = points(60, 8)
    features = PrincipalComponents.of(x, 3) if reduced else Pixels()
    given = parameters(features.encode(x).numpy(), 2, covariance_type)
    D = 3 if reduced else 8
    full = matrices(given["covariances"], covariance_type, 2, D)
    W = features.components.numpy() if reduced else np.eye(8)
    expected = [np.diag(W.T @ S @ W) for S in full]
    shown = pixel_variances(mixture_of(given, covariance_type), features)
    np.testing.assert_allclose(shown.numpy(), expected, rtol=1e-9)
