"""capacities.py: KLs held at a capacity, and the binary cross-entropy of SHOT-VAE's script."""

import math

import pytest
import torch
from torch import Tensor

from contracts import check_term
from semivae import information as info
from semivae.capacities import BinaryLabelLogLikelihood, LabelCapacity, LatentCapacity
from semivae.labels import Enumerated, Observed, Relaxed
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family
from semivae.noise import Noise
from semivae.schedules import Ramp
from semivae.streams import LABELED, UNLABELED, Rows
from semivae.sums import Term
from tractable import (
    CPU,
    F64,
    FixedStreams,
    LinearGaussianMixture,
    one_hot,
    small_m2,
    some_images,
    some_x,
    state_at,
    streams_of,
)

K = 4
CLASSIFIER = {"trunk", "classifier"}
FAMILIES = pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)


def some_batch() -> dict[str, Rows]:
    return {
        LABELED: Rows(some_images(5), one_hot([0, 2, 1, 1, 3], K)),
        UNLABELED: Rows(some_images(7, seed=8), None),
    }


@FAMILIES
def test_every_term_keeps_the_laws_of_a_term(family: Family) -> None:
    """Each trains what it is made of, and nothing else."""
    model, batch = small_m2(family, Bernoulli()), some_batch()
    labeled = LatentCapacity(LABELED, Observed(), 3.0)
    check_term(labeled, model, batch, {"trunk", "latent"})
    q_y = {"classifier"} if model.q_z_sees_y else set()
    for rule in (Enumerated(), Relaxed()):
        unlabeled = LatentCapacity(UNLABELED, rule, 3.0)
        check_term(unlabeled, model, batch, {"trunk", "latent"} | q_y)
    for stream in (LABELED, UNLABELED):
        check_term(LabelCapacity(stream, 0.5), model, batch, CLASSIFIER)
    check_term(BinaryLabelLogLikelihood(), model, batch, CLASSIFIER)


def value_at(term: Term, fraction: float, **streams: tuple[Tensor, Tensor | None]) -> Tensor:
    """A term of given logits, four or three classes, under a uniform prior."""
    model = LinearGaussianMixture(classes=next(iter(streams.values()))[0].shape[1])
    return term(model, FixedStreams(**streams), state_at(fraction)).value


def some_logits(rows: int = 6) -> Tensor:
    return torch.randn(rows, K, generator=torch.Generator().manual_seed(4), dtype=F64)


def test_the_latent_capacity_is_the_distance_of_the_mean_kl_from_it() -> None:
    """|C - mean K_z|, the mean inside, with C as it is at this fraction of training."""
    model, x = LinearGaussianMixture(), some_x(5)
    mean = model.latent_kls(x)[:, 0].mean()
    ramp = Ramp(0.0, 8.0, until=0.5)
    for fraction, capacity in ((0.0, 0.0), (0.25, 4.0), (1.0, 8.0)):
        term = LatentCapacity(UNLABELED, Enumerated(), ramp)
        value = term(model, streams_of(model, unlabeled=x), state_at(fraction)).value
        torch.testing.assert_close(value, (capacity - mean).abs())
    assert 0 < mean < 8


@pytest.mark.parametrize(("capacity", "grows"), [(0.01, False), (1.3, True)])
def test_a_capacity_is_held_from_both_sides(capacity: float, grows: bool) -> None:
    """A step down the gap raises a KL below its capacity and lowers one above it."""
    logits = some_logits().requires_grad_()
    value_at(LabelCapacity(UNLABELED, capacity), 0.0, unlabeled=(logits, None)).backward()
    uniform = torch.full((K,), 1 / K, dtype=F64).log()

    def kl_of(logits: Tensor) -> Tensor:
        return info.kl(logits.log_softmax(1), uniform).mean()

    before = kl_of(logits.detach())
    assert 0.01 < before < 1.3
    after = kl_of(logits.detach() - 0.1 * logits.grad)
    assert bool(after > before) is grows


def test_a_label_capacity_of_log_k_is_the_classifier_s_entropy() -> None:
    """V5: |log K - mean KL(q || uniform)| = mean H(q), at any C_y beyond log K."""
    logits = some_logits()
    entropy = info.entropy(logits.log_softmax(1)).mean()
    for capacity in (math.log(K), 17.0, Ramp(0.0, 17.0, until=0.2)):
        value = value_at(LabelCapacity(UNLABELED, capacity), 0.9, unlabeled=(logits, None))
        torch.testing.assert_close(value, entropy)
    early = value_at(
        LabelCapacity(UNLABELED, Ramp(0.0, 17.0, until=0.2)), 0.0, unlabeled=(logits, None)
    )
    torch.testing.assert_close(early, math.log(K) - entropy)


def test_a_capacity_holds_the_mean_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of each: two processes that miss on either side would not cancel."""
    model, x = LinearGaussianMixture(), some_x(6)
    halves = [
        streams_of(
            model,
            unlabeled=x[3 * rank : 3 * rank + 3],
            noise=Noise(0, 0, ((UNLABELED, 6),), CPU, rank, processes=2),
        )
        for rank in (0, 1)
    ]
    parts = [
        half.part_of_mean(UNLABELED, half.bound(UNLABELED, Enumerated(), state_at()).latent_kl)
        for half in halves
    ]
    monkeypatch.setattr("semivae.capacities.mean_over_processes", lambda _: sum(parts) / 2)
    term = LatentCapacity(UNLABELED, Enumerated(), 1.0)
    whole = (1.0 - model.latent_kls(x)[:, 0].mean()).abs()
    for half in halves:
        torch.testing.assert_close(term(model, half, state_at()).value, whole)


def test_the_binary_log_likelihood_is_minus_torch_s_binary_cross_entropy() -> None:
    """Of K one-against-all labels, averaged over B K entries."""
    logits, y = some_logits(5), one_hot([0, 2, 1, 1, 3], K)
    value = value_at(BinaryLabelLogLikelihood(), 0.0, labeled=(logits, y)).mean()
    theirs = torch.nn.functional.binary_cross_entropy(logits.softmax(1), y)
    torch.testing.assert_close(value, -theirs)


def test_the_binary_log_likelihood_stays_finite_where_q_is_sure() -> None:
    """1 - q underflows, its logarithm does not: q sure of a wrong class, and K = 1."""
    logits = (200.0 * one_hot([1], 3)).requires_grad_()
    value = value_at(BinaryLabelLogLikelihood(), 0.0, labeled=(logits, one_hot([0], 3)))
    assert value.item() == pytest.approx(-(200 + 200 - math.log(2)) / 3, rel=1e-6)
    value.sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad[0, 0] > 0.3
    one = torch.zeros(2, 1, dtype=F64, requires_grad=True)
    alone = value_at(BinaryLabelLogLikelihood(), 0.0, labeled=(one, one_hot([0, 0], 1)))
    alone.sum().backward()
    assert alone.tolist() == [0, 0] and one.grad is not None and not one.grad.any()
