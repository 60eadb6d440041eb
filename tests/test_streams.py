"""What the streams show q in a step: x, or x with noise on it, which leaves the bound one."""

import math
from dataclasses import replace

import pytest
import torch
from tests.tractable import (
    F64,
    ConditionalMixture,
    LinearGaussianMixture,
    noise_of,
    some_x,
    state_at,
    streams_of,
)
from torch.distributions import Categorical, Normal

from semivae.labels import Enumerated
from semivae.noise import Noise
from semivae.streams import LABELED, UNLABELED, Streams

PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=F64)
ROWS = 4000


def corrupted(corruption: float, step: int = 0, **rows: int) -> Noise:
    return replace(noise_of(step=step, **rows), corruption=corruption)


def streams(model: LinearGaussianMixture, x: torch.Tensor, corruption: float) -> Streams:
    return streams_of(model, unlabeled=x, noise=corrupted(corruption, unlabeled=len(x)))


def expected_bound(
    model: LinearGaussianMixture, x: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """Eq 5 in closed form where q reads `seen` and the decoder explains x; (B,)."""
    q_y: Categorical = model.q_y(seen)
    mean, variance = (part[:, 0] for part in model.class_q_z(seen))
    of_x = Normal(mean[:, None] @ model.W.t() + model.V, model.sigma).log_prob(x[:, None]).sum(2)
    spread = (variance @ model.W.square().t()).sum(1) / (2 * model.sigma.square())
    latent_kl = 0.5 * (mean.square() + variance - 1 - variance.log()).sum(1)
    label_kl = (q_y.probs * (q_y.logits - model.p_y().logits)).sum(1)
    return (q_y.probs * of_x).sum(1) - spread - latent_kl - label_kl


@pytest.mark.parametrize("corruption", [0.0, 0.3, 1.0])
def test_the_bound_of_a_q_that_reads_noise_is_that_of_a_clean_target(corruption: float) -> None:
    """Against the closed form at the very same noise, z apart."""
    model, x = LinearGaussianMixture(log_prior=PRIOR), some_x(1).expand(ROWS, -1)
    shown = streams(model, x, corruption)
    seen = x + corruption * noise_of(unlabeled=ROWS).normal("corruption", x.shape[1]).double()
    torch.testing.assert_close(shown[UNLABELED].x, x)
    torch.testing.assert_close(shown[UNLABELED].h, seen)
    value = shown.bound(UNLABELED, Enumerated(), state_at()).value
    error = (value - expected_bound(model, x, seen)).detach()
    assert error.mean().abs() < 4 * error.std() / math.sqrt(ROWS) < 0.5


def test_the_mean_bound_over_the_noise_is_a_bound_and_falls_with_it() -> None:
    """With the best q of a clean x: log p(x), the bound without noise, less and less with it."""
    model = ConditionalMixture(log_prior=PRIOR)
    model.take_exact_classifier()
    model.take_exact_latent()
    x = some_x(1)
    with torch.no_grad():
        values = [model.log_joint(x).logsumexp(1).item() + 1e-9]
        for corruption in (0.0, 0.2, 0.6):
            shown = streams(model, x.expand(ROWS, -1), corruption)
            values.append(shown.bound(UNLABELED, Enumerated(), state_at()).value.mean().item())
    assert values == sorted(values, reverse=True), values


def test_the_noise_belongs_to_the_step_and_the_stream() -> None:
    """The same at the same step, another at the next, one for each row."""
    model, x = LinearGaussianMixture(log_prior=PRIOR), some_x(1).expand(5, -1)
    first = streams(model, x, 0.5)[UNLABELED].h
    assert torch.equal(streams(model, x, 0.5)[UNLABELED].h, first)
    later = streams_of(model, unlabeled=x, noise=corrupted(0.5, step=1, unlabeled=5))
    assert (later[UNLABELED].h != first).all()
    assert len({tuple(row) for row in first.tolist()}) == 5
    y = torch.eye(3, dtype=F64)[[0, 1, 2, 0, 1]]
    both = streams_of(model, (x, y), x, corrupted(0.5, labeled=5, unlabeled=5))
    assert torch.equal(both[UNLABELED].h, first)
    assert (both[LABELED].h != first).all()


def test_each_process_draws_the_noise_of_its_rows() -> None:
    model, x = LinearGaussianMixture(log_prior=PRIOR), some_x(1).expand(5, -1)
    whole = corrupted(0.5, unlabeled=5)
    shares = []
    for rank, rows in enumerate((2, 3)):
        own = replace(whole, rank=rank, processes=2)
        shares.append(streams_of(model, unlabeled=x[:rows], noise=own)[UNLABELED].h)
    assert torch.equal(torch.cat(shares), streams(model, x, 0.5)[UNLABELED].h)
