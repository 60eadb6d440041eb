"""likelihoods.py: constants of the Gaussian, the best sigma (V9s), what grey Bernoulli lacks
(V8c)."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import ContinuousBernoulli, Independent, Normal

from contracts import check_likelihood
from semivae.likelihoods import (
    SMALLEST_SIGMA,
    BinarizedBernoulli,
    FixedGaussian,
    GreyBernoulli,
    LearnedGaussian,
    Likelihood,
)
from semivae.models.specs import Gaussian, Rectified
from semivae.noise import Noise
from tractable import CPU, F64, noise_of, some_images


def unit(x: Tensor) -> Tensor:
    return (x >= 0) & (x <= 1)


def binary(x: Tensor) -> Tensor:
    return (x == 0) | (x == 1)


@pytest.mark.parametrize("event", [(6,), (1, 5, 4), (3, 2, 2)])
@pytest.mark.parametrize(
    ("likelihood", "in_range"),
    [
        (GreyBernoulli(), unit),
        (BinarizedBernoulli(), unit),
        (FixedGaussian(0.3), torch.isfinite),
        (LearnedGaussian(0.5), torch.isfinite),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_likelihood_keeps_the_laws(
    likelihood: Likelihood, in_range: object, event: tuple[int, ...]
) -> None:
    """Shapes, range, gradients and float32 for images and for rows."""
    likelihood.zero_grad()
    check_likelihood(likelihood, event, in_range)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 2.0])
def test_eq_1_gaussian_keeps_its_constants(sigma: float) -> None:
    """- ||x - f||^2 / 2 sigma^2 - P/2 log(2 pi sigma^2): torch's value, sum over pixels."""
    f, x = some_images(3, (1, 4, 4)), some_images(3, (1, 4, 4), seed=9)
    expected = Independent(Normal(f, sigma), 3).log_prob(x)
    fixed, learned = FixedGaussian(sigma).double(), LearnedGaussian(sigma).double()
    for likelihood in (fixed, learned):
        torch.testing.assert_close(likelihood(f).log_prob(x), expected, rtol=1e-6, atol=1e-5)
        assert torch.equal(likelihood(f).mean, f)
    by_hand = -(x - f).square().sum((1, 2, 3)) / (2 * sigma**2) - 8 * math.log(
        2 * math.pi * sigma**2
    )
    torch.testing.assert_close(expected, by_hand)


def test_the_mean_of_section_4_3_is_rectified_and_learns_nothing_below_0() -> None:
    """log p is that of a linear output where the output is above 0; below, x > 0 pulls nothing."""
    output = torch.tensor([[0.5, 2.0, -1.0]], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.25, 1.0, 0.75]], dtype=torch.float64)
    literal, linear = (of(0.5).build().double()(output) for of in (Rectified, Gaussian))
    assert literal.mean.tolist() == [[0.5, 2.0, 0.0]]
    assert linear.mean.tolist() == [[0.5, 2.0, -1.0]]
    expected = Normal(torch.tensor([[0.5, 2.0, 0.0]], dtype=torch.float64), 0.5).log_prob(x)
    torch.testing.assert_close(literal.log_prob(x), expected.sum(1))
    (gradient,) = torch.autograd.grad(literal.log_prob(x).sum(), output)
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, -4.0, 0.0]], dtype=torch.float64))


def test_bernoulli_is_the_binary_cross_entropy_of_grey_pixels() -> None:
    """sum_i x log lambda + (1 - x) log(1 - lambda), from logits, negative."""
    logits, x = 4 * some_images(3, (1, 4, 4)) - 2, some_images(3, (1, 4, 4), seed=9)
    lam = logits.sigmoid()
    by_hand = (x * lam.log() + (1 - x) * (1 - lam).log()).sum((1, 2, 3))
    p_x = GreyBernoulli()(logits)
    torch.testing.assert_close(p_x.log_prob(x), by_hand)
    assert (by_hand < 0).all()
    torch.testing.assert_close(p_x.mean, lam)
    far = GreyBernoulli()(torch.full((1, 1), 200.0)).log_prob(torch.zeros(1, 1))
    assert far.item() == pytest.approx(-200.0)


@pytest.mark.parametrize("lam", [0.01, 0.2, 0.4999, 0.8])
def test_grey_bernoulli_misses_the_constant_of_the_continuous_bernoulli(lam: float) -> None:
    """V8c: over [0, 1] the grey Bernoulli integrates to 1 / C(lambda) < 1; .2132697 at .01."""
    x = torch.linspace(0, 1, 100_001, dtype=F64)[:, None]
    logit = torch.logit(torch.tensor(lam, dtype=F64)).expand(len(x), 1)
    density = GreyBernoulli()(logit).log_prob(x).exp()
    mass = torch.trapezoid(density, x[:, 0]).item()
    c = 2 * math.atanh(1 - 2 * lam) / (1 - 2 * lam)
    assert mass == pytest.approx(1 / c, rel=1e-7) and mass < 1
    if lam == 0.01:
        assert mass == pytest.approx(0.2132697, abs=1e-7)
    normalised = ContinuousBernoulli(torch.tensor(lam, dtype=F64)).log_prob(x[:, 0]).exp()
    assert torch.trapezoid(normalised, x[:, 0]).item() == pytest.approx(1.0, rel=1e-4)


def test_the_best_sigma_is_the_root_mean_squared_error() -> None:
    """V9s: argmin over sigma is MSE, and the loss there P/2 (log 2 pi MSE + 1)."""
    f, x = some_images(8, (20,)), 0.5 * some_images(8, (20,), seed=9)
    mse = (x - f).square().mean()
    likelihood = LearnedGaussian(0.9).double()
    optimizer = torch.optim.LBFGS(
        likelihood.parameters(), max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -likelihood(f).log_prob(x).mean()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    loss = closure()
    torch.testing.assert_close((2 * likelihood.log_sigma).exp(), mse, rtol=1e-6, atol=0)
    torch.testing.assert_close(loss, 10 * ((2 * math.pi * mse).log() + 1), rtol=1e-10, atol=0)


def test_sigma_has_a_floor() -> None:
    """Below a quarter of an 8-bit step a fixed sigma is refused and a learned one held."""
    with pytest.raises(ValueError, match=r"sigma=0\.0001"):
        FixedGaussian(1e-4)
    with pytest.raises(ValueError, match="initial sigma"):
        LearnedGaussian(1e-6)
    likelihood = LearnedGaussian(0.5)
    torch.nn.init.constant_(likelihood.log_sigma, -20.0)
    assert likelihood(torch.zeros(1, 2)).sigma.item() == pytest.approx(SMALLEST_SIGMA)


def test_a_fixed_sigma_is_stored_and_not_learned() -> None:
    """It is in the state dict and among no parameters."""
    assert not list(FixedGaussian(0.3).parameters())
    assert FixedGaussian(0.3).state_dict()["sigma"].item() == pytest.approx(0.3)
    assert [name for name, _ in LearnedGaussian(0.3).named_parameters()] == ["log_sigma"]


def test_a_binarized_target_is_drawn_anew_at_each_step_with_the_grey_as_its_mean() -> None:
    """x ~ Bern(grey): only 0 and 1, keyed by step, unbiased; 0 and 1 stay as they are."""
    grey, likelihood = some_images(2000, (4,)), BinarizedBernoulli()
    steps = [likelihood.target(grey, noise_of(step=s, unlabeled=2000)) for s in range(30)]
    assert all(binary(target).all() for target in steps)
    assert not torch.equal(steps[0], steps[1])
    assert torch.equal(steps[0], likelihood.target(grey, noise_of(step=0, unlabeled=2000)))
    deviation = torch.stack(steps).mean(0) - grey
    z = deviation / (grey * (1 - grey) / 30).sqrt().clamp_min(1e-3)
    assert abs(z.mean()) < 4 / math.sqrt(z.numel()) and z.var().item() == pytest.approx(1, abs=0.1)
    ends = torch.tensor([[0.0, 1.0]]).repeat(500, 1)
    assert torch.equal(likelihood.target(ends, Noise(0, 0, (("unlabeled", 500),), CPU)), ends)


@pytest.mark.parametrize("likelihood", [GreyBernoulli(), FixedGaussian(1.0), LearnedGaussian(1.0)])
def test_other_targets_are_x_itself(likelihood: Likelihood) -> None:
    """Nothing of x is drawn, and nothing is copied."""
    x = some_images(3)
    assert likelihood.target(x, noise_of(unlabeled=3)) is x
