"""The terms of the objectives, one per symbol of the paper, each a frozen value (`sums.Term`)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.information import entropy, kl
from semivae.label_draws import LabelRule, observed_label, smooth
from semivae.labels import follow
from semivae.models.densities import DensityModel
from semivae.processes import mean_over_processes
from semivae.streams import LABELED, UNLABELED, StepState, Streams, baseline_name
from semivae.sums import Sum, Term, TermValue

# The three parts of the bound B(x; pi); ELBO is their sum.


@dataclass(frozen=True)
class Reconstruction(Term):
    """E_pi E_q(z|.) log p(x|z, y), the first part of Eqs 5 and 6. Value: (B,)."""

    name: ClassVar[str] = "reconstruction"
    stream: str
    rule: LabelRule

    def initial_buffers(self, model: DensityModel) -> dict[str, Tensor]:
        return _no_baseline_yet(self, model)

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        value = streams.bound(self.stream, self.rule, state).reconstruction
        return TermValue(value, _next_baseline(self, value, streams, state))


@dataclass(frozen=True)
class LatentKL(Term):
    """E_pi D_KL(q(z|.) || p(z)), the second part of Eqs 5 and 6. Value: (B,), >= 0."""

    name: ClassVar[str] = "latent_kl"
    stream: str
    rule: LabelRule

    def initial_buffers(self, model: DensityModel) -> dict[str, Tensor]:
        return _no_baseline_yet(self, model) if model.q_z_sees_y else {}

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        value = streams.bound(self.stream, self.rule, state).latent_kl
        return TermValue(value, _next_baseline(self, value, streams, state))


def _no_baseline_yet(part: Reconstruction | LatentKL, model: DensityModel) -> dict[str, Tensor]:
    """The buffer of a rule that centres by a running mean: nan, as no step has been seen."""
    if part.rule.memory is None:
        return {}
    return {baseline_name(part.stream, part.name): model.p_y().logits.new_full((), torch.nan)}


def _next_baseline(
    part: Reconstruction | LatentKL, value: Float[Tensor, "B"], streams: Streams, state: StepState
) -> dict[str, Tensor]:
    """The running mean after this step, over all processes: this step itself was centred by the
    one before."""
    name, rho = baseline_name(part.stream, part.name), part.rule.memory
    if rho is None or name not in state.buffers:
        return {}
    mean = mean_over_processes(streams.part_of_mean(part.stream, value.detach()))
    return {name: follow(state.buffers[name], mean, rho)}


@dataclass(frozen=True)
class LabelKL(Term):
    """D_KL(pi || p(y)): the third part of Eq 5; - log p(y) in Eq 6. Value: (B,), >= 0."""

    name: ClassVar[str] = "label_kl"
    stream: str
    rule: LabelRule

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        return TermValue(streams.bound(self.stream, self.rule, state).label_kl, {})


def ELBO(stream: str, rule: LabelRule) -> Sum:
    """Eq 5 (a rule that stands for q(y|x): `Enumerated`, `Pruned`, `Relaxed`, ...) or Eq 6
    (`Observed`)."""
    return Reconstruction(stream, rule) - LatentKL(stream, rule) - LabelKL(stream, rule)


# The classifier's terms.


@dataclass(frozen=True)
class LabelLogLikelihood(Term):
    """log q(y|x) of the label: minus the cross-entropy of Eqs 7 and 8. Value: (B,), <= 0."""

    name: ClassVar[str] = "label_log_likelihood"
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        encoded = streams[self.stream]
        return TermValue((observed_label(encoded.y) * encoded.q_y.logits).sum(1), {})


@dataclass(frozen=True)
class ClassifierEntropy(Term):
    """H(q(y|x)) = - sum_k q_k log q_k (section 3.1, Eq 15). Value: (B,), from 0 to log K.

    Optimized-ELBO subtracts it with weight beta. U(x) holds it with weight +1 already (Eq 14), so
    that an actual penalty needs beta > 1.
    """

    name: ClassVar[str] = "classifier_entropy"
    stream: str = UNLABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        return TermValue(entropy(streams[self.stream].q_y.logits), {})


@dataclass(frozen=True)
class MutualInformation(Term):
    """I(y; x) of the rows of this batch (section 3.2, Eq 16), the plug-in. Value: (), 0 to log K.

    Biased down by about (K - 1) / 2B: below 5 K rows use `RunningMutualInformation`.
    """

    name: ClassVar[str] = "mutual_information"
    stream: str = UNLABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        log_q = streams[self.stream].q_y.logits
        aggregate = mean_over_processes(streams.part_of_mean(self.stream, log_q.exp()))
        # A class without mass in float32 has 0 log 0 = 0, and no gradient, instead of 0 / 0.
        log_aggregate = aggregate.clamp_min(torch.finfo(aggregate.dtype).tiny).log()
        marginal = -(aggregate * log_aggregate).sum()
        return TermValue(marginal - streams.part_of_mean(self.stream, entropy(log_q)), {})


@dataclass(frozen=True)
class RunningMutualInformation(Term):
    """I(y; x) with a running marginal r <- rho r + (1 - rho) q_B(y) (section 3.2). Value: ().

    The value is H(r) - E_x H(q(y|x)); the gradient is that of - sum_k q_B(k) log r_k - E_x H,
    through the batch's q_B only, and equals the population's as r tends to q(y). It serves any
    batch size.
    """

    name: ClassVar[str] = "mutual_information"
    stream: str = UNLABELED
    rho: float = 0.99

    @property
    def buffer(self) -> str:
        """The name of the running marginal in `StepState.buffers`."""
        return f"{self.stream}/running_marginal"

    def initial_buffers(self, model: DensityModel) -> dict[str, Tensor]:
        return {self.buffer: model.p_y().probs.detach().clone()}

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        log_q = streams[self.stream].q_y.logits
        aggregate = mean_over_processes(streams.part_of_mean(self.stream, log_q.exp()))
        running = self.rho * state.buffers[self.buffer] + (1 - self.rho) * aggregate.detach()
        cross_entropy = -(aggregate * running.log()).sum()
        # The forward value is H(r), the gradient that of the cross-entropy.
        marginal = entropy(running.log()) + cross_entropy - cross_entropy.detach()
        conditional = streams.part_of_mean(self.stream, entropy(log_q))
        return TermValue(marginal - conditional, {self.buffer: running})


# The label terms of Optimized-ELBO (sections 3.3 to 3.6); math: KL(pi || p(y)) under different pi.


@dataclass(frozen=True)
class PriorKL(Term):
    """D_KL(q(y|x) || p(y)) on labeled rows (sections 3.3.2 and 3.4). Value: (B,), >= 0."""

    name: ClassVar[str] = "prior_kl"
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        return TermValue(kl(streams[self.stream].q_y.logits, model.p_y().logits), {})


def _log_p_hat(streams: Streams, stream: str, epsilon: float) -> Float[Tensor, "B K"]:
    """log p_hat(y|x) of a stream's observed labels, smoothed (3.3.2); epsilon = 0 is the label."""
    return smooth(observed_label(streams[stream].y), epsilon)


@dataclass(frozen=True)
class ForwardLabelKL(Term):
    """D_KL(p_hat || q(y|x)) (sections 3.3.2, 3.5): its gradient is the smoothed
    cross-entropy's."""

    name: ClassVar[str] = "forward_label_kl"
    epsilon: float
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        return TermValue(
            kl(_log_p_hat(streams, self.stream, self.epsilon), streams[self.stream].q_y.logits), {}
        )


@dataclass(frozen=True)
class ReverseLabelKL(Term):
    """D_KL(q(y|x) || p_hat) (as printed in 3.6): infinite at epsilon = 0, hence an error there.

    Its gradient vanishes where the classifier is confidently wrong.
    """

    name: ClassVar[str] = "reverse_label_kl"
    epsilon: float
    stream: str = LABELED

    def __post_init__(self) -> None:
        if self.epsilon <= 0:
            raise ValueError(
                f"epsilon={self.epsilon} makes KL(q || p_hat) infinite: give epsilon > 0"
            )

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        return TermValue(
            kl(streams[self.stream].q_y.logits, _log_p_hat(streams, self.stream, self.epsilon)), {}
        )


@dataclass(frozen=True)
class SmoothedPriorKL(Term):
    """D_KL(p_hat || p(y)) (as printed in 3.4): a constant, with no gradient for any label."""

    name: ClassVar[str] = "smoothed_prior_kl"
    epsilon: float
    stream: str = LABELED

    def __call__(self, model: DensityModel, streams: Streams, state: StepState) -> TermValue:
        return TermValue(
            kl(_log_p_hat(streams, self.stream, self.epsilon), model.p_y().logits), {}
        )
