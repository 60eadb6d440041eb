"""information.py against closed forms, and the bias and the decomposition of I(y; x) (V4)."""

import math

import pytest
import torch
from torch import Tensor

from semivae import information as info

F64 = torch.float64


def some_log_q(rows: int, classes: int, spread: float = 1.5, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(rows, classes, generator=draw, dtype=F64)).log_softmax(1)


def certain(classes: Tensor, of: int) -> Tensor:
    """log q of rows that are sure: 0 and -infinity."""
    return torch.nn.functional.one_hot(classes, of).to(F64).log()


def test_entropy_is_log_k_when_uniform_and_0_when_certain() -> None:
    """The two ends of H, and torch's value in between."""
    uniform = torch.full((1, 10), -math.log(10), dtype=F64)
    assert info.entropy(uniform).item() == pytest.approx(math.log(10), abs=1e-12)
    assert info.entropy(certain(torch.tensor([3]), 10)).item() == 0
    log_q = some_log_q(50, 7)
    expected = torch.distributions.Categorical(logits=log_q).entropy()
    torch.testing.assert_close(info.entropy(log_q), expected, rtol=1e-12, atol=1e-12)


def test_kl_is_torch_s_and_is_not_symmetric() -> None:
    """KL(q || p): first argument averages; swapping the two changes the value."""
    q, p = some_log_q(20, 5), some_log_q(20, 5, seed=1)
    expected = torch.nn.functional.kl_div(p, q, log_target=True, reduction="none").sum(1)
    torch.testing.assert_close(info.kl(q, p), expected, rtol=1e-12, atol=1e-12)
    assert ((info.kl(q, p) - info.kl(p, q)).abs() > 1e-3).any()
    assert (info.kl(q, p) > 0).all() and info.kl(q, q).abs().max() < 1e-15
    torch.testing.assert_close(info.kl(q, p[0]), info.kl(q, p[:1].expand(20, -1)))


def test_zero_probabilities_are_silent_where_they_should_be() -> None:
    """0 log 0 = 0 in value and gradient; KL is infinite only where p is 0 and q is not."""
    one_hot = certain(torch.tensor([0, 2]), 3)
    p = some_log_q(2, 3).requires_grad_()
    value = info.kl(one_hot, p)
    torch.testing.assert_close(value, torch.stack([-p[0, 0], -p[1, 2]]))
    value.sum().backward()
    torch.testing.assert_close(p.grad, -one_hot.exp())
    assert info.kl(p.detach(), one_hot).isposinf().all()
    assert info.kl(one_hot, one_hot).tolist() == [0, 0]
    logits = torch.tensor([[-math.inf, 0.3, 0.1]], dtype=F64, requires_grad=True)
    info.entropy(logits.log_softmax(1)).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad[0, 0] == 0


def test_gradients_with_a_class_of_no_mass_are_those_without_the_class() -> None:
    """A class at log-probability -200 (0 in float32) changes nothing and makes nothing NaN."""
    small = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    wide = torch.cat([small, torch.full((6, 1), -400.0)], 1)
    gradients = []
    for logits in (small, wide):
        leaf = logits.clone().requires_grad_()
        log_q = leaf.log_softmax(1)
        (info.mutual_information(log_q) + info.entropy(log_q).sum()).backward()
        gradients.append(leaf.grad[:, :3])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_log_mean_is_the_log_of_the_mean() -> None:
    """q(y) = E_x q(y|x): the mean of probabilities, not of logs."""
    log_q = some_log_q(9, 4)
    torch.testing.assert_close(info.log_mean(log_q), log_q.exp().mean(0).log(), rtol=1e-12, atol=0)


def test_eq_16_information_bounds() -> None:
    """V4: 0 <= I <= min(log K, log B), both ends reached."""
    same = some_log_q(1, 10).expand(64, -1)
    assert abs(info.mutual_information(same).item()) < 1e-12
    few = info.mutual_information(certain(torch.arange(32), 100))
    assert few.item() == pytest.approx(math.log(32), abs=1e-12)
    assert few.item() == pytest.approx(3.4657, abs=1e-4)
    many = info.mutual_information(certain(torch.arange(50) % 10, 10))
    assert many.item() == pytest.approx(math.log(10), abs=1e-12)
    value = info.mutual_information(some_log_q(40, 6)).item()
    assert 0 < value < math.log(6)


def test_eq_16_mean_label_kl_is_information_plus_kl_of_the_aggregate() -> None:
    """V4: E_x KL(q(y|x) || p(y)) = I + KL(q(y) || p(y)) for a non-uniform p(y) (3.2, after Eq
    16)."""
    log_q, log_p = some_log_q(200, 8), some_log_q(1, 8, seed=3)[0]
    left = info.kl(log_q, log_p).mean()
    aggregate = info.log_mean(log_q)
    right = info.mutual_information(log_q) + info.kl(aggregate[None], log_p)[0]
    torch.testing.assert_close(left, right, rtol=0, atol=1e-13)
    assert info.kl(aggregate[None], log_p)[0] > 0.1


@pytest.mark.parametrize(("size", "spread"), [(16, 3.0), (128, 3.0), (128, 60.0)])
def test_eq_16_plug_in_is_biased_down_by_the_kl_of_batch_and_population(
    size: int, spread: float
) -> None:
    """V4: E H(q_B) - H(q) = - E KL(q_B || q), about -(K - 1) / 2B for hard predictions."""
    population = some_log_q(4000, 10, spread)
    aggregate = info.log_mean(population)
    draw = torch.Generator().manual_seed(2)
    bias, divergence = [], []
    for _ in range(600):
        batch = population[torch.randint(len(population), (size,), generator=draw)]
        mean = info.log_mean(batch)
        bias.append(info.entropy(mean) - info.entropy(aggregate))
        divergence.append(info.kl(mean[None], aggregate)[0])
    b, d = torch.stack(bias), torch.stack(divergence)
    assert abs((b + d).mean()) < 4 * (b + d).std() / math.sqrt(len(b))
    assert b.mean() < 0 and d.mean() > 8 * d.std() / math.sqrt(len(d))
    if spread > 10:
        assert d.mean().item() == pytest.approx(9 / (2 * size), rel=0.1)
