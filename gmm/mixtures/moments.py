"""Mean and covariance of whole mixtures."""

import torch
from torch import Tensor

from gmm.mixtures.components import Components


def overall_mean(f: Components) -> Tensor:
    """Return E[x] = sum_k pi_k mu_k, (*B, D)."""
    return (f.log_weights.exp().unsqueeze(-2) @ f.means).squeeze(-2)


def overall_covariance(f: Components) -> Tensor:
    """Return cov[x] = sum_k pi_k (Sigma_k + (mu_k - E[x]) (mu_k - E[x])^T), (*B, D, D).

    Within and between components, by the law of total covariance (Bishop 2006, eq. 9.50, with the
    mean taken off before products are made).
    """
    weights = f.log_weights.exp().unsqueeze(-1)
    spread = (f.means - overall_mean(f).unsqueeze(-2)) * weights.sqrt()
    between = spread.mT @ spread
    if f.on_diagonal:
        return between + torch.diag_embed((weights * f.covariances).sum(-2))
    return between + (weights.unsqueeze(-1) * f.covariances).sum(-3)
