"""distributions.py against torch.distributions, Monte-Carlo and the precision of math.md (V1,
V9)."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from semivae.distributions import (
    LOG_VARIANCE_RANGE,
    DiagonalGaussian,
    StandardGaussian,
    categorical,
    full_precision,
)

F64 = torch.float64
CPU = torch.device("cpu")


def some_gaussian(rows: int = 4, size: int = 6) -> DiagonalGaussian:
    draw = torch.Generator().manual_seed(0)
    mean = torch.randn(rows, size, generator=draw, dtype=F64)
    return DiagonalGaussian(mean, torch.randn(rows, size, generator=draw, dtype=F64))


def test_eq_12_closed_form_is_the_kl_of_torch_and_of_monte_carlo() -> None:
    """V1: KL(q || N(0, I)) = 1/2 sum (mu^2 + sigma^2 - 1 - log sigma^2), three ways."""
    q = some_gaussian()
    p = StandardGaussian(4, 6, CPU, F64)
    closed = kl_divergence(q, p)
    mean, variance = q.base_dist.loc, q.log_variance.exp()
    by_hand = 0.5 * (mean**2 + variance - 1 - variance.log()).sum(1)
    torch.testing.assert_close(closed, by_hand, rtol=1e-12, atol=1e-12)
    standard = Normal(torch.zeros(6, dtype=F64), torch.ones(6, dtype=F64))
    of_torch = kl_divergence(Normal(mean, variance.sqrt()), standard).sum(1)
    torch.testing.assert_close(closed, of_torch, rtol=1e-12, atol=1e-12)
    noise = torch.randn(40_000, 4, 6, generator=torch.Generator().manual_seed(1), dtype=F64)
    z = q.at(noise)
    log_ratio = q.log_prob(z) - p.log_prob(z)
    error = log_ratio.std(0) / math.sqrt(len(noise))
    assert ((log_ratio.mean(0) - closed).abs() < 4 * error).all()


def test_eq_12_is_zero_exactly_at_the_prior() -> None:
    """KL(p || p) = 0, and it is positive a step away from it in either argument."""
    p = StandardGaussian(1, 3, CPU, F64)
    zero = torch.zeros(1, 3, dtype=F64)
    assert kl_divergence(DiagonalGaussian(zero, zero), p).item() == 0
    for mean, log_variance in ((zero + 0.1, zero), (zero, zero + 0.1), (zero, zero - 0.1)):
        assert kl_divergence(DiagonalGaussian(mean, log_variance), p).item() > 0


def test_eq_12_keeps_its_digits_at_small_log_variance() -> None:
    """V9: at lv = 1e-4 the KL is 2.5e-9; `exp(lv) - 1 - lv` in float32 is three times that."""
    lv = torch.tensor([[1e-4]])
    value = kl_divergence(
        DiagonalGaussian(torch.zeros(1, 1), lv), StandardGaussian(1, 1, CPU, lv.dtype)
    )
    assert value.item() == pytest.approx(2.5e-9, rel=1e-2)
    naive = 0.5 * (lv.exp() - 1 - lv)
    assert naive.item() == pytest.approx(8.3e-9, rel=1e-2)


@pytest.mark.parametrize("lv", [1e-4, -1e-4, 1e-3, 0.02, -0.02])
def test_eq_12_of_bfloat16_heads_is_float32_and_not_negative(lv: float) -> None:
    """V9: in bfloat16 the naive form is -5e-5 at lv = 1e-4; ours is computed in float32."""
    coarse = torch.full((1, 1), lv, dtype=torch.bfloat16)
    q = DiagonalGaussian(torch.zeros_like(coarse), coarse)
    value = kl_divergence(q, StandardGaussian(1, 1, CPU, torch.bfloat16))
    exact = coarse.double()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx((0.5 * (exact.expm1() - exact)).item(), rel=0.02)
    assert value.item() > 0


def test_the_log_variance_is_clamped_and_its_gradient_is_not_scaled_inside() -> None:
    """exp() stays finite, and inside the range the clamp is the identity."""
    raw = torch.tensor([[-100.0, 0.5, 100.0]], requires_grad=True)
    q = DiagonalGaussian(torch.zeros(1, 3), raw)
    assert q.log_variance.tolist() == [[LOG_VARIANCE_RANGE[0], 0.5, LOG_VARIANCE_RANGE[1]]]
    assert kl_divergence(q, StandardGaussian(1, 3, CPU, raw.dtype)).isfinite().all()
    q.log_variance.sum().backward()
    assert raw.grad is not None and raw.grad[0, 1] == 1


def test_at_is_mu_plus_sigma_noise_with_gradients_to_both() -> None:
    """Section 2.7.1: z = mu + sigma eps; dz/dmu = 1 and dz/d log sigma^2 = sigma eps / 2."""
    mean = torch.tensor([[0.3, -1.0]], dtype=F64, requires_grad=True)
    lv = torch.tensor([[0.4, -2.0]], dtype=F64, requires_grad=True)
    noise = torch.tensor([[1.5, -0.5]], dtype=F64)
    q = DiagonalGaussian(mean, lv)
    sigma = (0.5 * lv).exp().detach()
    torch.testing.assert_close(q.at(noise).detach(), mean.detach() + sigma * noise)
    q.at(noise).sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(noise))
    torch.testing.assert_close(lv.grad, 0.5 * sigma * noise)
    expected = Independent(Normal(mean, sigma), 1).log_prob(q.at(noise))
    torch.testing.assert_close(q.log_prob(q.at(noise)), expected)


def test_categorical_is_log_softmax_in_full_precision() -> None:
    """V9: log(softmax + 1e-8) saturates at -18.42 where the true value is -30."""
    logits = torch.tensor([[0.0, 30.0]], requires_grad=True)
    log_q = categorical(logits).logits
    assert log_q[0, 0].item() == pytest.approx(-30.0, rel=1e-6)
    log_q[0, 0].backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -1.0]]))
    assert (logits.softmax(1) + 1e-8).log()[0, 0].item() == pytest.approx(-18.42, abs=0.01)
    assert categorical(logits.detach().bfloat16()).logits.dtype == torch.float32
    shifted = categorical(logits.detach().double() + 100).logits
    torch.testing.assert_close(shifted, categorical(logits.detach().double()).logits)


def test_full_precision_copies_only_what_is_coarse() -> None:
    """float32 and float64 come back as they are."""
    for dtype in (torch.float32, torch.float64):
        tensor = torch.zeros(2, dtype=dtype)
        assert full_precision(tensor) is tensor
    for dtype in (torch.bfloat16, torch.float16):
        assert full_precision(torch.zeros(2, dtype=dtype)).dtype == torch.float32
