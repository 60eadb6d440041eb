"""ELBO surgery: where the KL terms of the bound go, with the exact mixture of all rows.

Estimates from minibatches are not offered: on a mixture of known information they are wrong by 7
to 460 per cent (`tests/diagnostics/test_surgery.py`), and 10,000 x 10,000 densities take seconds.

References: Hoffman and Johnson 2016, ELBO surgery; Chen et al. 2018, Isolating Sources of
Disentanglement (the estimators that are not used).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import kl_divergence

from semivae.diagnostics.encodings import Encodings
from semivae.diagnostics.posterior import label_information
from semivae.distributions import DiagonalGaussian, StandardGaussian
from semivae.information import kl, log_mean
from semivae.noise import generator

BLOCK_ELEMENTS = 1 << 21  # of a matrix of `surgery`: 16 MiB, of which a few exist at a time


class Surgery(NamedTuple):
    """Where the KL terms of the bound go, over the N rows of a set, in nats per example.

    q(y, z) = (1/N) sum_n q(y, z|x_n) is the aggregate, n the number of a row. These hold exactly:

        latent_kl = index_code_information + marginal_latent_kl
        label_kl = mutual_information + marginal_label_kl
        mutual_information = aggregate_entropy - classifier_entropy
        joint_kl = joint_information + leakage + marginal_label_kl + marginal_latent_kl
        joint_kl = label_kl + latent_kl + coupling

    - `latent_kl`: E KL(q(z|x) || p(z)); `index_code_information`: I(n; z), how well z tells rows
      apart, from 0 to log N; `marginal_latent_kl`: KL(q(z) || p(z)), what samples from the prior
      miss.
    - `label_kl`: E KL(q(y|x) || p(y)), and its parts as in `LabelInformation`.
    - `joint_kl`: E KL(q(y, z|x) || p(y) p(z)), the KL of the bound; `joint_information`: I(x; y,
      z); `leakage`: I(y; z), how much z tells of the class, 0 to log K; `coupling`: I(y; z|x), 0
      unless q(z|x, y) sees y.

    q(y, z|x) is that of the `Encodings`: for ADGM and SDGM the predicted q(y|x), whose parts are
    those of `LabelInformation`, times q(z|a, x, y) at the mean of a, so that `latent_kl` and
    `joint_kl` are not those of their bound.
    """

    latent_kl: float
    index_code_information: float
    marginal_latent_kl: float
    label_kl: float
    classifier_entropy: float
    aggregate_entropy: float
    mutual_information: float
    marginal_label_kl: float
    joint_kl: float
    joint_information: float
    leakage: float
    coupling: float


def surgery(
    encodings: Encodings, log_prior: Float[Tensor, "K"], seed: int, samples: int = 1
) -> Surgery:
    """ELBO surgery for p(z) = N(0, I), p(y) = exp(log_prior), with the exact mixture of all rows.

    `joint_kl`, `label_kl` and what depends on the classifier alone are exact. I(n; z), I(y; z) and
    I(y; z|x) are means over `samples` draws z ~ q(z|x_n) for each row of

        I(n; z) = E_q(z) [log N - H(q(n|z))]        I(y; z) = E_q(z) KL(q(y|z) || q(y))

    so that no draw is negative and none of the first exceeds log N; the rest follows by the
    identities of `Surgery`. A draw costs N^2 densities (factorized) or K N^2, as matrix products
    in float64.

    The aggregate is that of these N rows. Once z tells them apart, I(n; z) is log N and I(y; z) is
    I(y; x), whatever more rows would show: compare models at the same N.
    """
    with torch.inference_mode():
        encodings = encodings.double()
        log_q, log_prior = encodings.log_q, log_prior.double().log_softmax(0)
        log_q_label = log_mean(log_q)
        label_kl = kl(log_q, log_prior)
        label = label_information(log_q, log_prior)
        latent_kl_given_label = _latent_kl(encodings)
        rows, components, _ = encodings.mean.shape
        aggregate = _Aggregate(encodings)
        source = generator(log_q.device, seed, "surgery")
        index_code = leakage = coupling = 0.0
        for _ in range(samples):
            z = encodings.draw(source)
            coupling += _coupling(encodings, z) / samples
            for block in z.split(max(1, BLOCK_ELEMENTS // (rows * components))):
                q_row, log_label = aggregate(block)
                told_of_row = math.log(rows) - torch.special.entr(q_row).sum(1)
                index_code += float(told_of_row.sum()) / (rows * samples)
                leakage += float(kl(log_label, log_q_label).sum()) / (rows * samples)
        latent_kl = float(latent_kl_given_label.mean()) - coupling
        return Surgery(
            latent_kl=latent_kl,
            index_code_information=index_code,
            marginal_latent_kl=latent_kl - index_code,
            label_kl=float(label_kl.mean()),
            **label._asdict(),
            joint_kl=float((label_kl + latent_kl_given_label).mean()),
            # I(x; z) + I(x; y|z): I(y; x, z) is I(y; x) + I(y; z|x) and also I(y; z) + I(x; y|z).
            joint_information=index_code + label.mutual_information + coupling - leakage,
            leakage=leakage,
            coupling=coupling,
        )


class _Aggregate:
    """The aggregate posterior q(y, z) = (1/N) sum_n q(y, z|x_n) as an exact mixture, asked for z.

    log N(z; mu, s) is linear in (z^2, z): all densities of a block are one matrix product.
    """

    def __init__(self, encodings: Encodings) -> None:
        self.log_q = encodings.log_q
        mean, log_variance = encodings.mean, encodings.log_variance
        precision = torch.exp(-log_variance)
        self.weights = torch.cat([-0.5 * precision, precision * mean], 2).flatten(0, 1).t()
        # Without the D/2 log 2 pi that all rows and classes share.
        self.constant = -0.5 * (precision * mean.square() + log_variance).sum(2)

    def __call__(
        self, z: Float[Tensor, "M D"]
    ) -> tuple[Float[Tensor, "M N"], Float[Tensor, "M K"]]:
        """The row a code comes from, q(n|z), and the log of its class's, q(y|z)."""
        features = torch.cat([z.square(), z], 1)
        log_density = torch.addmm(self.constant.flatten(), features, self.weights)  # (M, N C)
        log_density = log_density.unflatten(1, self.constant.shape)
        if self.constant.shape[1] == 1:
            log_row = log_density[..., 0]
            by_row = torch.exp(log_row - log_row.amax(1, keepdim=True))
            by_label = by_row @ self.log_q.exp()
        else:
            log_joint = log_density + self.log_q
            joint = torch.exp(log_joint - log_joint.amax((1, 2), keepdim=True))
            by_row, by_label = joint.sum(2), joint.sum(1)
        total = by_row.sum(1, keepdim=True)
        # A class that no row near z has keeps a finite log: its probability is 0 to 300 decimals.
        log_label = (by_label / total).clamp_min(torch.finfo(z.dtype).tiny).log()
        return by_row / total, log_label


def _latent_kl(encodings: Encodings) -> Float[Tensor, "N"]:
    """sum_k q(k|x) KL(q(z|x, k) || p(z)) of each row; KL(q(z|x) || p(z)) if z is blind to y."""
    rows, components, latent = encodings.mean.shape
    q_z = DiagonalGaussian(encodings.mean.flatten(0, 1), encodings.log_variance.flatten(0, 1))
    p_z = StandardGaussian(rows * components, latent, q_z.mean.device, q_z.mean.dtype)
    by_component = kl_divergence(q_z, p_z).view(rows, components)
    if components == 1:
        return by_component[:, 0]
    return (encodings.log_q.exp() * by_component).sum(1)


def _coupling(encodings: Encodings, z: Float[Tensor, "N D"]) -> float:
    """I(y; z|x) = E KL(q(y|x, z) || q(y|x)) at one z per row; 0 where q(z|x) does not see y."""
    if encodings.mean.shape[1] == 1:
        return 0.0
    q_z = DiagonalGaussian(encodings.mean, encodings.log_variance)
    log_q_z: Tensor = q_z.log_prob(z[:, None])  # type: ignore[no-untyped-call]
    log_posterior = (encodings.log_q + log_q_z).log_softmax(1)
    return float(kl(log_posterior, encodings.log_q).mean())
