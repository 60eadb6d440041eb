"""Entropies, divergences and the mutual information of class distributions, from
log-probabilities.

All arguments are normalised log-probabilities; all results are in nats. `0 log 0 = 0` throughout.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def _expectation(log_weight: Tensor, value: Tensor) -> Tensor:
    """sum_k exp(log_weight_k) value_k over the last axis; a zero weight silences an infinite
    value."""
    weight = log_weight.exp()
    # Masked before the product, so that neither the value nor its gradient sees 0 * inf.
    return (weight * value.masked_fill(weight == 0, 0.0)).sum(-1)


def entropy(log_q: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
    """H(q) = - sum_k q_k log q_k (section 3.1), from 0 to log K."""
    return -_expectation(log_q, log_q)


def kl(log_q: Float[Tensor, "*B K"], log_p: Float[Tensor, "*#B K"]) -> Float[Tensor, "*B"]:
    """D_KL(q || p) = sum_k q_k (log q_k - log p_k), at least 0; infinite where p is 0 and q is
    not."""
    return _expectation(log_q, log_q - log_p)


def log_mean(log_q: Float[Tensor, "B K"]) -> Float[Tensor, "K"]:
    """log of the aggregate q(y) = E_x q(y|x) (section 3.2)."""
    size = torch.tensor(log_q.shape[0], dtype=log_q.dtype, device=log_q.device)
    return torch.logsumexp(log_q, 0) - size.log()


def mutual_information(log_q: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """I(y; x) = H(q(y)) - E_x H(q(y|x)) of these B rows (section 3.2, Eq 16): the plug-in
    estimate.

    From 0 to min(log K, log B). Biased down by about (K - 1) / 2B nats for hard predictions, so it
    is not for fewer than 5 K rows.
    """
    return entropy(log_mean(log_q)) - entropy(log_q).mean()
