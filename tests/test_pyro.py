"""M2's exact bound beside Pyro's `TraceEnum_ELBO`: an independent library, the same networks and
noise."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from semivae.bounds import bound
from semivae.labels import Enumerated, Observed
from semivae.models.m2 import M2
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family
from tractable import F64, noise_of, small_m2, some_images

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyro's own, at import
    import pyro
    import pyro.distributions as dist
    from pyro.infer import TraceEnum_ELBO, config_enumerate

ROWS, CLASSES = 5, 4


class InPyro:
    """The same densities as a Pyro model and guide, without a line of our bound."""

    def __init__(self, m2: M2, noise: Tensor) -> None:
        self.m2, self.noise = m2, noise

    def model(self, x: Tensor, y: Tensor | None) -> None:
        with pyro.plate("rows", len(x)):
            y = pyro.sample("y", dist.Categorical(logits=self.m2.log_prior), obs=y)
            zero, one = x.new_zeros(self.m2.latent_size), x.new_ones(self.m2.latent_size)
            z = pyro.sample("z", dist.Normal(zero, one).to_event(1))
            labels, z, pairs = paired(y, z)
            logits = self.m2.decoder(z, labels, None).unflatten(0, pairs)
            grey = dist.Bernoulli(logits=logits, validate_args=False)
            pyro.sample("x", grey.to_event(1), obs=x)

    def guide(self, x: Tensor, y: Tensor | None) -> None:
        h = self.m2.trunk(x)
        with pyro.plate("rows", len(x)):
            if y is None:
                y = pyro.sample("y", dist.Categorical(logits=self.m2.classifier(h)))
            if self.m2.q_z_sees_y:
                labels, features, pairs = paired(y, h)
            else:
                labels, features, pairs = h.new_zeros(len(h), CLASSES), h, h.shape[:1]
            rows = torch.arange(len(features))
            mean, log_variance = (
                head.unflatten(0, pairs) for head in self.m2.latent(features, labels, rows)
            )
            q_z = shifted_by(self.noise)(mean, torch.exp(0.5 * log_variance))
            pyro.sample("z", q_z.to_event(1))


def shifted_by(noise: Tensor) -> type[dist.Normal]:
    """N(loc, scale^2) whose sample is loc + scale * noise."""

    class Shifted(dist.Normal):
        def rsample(self, sample_shape: object = None) -> Tensor:
            return self.loc + self.scale * noise

    return Shifted


def paired(y: Tensor, a: Tensor) -> tuple[Tensor, Tensor, torch.Size]:
    """Labels as one-hot rows and features, one row per pair, and the shape of the pairs."""
    labels = torch.nn.functional.one_hot(y, CLASSES).to(a)
    pairs = torch.broadcast_shapes(labels.shape[:-1], a.shape[:-1])
    labels, a = (each.expand(*pairs, -1).flatten(0, -2) for each in (labels, a))
    return labels, a, pairs


def ours(m2: M2, x: Tensor, y: Tensor | None, noise: Tensor) -> Tensor:
    """The bound of the batch, with KL(q(z|.) || p(z)) taken at the sample of z, as Pyro takes
    it."""
    encoded = m2.encode(x, noise_of(unlabeled=len(x)))
    rule = Enumerated() if y is None else Observed()
    labels = None if y is None else torch.nn.functional.one_hot(y, CLASSES).to(x)
    draws = rule(encoded.q_y.logits, labels, noise_of(unlabeled=len(x)))
    q_z = m2.q_z(encoded.h, draws)
    of_pair = draws.row if m2.q_z_sees_y else torch.arange(len(x))
    z = q_z.at(noise[of_pair])
    p_z = m2.p_z(draws.y[: len(z)])
    difference = kl_divergence(q_z, p_z) - (q_z.log_prob(z) - p_z.log_prob(z))
    if m2.q_z_sees_y:
        difference = draws.expectation(difference)
    return (bound(m2, encoded, draws, noise).value + difference).sum()


@pytest.mark.parametrize("family", [Factorized(), Conditional()], ids=["q(z|x)", "q(z|x, y)"])
@pytest.mark.parametrize("labeled", [False, True], ids=["Eq 5", "Eq 6"])
def test_the_bound_and_its_gradient_are_those_of_trace_enum_elbo(
    family: Family, labeled: bool
) -> None:
    m2, x = small_m2(family, Bernoulli(), classes=CLASSES), some_images(ROWS)
    noise = torch.randn(ROWS, m2.latent_size, dtype=F64)
    y = torch.arange(ROWS) % CLASSES if labeled else None
    theirs = InPyro(m2, noise)
    guide = theirs.guide if labeled else config_enumerate(theirs.guide, "parallel")
    pyros = TraceEnum_ELBO(max_plate_nesting=1, strict_enumeration_warning=False)
    loss = pyros.differentiable_loss(theirs.model, guide, x, y)
    value = ours(m2, x, y, noise)
    torch.testing.assert_close(value, -loss)
    weights = [(n, w) for n, w in m2.named_parameters() if not (labeled and "classifier" in n)]
    gradients, expected = (
        torch.autograd.grad(each, [weight for _, weight in weights]) for each in (value, -loss)
    )
    for (name, _), got, wanted in zip(weights, gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, msg=lambda text, name=name: f"{name}: {text}")
