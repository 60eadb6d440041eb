"""noise.py: numbers keyed by what they are for, whole over processes, finite, with the right
moments."""

import math

import pytest
import torch
from torch import Tensor

from semivae.noise import Noise, generator, key
from tractable import CPU, noise_of

DRAWS = ["normal", "uniform", "gumbel"]


def draw(noise: Noise, kind: str, purpose: str = "z", size: int = 4) -> Tensor:
    return getattr(noise, kind)(purpose, size)


@pytest.mark.parametrize("kind", DRAWS)
def test_the_same_key_gives_the_same_numbers(kind: str) -> None:
    """Twice from one value, and from an equal one."""
    noise = noise_of(3, 7, labeled=5)
    first = draw(noise, kind)
    assert first.shape == (5, 4)
    assert torch.equal(draw(noise, kind), first)
    assert torch.equal(draw(noise_of(3, 7, labeled=5), kind), first)


@pytest.mark.parametrize("kind", DRAWS)
def test_another_seed_step_stream_or_purpose_gives_other_numbers(kind: str) -> None:
    """No two of them share a row."""
    different = [
        draw(noise_of(3, 7, labeled=5), kind),
        draw(noise_of(4, 7, labeled=5), kind),
        draw(noise_of(3, 8, labeled=5), kind),
        draw(noise_of(3, 7, unlabeled=5), kind),
        draw(noise_of(3, 7, labeled=5), kind, purpose="y"),
    ]
    together = torch.cat(different)
    assert len(together.unique(dim=0)) == len(together)


def test_keys_are_the_same_on_every_machine() -> None:
    """A key is a number of 63 bits that no version may change: checkpoints resume by it."""
    assert key(0, "labeled", "z", 0) == 2499282570478162474
    keys = {key(s, p, n) for s in range(10) for p in ("a", "b") for n in range(50)}
    assert len(keys) == 1000 and all(0 <= k < 2**63 for k in keys)
    a, b = (torch.rand(3, generator=generator(CPU, 1, "x")) for _ in range(2))
    assert torch.equal(a, b)


@pytest.mark.parametrize("kind", DRAWS)
def test_the_slices_of_processes_are_the_global_draw(kind: str) -> None:
    """Two processes with about half of each stream draw what one does with the whole, in the
    same places."""
    whole = draw(noise_of(labeled=4, unlabeled=7), kind)
    streams = (("labeled", 4), ("unlabeled", 7))
    parts = [draw(Noise(0, 0, streams, CPU, rank, 2), kind) for rank in (0, 1)]
    assert [len(part) for part in parts] == [2 + 3, 2 + 4]
    labeled = torch.cat([part[:2] for part in parts])
    unlabeled = torch.cat([part[2:] for part in parts])
    assert torch.equal(torch.cat([labeled, unlabeled]), whole)


@pytest.mark.parametrize("kind", DRAWS)
def test_a_stream_alone_has_the_numbers_it_has_among_others(kind: str) -> None:
    """So that a bound of one stream does not depend on which other streams a step makes."""
    noise = noise_of(labeled=4, unlabeled=6)
    both = draw(noise, kind)
    assert torch.equal(draw(noise.of("labeled"), kind), both[:4])
    assert torch.equal(draw(noise.of("unlabeled"), kind), both[4:])
    assert noise.of("labeled").streams == (("labeled", 4),)


@pytest.mark.parametrize("kind", DRAWS)
def test_the_global_generator_is_not_touched(kind: str) -> None:
    """Neither read nor advanced."""
    before = torch.get_rng_state()
    first = draw(noise_of(labeled=5), kind)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert torch.equal(draw(noise_of(labeled=5), kind), first)


@pytest.mark.parametrize(
    ("kind", "mean", "variance"),
    [("normal", 0.0, 1.0), ("uniform", 0.5, 1 / 12), ("gumbel", 0.5772157, math.pi**2 / 6)],
)
def test_moments(kind: str, mean: float, variance: float) -> None:
    """Means within 4 standard errors, variances within 2 per cent; every number finite."""
    rows, size = 20_000, 10
    x = draw(noise_of(unlabeled=rows), kind, size=size)
    assert x.isfinite().all()
    assert abs(x.mean().item() - mean) < 4 * math.sqrt(variance / (rows * size))
    assert x.var().item() == pytest.approx(variance, rel=0.02)


def test_gumbel_maximum_is_standard() -> None:
    """P(g < 0) = exp(-1): the sign of the logarithm."""
    g = draw(noise_of(unlabeled=50_000), "gumbel", size=1)
    assert (g < 0).float().mean().item() == pytest.approx(math.exp(-1), abs=0.01)


def test_an_event_may_have_any_shape() -> None:
    """(B,) without an event, (B, *event) with one."""
    noise = noise_of(labeled=3)
    assert noise.normal("z").shape == (3,)
    assert noise.uniform("x", 1, 4, 5).shape == (3, 1, 4, 5)
