"""Importance-weighted evidence against the closed form of a linear-Gaussian model."""

import math

import pytest
import torch
from closed_forms import exact_log_joint, linear_data, linear_gaussian, seeded, small_model

from semivae.bounds import bound
from semivae.diagnostics.evidence import evidence
from semivae.labels import Enumerated
from semivae.models.specs import Factorized
from semivae.noise import Noise


def test_evidence_at_the_exact_posterior_is_the_evidence() -> None:
    model = linear_gaussian()
    x = linear_data(model, 30)
    exact = exact_log_joint(model, x)
    found = evidence(model, x.split(8), samples=1, seed=0)
    torch.testing.assert_close(found.log_joint, exact, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.log_p_x, exact.logsumexp(1))
    torch.testing.assert_close(found.class_probs, exact.softmax(1))
    y = torch.arange(30) % 3
    torch.testing.assert_close(found.log_p_xy(y), exact[torch.arange(30), y])
    assert found.mean == pytest.approx(float(exact.logsumexp(1).mean()))
    assert found.standard_error == pytest.approx(float(exact.logsumexp(1).std()) / math.sqrt(30))
    assert math.isnan(evidence(model, [x[:1]], samples=1, seed=0).standard_error)


def test_evidence_rises_to_the_exact_value_with_samples() -> None:
    model = linear_gaussian(mean_factor=0.7, log_variance_shift=0.5)
    x = linear_data(model, 400)
    exact = float(exact_log_joint(model, x).logsumexp(1).mean())
    with torch.inference_mode():
        noise = Noise(0, 0, (("x", 400),), x.device)
        encoded = model.encode(x, noise)
        draws = Enumerated()(encoded.q_y.logits, None, noise)
        elbo = float(bound(model, encoded, draws, noise.normal("z", 2).double()).value.mean())
    one, five, fifty, many = (evidence(model, [x], s, seed=0).mean for s in (1, 5, 50, 500))
    assert elbo < one < five < fifty < many < exact + 0.01
    assert many == pytest.approx(exact, abs=0.02)
    assert one < exact - 0.2


def test_evidence_is_a_function_of_seed_and_chunks_and_reports_progress() -> None:
    model, x = small_model(Factorized()), seeded(10, 6).sigmoid().float()
    progress: list[int] = []
    first = evidence(model, x.split(4), 3, seed=0, on_chunk=progress.append)
    assert progress == [4, 8, 10]
    assert torch.equal(first.log_joint, evidence(model, x.split(4), 3, seed=0).log_joint)
    assert not torch.equal(first.log_joint, evidence(model, x.split(4), 3, seed=1).log_joint)
    same_rows = evidence(model, [x[:4], x[:4]], 3, seed=0).log_joint
    assert not torch.equal(same_rows[:4], same_rows[4:])  # chunks have noise of their own
