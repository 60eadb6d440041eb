"""What a trained model has learned, over a whole set: ELBO surgery, active units, evidence, gap.

Everything runs in eval mode (the mode the model was in comes back) and without gradients, chunk
by chunk, so that memory does not grow with the set; results are in nats per example. Random
numbers are keyed by the seed and, where x comes in chunks, by the number of the chunk: the same
seed and chunks give the same result.

References: Hoffman and Johnson 2016, ELBO surgery; Burda et al. 2016, importance weights, active
units.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import kl_divergence

from semivae.bounds import labeled_elbos, log_evidence
from semivae.distributions import DiagonalGaussian, StandardGaussian
from semivae.information import entropy, kl, log_mean, mutual_information
from semivae.labels import every_pair
from semivae.models.base import DeepGenerativeModel
from semivae.models.evaluating import evaluating
from semivae.noise import Noise, generator

BLOCK_ELEMENTS = 1 << 21  # of a matrix of `surgery`: 16 MiB, of which a few exist at a time
SMALLEST_VARIANCE = 0.01  # of a posterior mean, for its unit to count as active


class Encodings(NamedTuple):
    """q(y, z|x) of every row of a set: the classifier and C Gaussians over z.

    C = 1 is the paper's q(y|x) q(z|x); C = K is Kingma's q(y|x) q(z|x, y), where q(z|x) is the
    mixture sum_k q(k|x) q(z|x, k).
    """

    log_q: Float[Tensor, "N K"]
    mean: Float[Tensor, "N C D"]
    log_variance: Float[Tensor, "N C D"]

    @property
    def posterior_mean(self) -> Float[Tensor, "N D"]:
        """E_q(z|x)[z], for the conditional family sum_k q(k|x) mu(x, k)."""
        if self.mean.shape[1] == 1:
            return self.mean[:, 0]
        return torch.einsum("nk,nkd->nd", self.log_q.exp(), self.mean)

    def double(self) -> "Encodings":
        """The same in float64, with probabilities that sum to 1 to its precision."""
        log_q = self.log_q.double().log_softmax(1)
        return Encodings(log_q, self.mean.double(), self.log_variance.double())


def encode_set(model: DeepGenerativeModel, x_chunks: Iterable[Tensor]) -> Encodings:
    """q(y, z|x) of every row of the chunks (B, *X), which are scaled and on the model's device.

    What the model draws once per example is at its mean: M1+M2 is read as it predicts, and ADGM's
    and SDGM's mixture over a by its component at the mean of q(a|x).
    """
    parts = []
    with evaluating(model):
        for x in x_chunks:
            h = model.features(x)
            log_q = model.q_y(h).logits
            q_z = model.q_z(h, every_pair(log_q))  # the pairs are class-major
            by_class = (
                part.unflatten(0, (-1, x.shape[0])).transpose(0, 1)
                for part in (q_z.mean, q_z.log_variance)
            )
            parts.append(Encodings(log_q, *by_class))
        return Encodings(*(torch.cat(part) for part in zip(*parts, strict=True)))


class Surgery(NamedTuple):
    """Where the KL terms of the bound go, over the N rows of a set, in nats per example.

    q(y, z) = (1/N) sum_n q(y, z|x_n) is the aggregate, n the number of a row. These hold exactly:

        latent_kl = index_code_information + marginal_latent_kl
        label_kl = label_information + marginal_label_kl
        label_information = aggregate_entropy - classifier_entropy
        joint_kl = joint_information + leakage + marginal_label_kl + marginal_latent_kl
        joint_kl = label_kl + latent_kl + coupling

    - `latent_kl`: E KL(q(z|x) || p(z)); `index_code_information`: I(n; z), how well z tells rows
      apart, from 0 to log N; `marginal_latent_kl`: KL(q(z) || p(z)), what samples from the prior
      miss.
    - `label_kl`: E KL(q(y|x) || p(y)); `classifier_entropy`: E H(q(y|x)); `aggregate_entropy`:
      H(q(y)); `label_information`: I(y; x), 0 to log K (section 3.2, Eq 16);
      `marginal_label_kl`: KL(q(y) || p(y)).
    - `joint_kl`: E KL(q(y, z|x) || p(y) p(z)), the KL of the bound; `joint_information`: I(x; y,
      z); `leakage`: I(y; z), how much z tells of the class, 0 to log K; `coupling`: I(y; z|x), 0
      unless q(z|x, y) sees y.
    """

    latent_kl: float
    index_code_information: float
    marginal_latent_kl: float
    label_kl: float
    classifier_entropy: float
    aggregate_entropy: float
    label_information: float
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
        log_q, log_prior = encodings.log_q, log_prior.double()
        log_q_label = log_mean(log_q)
        label_kl = kl(log_q, log_prior)
        label_information = float(mutual_information(log_q))
        latent_kl_given_label = _latent_kl(encodings)
        rows, components, _ = encodings.mean.shape
        aggregate = _Aggregate(encodings)
        source = generator(log_q.device, seed, "surgery")
        index_code = leakage = coupling = 0.0
        for _ in range(samples):
            z = _draw(encodings, source)
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
            classifier_entropy=float(entropy(log_q).mean()),
            aggregate_entropy=float(entropy(log_q_label)),
            label_information=label_information,
            marginal_label_kl=float(kl(log_q_label, log_prior)),
            joint_kl=float((label_kl + latent_kl_given_label).mean()),
            # I(x; z) + I(x; y|z): I(y; x, z) is I(y; x) + I(y; z|x) and also I(y; z) + I(x; y|z).
            joint_information=index_code + label_information + coupling - leakage,
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


def _draw(encodings: Encodings, source: torch.Generator) -> Float[Tensor, "N D"]:
    """z_n ~ q(z|x_n), one for each row; for the conditional family a class is drawn first."""
    rows, components, latent = encodings.mean.shape
    device, dtype = encodings.mean.device, encodings.mean.dtype
    row = torch.arange(rows, device=device)
    noise = torch.randn((rows, latent), generator=source, device=device, dtype=dtype)
    component = torch.zeros_like(row)
    if components > 1:
        component = torch.multinomial(encodings.log_q.exp(), 1, generator=source)[:, 0]
    q_z = DiagonalGaussian(encodings.mean[row, component], encodings.log_variance[row, component])
    return q_z.at(noise)


def _coupling(encodings: Encodings, z: Float[Tensor, "N D"]) -> float:
    """I(y; z|x) = E KL(q(y|x, z) || q(y|x)) at one z per row; 0 where q(z|x) does not see y."""
    if encodings.mean.shape[1] == 1:
        return 0.0
    q_z = DiagonalGaussian(encodings.mean, encodings.log_variance)
    log_q_z: Tensor = q_z.log_prob(z[:, None])  # type: ignore[no-untyped-call]
    log_posterior = (encodings.log_q + log_q_z).log_softmax(1)
    return float(kl(log_posterior, encodings.log_q).mean())


class ActiveUnits(NamedTuple):
    """How many dimensions of z are used, and the variance over rows of each posterior mean."""

    active: int
    variances: Float[Tensor, "D"]


def active_units(means: Float[Tensor, "N D"]) -> ActiveUnits:
    """The dimensions with Var_x(E_q[z_d|x]) > 0.01, for means as in `Encodings.posterior_mean`.

    >>> active_units(torch.tensor([[1.0, 0.05], [-1.0, -0.05]]))
    ActiveUnits(active=1, variances=tensor([1.0000, 0.0025], dtype=torch.float64))
    """
    variances = means.double().var(0, correction=0)
    return ActiveUnits(int((variances > SMALLEST_VARIANCE).sum()), variances)


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
    model: DeepGenerativeModel,
    x_chunks: Sequence[Tensor],
    samples: int,
    seed: int,
    bfloat16: bool = False,
    on_chunk: Callable[[int, int], None] = lambda done, total: None,
) -> Evidence:
    """log p(x, k) >= log p(k) + log (1/S) sum_s p(x|z_s, k) p(z_s) / q(z_s|x), S = `samples`.

    `x_chunks` (B, *X) are scaled and on the model's device; memory is that of B K decoded pairs.
    `bfloat16` runs the decoder, not the encoder, under autocast, with likelihoods in full
    precision: twice as fast where the processor has it. Measured on the paper's CNN, it moves
    log p(x) by -0.01 nats (Bernoulli), -0.002 (Gaussian, sigma = 0.3) and -0.2 (sigma = 0.1):
    compare a few rows first. `on_chunk` receives the rows done and the rows in all.
    """
    total, done, parts = sum(len(x) for x in x_chunks), 0, []
    with evaluating(model):
        for number, x in enumerate(x_chunks):
            noise = Noise(seed, number, (("evidence", len(x)),), x.device)
            encoded = model.encode(x, noise)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
                parts.append(log_evidence(model, encoded, noise, model.latent_size, samples))
            done += len(x)
            on_chunk(done, total)
        return Evidence(torch.cat(parts))


class InferenceGap(NamedTuple):
    """Means over rows, in nats, that separate "classifier too flat" from "decoder ignores y".

    `kl`: KL(q(y|x) || softmax_k ELBO(x, k)), what the bound loses to the classifier;
    `model_entropy`: the entropy of softmax_k ELBO(x, k), which is log K if the decoder cannot
    tell the classes apart.
    """

    kl: float
    model_entropy: float


def inference_gap(
    model: DeepGenerativeModel, x_chunks: Iterable[Tensor], seed: int, samples: int = 1
) -> InferenceGap:
    """The gap between q(y|x) and the best classifier given the rest, softmax_k ELBO(x, k).

    ELBO(x, k) (section 2.4, Eq 6) is the mean over `samples` draws of z, which the classes
    share; with few of them the softmax sees their noise and looks surer than it is. Chunks as in
    `evidence`.
    """
    log_q, elbos = [], []
    with evaluating(model):
        for number, x in enumerate(x_chunks):
            noise = Noise(seed, number, (("inference gap", len(x)),), x.device)
            encoded = model.encode(x, noise)
            total = torch.zeros_like(encoded.q_y.logits)
            for s in range(samples):
                z_noise = noise.normal(f"z {s}", model.latent_size)
                total += labeled_elbos(model, encoded, z_noise)
            log_q.append(encoded.q_y.logits)
            elbos.append(total / samples)
        log_model = torch.cat(elbos).double().log_softmax(1)
        gap = kl(torch.cat(log_q).double(), log_model)
        return InferenceGap(float(gap.mean()), float(entropy(log_model).mean()))
