"""M2 for every network, family and likelihood, and the tractable models, against the laws of a
model."""

import copy
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from contracts import check_model
from semivae.bounds import labeled_elbos
from semivae.label_draws import one_pair_each
from semivae.models.m2 import M2
from semivae.models.networks import MLP, KingmaMLP, Network, PaperCNN, PaperCNN43
from semivae.models.specs import (
    Bernoulli,
    Binarized,
    Conditional,
    Factorized,
    Family,
    Gaussian,
    LearnedSigma,
    LikelihoodSpec,
    M2Spec,
)
from semivae.nets import LabelBlind
from tractable import (
    F64,
    FAMILIES,
    LinearGaussianMixture,
    noise_of,
    one_hot,
    small_m2,
    some_images,
    some_x,
)

IMAGE, TABLE = (1, 28, 28), (6,)
CASES = [
    (PaperCNN(latent=5), IMAGE),
    (PaperCNN(latent=5), (3, 32, 32)),
    (PaperCNN43(latent=5), IMAGE),
    (KingmaMLP(hidden=9, latent=5), IMAGE),
    (KingmaMLP(hidden=9, latent=2), TABLE),
    (MLP(hidden=8, latent=3), TABLE),
]
LIKELIHOODS = [Bernoulli(), Binarized(), Gaussian(0.3), LearnedSigma()]


@pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize(("network", "event"), CASES, ids=str)
def test_every_m2_keeps_the_laws_of_a_model(
    network: Network, event: tuple[int, ...], family: Family, likelihood: LikelihoodSpec
) -> None:
    """Every network, family and likelihood together make a model."""
    model = M2Spec(network, family, likelihood).build(event, torch.tensor([0.1, 0.4, -0.2]), 0)
    check_model(model, some_images(4, event))


@pytest.mark.parametrize("build", FAMILIES)
def test_the_tractable_models_keep_the_laws_of_a_model(build: type[LinearGaussianMixture]) -> None:
    """The models behind the oracles are themselves models."""
    check_model(build(log_prior=torch.tensor([0.3, -0.2, 0.0], dtype=F64)), some_x(7))


@pytest.mark.parametrize("network", [KingmaMLP(9, 4), MLP(8, 3)], ids=str)
def test_conditional_without_the_weights_of_y_equals_factorized(network: Network) -> None:
    """Kingma's q(z|x, y) is the paper's q(z|x) (Eq 2) once its heads do not read y."""
    event, log_prior = (6,), torch.zeros(3)
    conditional = M2Spec(network, Conditional(), Bernoulli()).build(event, log_prior, 0).double()
    first = conditional.latent.first
    nn.init.zeros_(first.of_y.weight)
    without_y = first.columns if hasattr(first, "columns") else first.of_a
    head = LabelBlind(nn.Sequential(without_y, conditional.latent.activation), 1, 1)
    head.mean, head.log_variance = conditional.latent.mean, conditional.latent.log_variance
    factorized = copy.copy(conditional)
    factorized._modules = {**conditional._modules, "latent": head}
    assert conditional.q_z_sees_y and not factorized.q_z_sees_y
    x, noise = some_images(5), noise_of(unlabeled=5)
    z_noise = noise.normal("z", conditional.latent_size).double()
    both = [labeled_elbos(m, m.encode(x, noise), z_noise) for m in (conditional, factorized)]
    torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)
def test_the_conditional_family_reads_y_in_mean_and_variance(family: Family) -> None:
    """Kingma's code makes both mean and variance of q(z|x, y) depend on y; the paper's neither."""
    model = small_m2(family, Bernoulli())
    encoded = model.encode(some_images(4), noise_of(unlabeled=4))
    q = [model.q_z(encoded.h, one_pair_each(y, y)) for y in (one_hot([k] * 4, 4) for k in (0, 1))]
    for a, b in ((q[0].mean, q[1].mean), (q[0].variance, q[1].variance)):
        assert torch.equal(a, b) is not model.q_z_sees_y


def test_the_prior_of_y_is_normalised_and_that_of_z_is_standard() -> None:
    """p(y) is the given one up to a constant, p(z) = N(0, I) whatever y (Eq 4)."""
    log_prior = torch.tensor([1.0, 2.0, 4.0]).log()
    model = M2Spec(MLP(4, 2), Factorized(), Bernoulli()).build((6,), log_prior + 5.0, 0)
    torch.testing.assert_close(model.p_y().probs, torch.tensor([1.0, 2.0, 4.0]) / 7)
    p_z = model.p_z(torch.eye(3))
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    expected = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
    torch.testing.assert_close(p_z.log_prob(z), expected)
    assert not any(parameter is model.log_prior for parameter in model.parameters())


def test_decode_is_the_mean_of_p_x() -> None:
    """One image per row, each decoded with its own y."""
    model = small_m2(Conditional(), Bernoulli())
    z, y = some_images(3, (3,)), one_hot([2, 0, 2], 4)
    rows = [model.decode(z[i : i + 1], y[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(model.decode(z, y), torch.cat(rows))
    logits = model.decoder(z, y, None)
    torch.testing.assert_close(model.decode(z, y), logits.sigmoid())


def test_weights_are_a_function_of_the_seed_and_the_global_generator_is_left_alone() -> None:
    """Building a model draws nothing from torch's global generator."""

    def build(seed: int) -> M2:
        return M2Spec(MLP(4, 2), Factorized(), Bernoulli()).build((6,), torch.zeros(3), seed)

    before = torch.get_rng_state()
    a, b, c = (torch.cat([p.flatten() for p in build(s).parameters()]) for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_class_is_m1() -> None:
    """K = 1: the label costs nothing, and the bound is that of M1."""
    model = M2Spec(KingmaMLP(7, 3), Factorized(), Bernoulli()).build((6,), torch.zeros(1), 0)
    model = model.double()
    x, noise = some_images(5), noise_of(unlabeled=5)
    encoded = model.encode(x, noise)
    z_noise = noise.normal("z", 3).double()
    hidden = model.latent.hidden(encoded.h)
    mean, log_variance = model.latent.mean(hidden), model.latent.log_variance(hidden)
    z = mean + (0.5 * log_variance).exp() * z_noise
    logits = model.decoder(z, torch.ones(5, 1, dtype=F64), None)
    log_p = (x * logits.sigmoid().log() + (1 - x) * (-logits).sigmoid().log()).sum(1)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    torch.testing.assert_close(labeled_elbos(model, encoded, z_noise)[:, 0], log_p - kl)
