"""The one bound of the family, for any distribution pi over the labels (sections 2.3, 2.4 and
3.1).

    B(x; pi) = E_pi E_q(z|.)[log p(x|z, y)] - E_pi KL(q(z|.) || p(z)) - KL(pi || p(y))

pi = the observed label gives the labeled ELBO (section 2.4, Eq 6); pi = q(y|x) gives the unlabeled
ELBO (section 2.3, Eq 5), which is section 3.1, Eq 14, E_q[ELBO(x, y)] + H(q(y|x)), written with
its KL; pi = a smoothed label is the first half of Optimized-ELBO (3.4). Bounds are maximised, in
nats per example.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from semivae.distributions import DiagonalGaussian
from semivae.information import kl
from semivae.label_draws import LabelDraws, every_pair
from semivae.models.densities import DensityModel, Encoded
from semivae.noise import Noise

Divergence = Callable[[DiagonalGaussian, Distribution, Tensor], Tensor]


class Bound(NamedTuple):
    """The three parts of B(x; pi), each (B,), in nats; the KLs keep their natural sign, at least
    0."""

    reconstruction: Float[Tensor, "B"]
    latent_kl: Float[Tensor, "B"]
    label_kl: Float[Tensor, "B"]

    @property
    def value(self) -> Float[Tensor, "B"]:
        """B(x; pi) (B,)."""
        return self.reconstruction - self.latent_kl - self.label_kl


class Baselines(NamedTuple):
    """Running means that centre the averages over y, for rules with a memory; None: no need."""

    reconstruction: Float[Tensor, ""] | None = None
    latent_kl: Float[Tensor, ""] | None = None


NO_BASELINES = Baselines()


def bound(
    model: DensityModel,
    encoded: Encoded,
    draws: LabelDraws,
    noise: Float[Tensor, "B D"],
    baselines: Baselines = NO_BASELINES,
) -> Bound:
    """B(x; pi) with one sample of z per example.

    `noise` is N(0, I), one row per example and not per pair: the labels of an example share it,
    which cancels most of its variance in the comparison of labels.
    """
    z, divergence = _latent(model, encoded, draws, noise, _divergence)
    latent_kl = divergence
    if model.q_z_sees_y:
        latent_kl = draws.expectation(divergence, baselines.latent_kl)
    log_likelihood = model.log_likelihood(encoded, z, draws)  # (M,)
    reconstruction = draws.expectation(log_likelihood, baselines.reconstruction)
    return Bound(
        reconstruction=reconstruction + encoded.per_example,
        latent_kl=latent_kl,
        label_kl=kl(draws.log_pi, model.p_y().logits),
    )


def labeled_elbos(
    model: DensityModel, encoded: Encoded, noise: Float[Tensor, "B D"]
) -> Float[Tensor, "B K"]:
    """ELBO(x, k) for every class k (section 2.4, Eq 6), the observed label unread: what Eq 14
    averages."""
    return _log_weights(model, encoded, noise, _divergence)


def log_evidence(
    model: DensityModel, encoded: Encoded, noise: Noise, latent: int, samples: int
) -> Float[Tensor, "B K"]:
    """Importance-weighted bound on log p(x, k) for every class k, with `samples` draws of z, (B,
    K).

    log p(y) + log 1/S sum_s p(x|z_s, y) p(z_s) / q(z_s|.). Its logsumexp over k bounds log p(x),
    exactly in y and whatever the classifier; its softmax is the generative classifier. What the
    model draws once per example (a of ADGM, z1 of M1+M2) is drawn anew with each z. Samples are
    taken one after another, so memory does not grow with S, and added up in float64: in float32 a
    weight beside S times its size is lost, and the bound would fall with S.
    """
    logits = encoded.q_y.logits
    total = torch.full_like(logits, -math.inf, dtype=torch.float64)
    for s in range(samples):
        z_noise = noise.normal(f"evidence {s}", latent)
        drawn = model.redraw(encoded, noise, s)
        total = torch.logaddexp(total, _log_weights(model, drawn, z_noise, _log_ratio).double())
    return (total - math.log(samples)).to(logits.dtype)


def _log_weights(
    model: DensityModel,
    encoded: Encoded,
    noise: Float[Tensor, "B D"],
    divergence: Divergence,
) -> Float[Tensor, "B K"]:
    """log p(x|z, k) + log p(k) - divergence(q(z|.), p(z)) for every class k."""
    draws = every_pair(encoded.q_y.logits)
    z, values = _latent(model, encoded, draws, noise, divergence)
    per_pair = values if model.q_z_sees_y else values[draws.row]
    value = model.log_likelihood(encoded, z, draws) + encoded.per_example[draws.row] - per_pair
    by_class = value.view(-1, encoded.x.shape[0]).t()  # the pairs are class-major
    return by_class + model.p_y().logits


def _latent(
    model: DensityModel,
    encoded: Encoded,
    draws: LabelDraws,
    noise: Float[Tensor, "B D"],
    divergence: Divergence,
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N"]]:
    """A sample of z and the divergence of q(z|.) from p(z), with the rows of q(z|.): M or B."""
    q_z = model.q_z(encoded.h, draws)
    if model.q_z_sees_y:  # q(z|x, y), a row per pair
        p_z, noise_of_row = model.p_z(draws.y), noise[draws.row]
    else:  # q(z|x), a row per example
        p_z, noise_of_row = model.p_z(draws.y[draws.centre]), noise
    z = q_z.at(noise_of_row)
    return z, divergence(q_z, p_z, z)


def _log_ratio(
    q: DiagonalGaussian, p: Distribution, z: Float[Tensor, "N D"]
) -> Float[Tensor, "N"]:
    """log q(z) - log p(z) at the sample."""
    log_ratio: Tensor = q.log_prob(z) - p.log_prob(z)  # type: ignore[no-untyped-call]
    return log_ratio


def _divergence(
    q: DiagonalGaussian, p: Distribution, z: Float[Tensor, "N D"]
) -> Float[Tensor, "N"]:
    """KL(q || p) in closed form where there is one, else its estimate at the sample."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return _log_ratio(q, p, z)
