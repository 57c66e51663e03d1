import pytest
import sklearn.metrics
import torch

from fer_lightning.plots.counts import contingency
from gmm.faces.cluster_report import adjusted_rand, purity


@pytest.mark.parametrize("seed", range(3))
def test_agreement_is_that_of_scikit_learn(seed):
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(4, (60,), generator=generator)
    clusters = (classes + torch.randint(3, (60,), generator=generator)) % 5
    counts = contingency(clusters, classes, 5, 4)
    matrix = sklearn.metrics.cluster.contingency_matrix(classes, clusters)
    assert torch.equal(counts, torch.from_numpy(matrix).mT)
    assert purity(counts) == pytest.approx(matrix.max(0).sum() / 60)
    expected = sklearn.metrics.adjusted_rand_score(classes, clusters)
    assert adjusted_rand(counts) == pytest.approx(expected)


def test_the_same_sets_agree_wholly_whatever_their_names():
    counts = contingency(torch.tensor([2, 2, 0, 1]), torch.tensor([0, 0, 1, 2]), 3, 3)
    assert (purity(counts), adjusted_rand(counts)) == (1, 1)


def test_one_cluster_of_one_class_agrees():
    assert adjusted_rand(torch.tensor([[5, 0]])) == 1
