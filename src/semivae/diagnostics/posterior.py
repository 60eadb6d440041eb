"""The classifier q(y|x) over a set: how sure, how balanced, how informed, and how far from the
model's own posterior of y.

References: Raj 2025, sections 3.1 and 3.2.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.bounds import labeled_elbos
from semivae.information import entropy, kl, log_mean, mutual_information
from semivae.models.evaluating import EvaluatedModel, evaluating
from semivae.noise import Noise


class LabelInformation(NamedTuple):
    """What q(y|x) says over the N rows of a set; q(y) = (1/N) sum_n q(y|x_n) is the aggregate.

    - `classifier_entropy`: E H(q(y|x)), from 0, sure of every row, to log K (section 3.1, Eq 15);
    - `aggregate_entropy`: H(q(y)), log K where all classes are used alike;
    - `mutual_information`: I(y; x) = aggregate_entropy - classifier_entropy, from 0 to log K
      (section 3.2, Eq 16);
    - `marginal_label_kl`: KL(q(y) || p(y)), how far the shares of the classes are from the prior.

    E KL(q(y|x) || p(y)) = mutual_information + marginal_label_kl, exactly.
    """

    classifier_entropy: float
    aggregate_entropy: float
    mutual_information: float
    marginal_label_kl: float


def label_information(
    log_q: Float[Tensor, "N K"], log_prior: Float[Tensor, "K"]
) -> LabelInformation:
    """The four parts, the aggregate taken over all N rows at once, in float64.

    The plug-in I(y; x) of few rows is biased down by about (K - 1) / 2N (`mutual_information`).
    """
    log_q, log_prior = log_q.double().log_softmax(1), log_prior.double().log_softmax(0)
    aggregate = log_mean(log_q)
    return LabelInformation(
        classifier_entropy=float(entropy(log_q).mean()),
        aggregate_entropy=float(entropy(aggregate)),
        mutual_information=float(mutual_information(log_q)),
        marginal_label_kl=float(kl(aggregate, log_prior)),
    )


class InferenceGap(NamedTuple):
    """Means over rows, in nats, that separate "classifier too flat" from "decoder ignores y".

    `kl`: KL(q(y|x) || softmax_k ELBO(x, k)), what the bound loses to the classifier;
    `model_entropy`: the entropy of softmax_k ELBO(x, k), which is log K if the decoder cannot
    tell the classes apart.
    """

    kl: float
    model_entropy: float


def inference_gap(
    model: EvaluatedModel, x_chunks: Iterable[Tensor], seed: int, samples: int = 1
) -> InferenceGap:
    """The gap between q(y|x) and the best classifier given the rest, softmax_k ELBO(x, k).

    ELBO(x, k) (section 2.4, Eq 6) is the mean over `samples` draws of z, which the classes
    share; with few of them the softmax sees their noise and looks surer than it is. What the model
    samples once per example is given, as one draw a row: for ADGM and SDGM the gap is that of
    q(y|a, x), for M1+M2 that of q(y|z_1), to which their bounds lose it, and not that of the
    q(y|x) that is predicted. Chunks as in `evidence`.
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
