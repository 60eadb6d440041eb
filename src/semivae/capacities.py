"""The terms of SHOT-VAE's MNIST objective that no equation of the paper has: KLs held at a
capacity, and the binary cross-entropy (Feng et al. 2021, published code)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.information import kl
from semivae.label_draws import LabelRule, observed_label
from semivae.models.densities import DensityModel
from semivae.processes import mean_over_processes
from semivae.schedules import Weight, weight_at
from semivae.streams import LABELED, StepState, Streams
from semivae.sums import Term, TermValue


@dataclass(frozen=True)
class LatentCapacity(Term):
    """|C_z - mean_b E_pi D_KL(q(z|.) || p(z))|: the KL of z, held at C_z nats. Value: (), >= 0.

    The mean over the batch is inside. Two-sided: below its capacity the KL is raised, so that
    nothing with this term in place of the KL is a bound.
    """

    name: ClassVar[str] = "latent_capacity_gap"
    stream: str
    rule: LabelRule
    capacity: Weight

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        latent_kl = streams.bound(self.stream, self.rule, state).latent_kl
        capacity = weight_at(self.capacity, state.fraction)
        return TermValue(_gap(capacity, self.stream, latent_kl, streams), {})


@dataclass(frozen=True)
class LabelCapacity(Term):
    """|min(C_y, log K) - mean_b D_KL(q(y|x) || p(y))|: the KL of y, held at C_y. Value: (), >= 0.

    Once C_y reaches log K it is the mean entropy of the classifier, if p(y) is uniform: a penalty
    of Eq 15.
    """

    name: ClassVar[str] = "label_capacity_gap"
    stream: str
    capacity: Weight

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        log_q = streams[self.stream].q_y.logits
        capacity = min(weight_at(self.capacity, state.fraction), math.log(log_q.shape[1]))
        label_kl = kl(log_q, model.p_y().logits)
        return TermValue(_gap(capacity, self.stream, label_kl, streams), {})


def _gap(
    capacity: float, stream: str, divergence: Float[Tensor, "B"], streams: Streams
) -> Float[Tensor, ""]:
    """How far the mean of a KL over the rows of all processes is from its capacity."""
    return (capacity - mean_over_processes(streams.part_of_mean(stream, divergence))).abs()


@dataclass(frozen=True)
class BinaryLabelLogLikelihood(Term):
    """1/K sum_k [y_k log q_k + (1 - y_k) log(1 - q_k)] of the label. Value: (B,), <= 0.

    Minus the binary cross-entropy of K one-against-all labels, averaged over the classes.
    """

    name: ClassVar[str] = "binary_label_log_likelihood"
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        encoded = streams[self.stream]
        log_q, y = encoded.q_y.logits, observed_label(encoded.y)
        own = torch.eye(log_q.shape[1], dtype=torch.bool, device=log_q.device)
        # log(1 - q_k) from the other classes: 1 - q_k is 0 in float32 where q_k is nearly 1.
        log_rest = log_q[:, None].masked_fill(own, -torch.inf).logsumexp(2)
        return TermValue(torch.where(y > 0, log_q, log_rest).mean(1), {})
