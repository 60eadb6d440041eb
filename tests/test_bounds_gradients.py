"""V16, Eqs 10 and 11: pathwise gradients of E_q(z) log p(x|z) against the analytic ones.

With a linear-Gaussian decoder and q = N(m, diag v),

    E_q(z)[log p(x|z)] = c - (||x - W m - V_y||^2 + sum_d v_d ||W_d||^2) / 2 sigma^2,

so that every gradient has a closed form; one sample of z per example, many examples.
"""

import math

import pytest
import torch
from torch import Tensor

from semivae.bounds import bound
from semivae.labels import Observed
from tractable import F64, ConditionalMixture, LinearGaussianMixture, noise_of, one_hot, some_x

BATCHES, ROWS, LABEL = 40, 500, 1


@pytest.fixture(scope="module", params=[LinearGaussianMixture, ConditionalMixture])
def model(request: pytest.FixtureRequest) -> LinearGaussianMixture:
    return request.param()


@pytest.fixture(scope="module")
def sampled(model: LinearGaussianMixture) -> dict[str, Tensor]:
    """The gradient of each parameter from each of many batches of one x, (BATCHES, *shape)."""
    x, y = some_x(1).expand(ROWS, -1), one_hot([LABEL] * ROWS, 3)
    names = [name for name, _ in model.named_parameters()]
    rows = []
    for step in range(BATCHES):
        noise = noise_of(step=step, labeled=ROWS)
        encoded = model.encode(x, noise)
        draws = Observed()(encoded.q_y.logits, y, noise)
        value = bound(model, encoded, draws, noise.normal("z", 2).double()).reconstruction.mean()
        rows.append(torch.autograd.grad(value, list(model.parameters()), allow_unused=True))
    return {
        name: torch.stack([part for part in column if part is not None])
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
        if column[0] is not None
    }


def analytic(model: LinearGaussianMixture) -> dict[str, Tensor]:
    """The same gradients by hand."""
    x = some_x(1)[0]
    mean, variance = (part[0, LABEL] for part in model.class_q_z(x[None]))
    error = x - model.W @ mean - model.V[LABEL]
    precision = 1 / model.sigma**2
    to_mean = precision * error @ model.W
    to_log_variance = -0.5 * precision * variance * model.W.square().sum(0)
    square = error.square().sum() + (variance * model.W.square().sum(0)).sum()
    chosen = torch.eye(3, dtype=F64)[LABEL][:, None]
    return {
        # theta, Eq 10
        "W": precision * (torch.outer(error, mean) - model.W * variance),
        "V": precision * chosen * error,
        "log_sigma": precision * square - len(x),
        # phi, Eq 11
        "mean": to_mean,
        "x_to_mean": torch.outer(x, to_mean),
        "y_to_mean": chosen * to_mean,
        "log_variance": to_log_variance,
        "y_to_log_variance": chosen * to_log_variance,
    }


@pytest.mark.parametrize("name", ["W", "V", "log_sigma"])
def test_eq_10_gradient_of_theta(
    model: LinearGaussianMixture, sampled: dict[str, Tensor], name: str
) -> None:
    """The decoder's gradient is within 4 standard errors of the analytic one, and not zero."""
    _agree(sampled[name], analytic(model)[name])


@pytest.mark.parametrize(
    "name", ["mean", "x_to_mean", "log_variance", "y_to_mean", "y_to_log_variance"]
)
def test_eq_11_gradient_of_phi(
    model: LinearGaussianMixture, sampled: dict[str, Tensor], name: str
) -> None:
    """The encoder's gradient passes through z = mu + sigma eps: within 4 standard errors, and not
    zero."""
    if name.startswith("y_") and not model.q_z_sees_y:
        assert name not in sampled
        return
    _agree(sampled[name], analytic(model)[name])


def test_the_reconstruction_of_a_label_has_no_gradient_for_the_classifier(
    sampled: dict[str, Tensor],
) -> None:
    """q(y|x) does not appear in Eq 6."""
    assert "logits" not in sampled and "x_to_logits" not in sampled


def _agree(estimates: Tensor, exact: Tensor) -> None:
    error = estimates.std(0) / math.sqrt(BATCHES)
    assert ((estimates.mean(0) - exact).abs() <= 4 * error + 1e-12).all()
    assert exact.abs().max() > 10 * error.max()
