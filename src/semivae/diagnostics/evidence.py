"""Importance-weighted log p(x) and log p(x, y), and the generative classifier they make.

References: Burda et al. 2016, Importance Weighted Autoencoders.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.bounds import log_evidence
from semivae.models.evaluating import EvaluatedModel, evaluating
from semivae.noise import Noise


class Evidence(NamedTuple):
    """Importance-weighted log p(x, k) of every row and class: lower bounds in expectation."""

    log_joint: Float[Tensor, "N K"]

    @property
    def log_p_x(self) -> Float[Tensor, "N"]:
        """log p(x) = logsumexp_k log p(x, k): exact in y, whatever the classifier says."""
        return self.log_joint.double().logsumexp(1)

    @property
    def mean(self) -> float:
        """The mean of log p(x) over the rows."""
        return float(self.log_p_x.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, for rows drawn from a larger set; nan for a single row."""
        log_p = self.log_p_x
        return float(log_p.std()) / math.sqrt(len(log_p)) if len(log_p) > 1 else math.nan

    @property
    def class_probs(self) -> Float[Tensor, "N K"]:
        """The generative classifier, p(y|x) = softmax_k log p(x, k)."""
        return self.log_joint.softmax(1)

    def log_p_xy(self, y: Int[Tensor, "N"]) -> Float[Tensor, "N"]:
        """log p(x, y) at the given classes."""
        return self.log_joint.gather(1, y[:, None])[:, 0]


def evidence(
    model: EvaluatedModel,
    x_chunks: Iterable[Tensor],
    samples: int,
    seed: int,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Evidence:
    """log p(x, k) >= log p(k) + log (1/S) sum_s p(x|z_s, k) p(z_s) / q(z_s|x), S = `samples`.

    `x_chunks` (B, *X) are scaled and on the model's device; memory is that of B K decoded pairs.
    `on_chunk` receives how many rows are done. Noise is by `seed` and a chunk's number and size: a
    row has another value in other company, within its Monte-Carlo error.
    """
    done, parts = 0, []
    with evaluating(model):
        for number, x in enumerate(x_chunks):
            noise = Noise(seed, number, (("evidence", len(x)),), x.device)
            encoded = model.encode(x, noise)
            parts.append(log_evidence(model, encoded, noise, model.latent_size, samples))
            done += len(x)
            on_chunk(done)
        return Evidence(torch.cat(parts))
