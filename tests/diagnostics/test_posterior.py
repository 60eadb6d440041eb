"""The classifier's entropies by brute force, and the gap to the model's own posterior of y."""

import math

import pytest
import torch
from closed_forms import (
    LOG_PRIOR,
    exact_log_joint,
    linear_data,
    linear_gaussian,
    seeded,
    small_model,
)
from torch import nn

from semivae.bounds import bound, labeled_elbos
from semivae.diagnostics.posterior import inference_gap, label_information
from semivae.information import entropy, kl
from semivae.label_draws import every_pair
from semivae.models.specs import Conditional, Factorized, Family
from semivae.noise import Noise

FAMILIES = pytest.mark.parametrize("family", [Factorized(), Conditional()])


def test_label_information_is_its_definition_by_brute_force() -> None:
    """Eqs 15 and 16, with one row that is certain: its zeros weigh nothing."""
    q = (2 * seeded(40, 3)).softmax(1)
    q[0] = torch.tensor([0.0, 1.0, 0.0])
    p = LOG_PRIOR.exp()
    found = label_information(q.log(), LOG_PRIOR)
    rows = [[float(v) for v in row] for row in q]
    mean = [sum(row[k] for row in rows) / 40 for k in range(3)]
    each = -sum(v * math.log(v) for row in rows for v in row if v) / 40
    assert found.classifier_entropy == pytest.approx(each, abs=1e-12)
    assert found.aggregate_entropy == pytest.approx(-sum(v * math.log(v) for v in mean), abs=1e-12)
    joint = sum(v * math.log(v / mean[k]) for row in rows for k, v in enumerate(row) if v) / 40
    assert found.mutual_information == pytest.approx(joint, abs=1e-12)
    against = sum(v * math.log(v / float(p[k])) for k, v in enumerate(mean))
    assert found.marginal_label_kl == pytest.approx(against, abs=1e-12)
    label_kl = float(kl(q.log(), LOG_PRIOR).mean())
    assert label_kl == pytest.approx(found.mutual_information + found.marginal_label_kl, abs=1e-12)


def test_label_information_does_not_depend_on_the_precision_it_is_given_in() -> None:
    log_q = seeded(1000, 3).log_softmax(1)
    single = label_information(log_q.float(), LOG_PRIOR.float())
    assert single == pytest.approx(label_information(log_q, LOG_PRIOR), abs=1e-6)


def test_inference_gap_of_a_flat_classifier_is_that_of_the_exact_posterior() -> None:
    model = linear_gaussian()
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    x = linear_data(model, 12)
    log_posterior = exact_log_joint(model, x).log_softmax(1)
    uniform = torch.full_like(log_posterior, 1 / 3).log()
    gap = inference_gap(model, [x], seed=0, samples=400)
    assert gap.kl == pytest.approx(float(kl(uniform, log_posterior).mean()), abs=0.02)
    assert gap.model_entropy == pytest.approx(float(entropy(log_posterior).mean()), abs=0.02)


@FAMILIES
def test_inference_gap_is_what_the_bound_loses_to_the_classifier(family: Family) -> None:
    """U(x) = logsumexp_k ELBO(x, k) - KL(q(y|x) || softmax_k ELBO(x, k)) (V2)."""
    model, x = small_model(family), seeded(9, 6).sigmoid().float()
    gap = inference_gap(model, [x], seed=4)
    with torch.inference_mode():
        noise = Noise(4, 0, (("inference gap", 9),), x.device)
        encoded, z_noise = model.encode(x, noise), noise.normal("z 0", 3)
        elbos = labeled_elbos(model, encoded, z_noise)
        unlabeled = bound(model, encoded, every_pair(encoded.q_y.logits), z_noise).value
    assert gap.kl == pytest.approx(float((elbos.logsumexp(1) - unlabeled).mean()), abs=1e-5)
    assert gap.model_entropy == pytest.approx(float(entropy(elbos.log_softmax(1)).mean()))
    chunked = inference_gap(model, x.split(5), seed=4, samples=3)
    assert chunked == inference_gap(model, iter(x.split(5)), seed=4, samples=3) != gap
