"""M1, M1+M2, ADGM and SDGM: the laws of a model, unbiased weights and the order of bounds (V3)."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from contracts import check_model
from deep_tractable import BUILDERS, log_joint, some_points
from semivae.bounds import bound, labeled_elbos, log_evidence
from semivae.label_draws import LabelRule
from semivae.labels import Enumerated, Observed, Pruned, Relaxed, StraightThrough
from semivae.models.base import DeepGenerativeModel
from semivae.models.deep_networks import M1MLP, AuxiliaryMLP, StackedMLP
from semivae.models.specs import (
    ADGMSpec,
    Bernoulli,
    Binarized,
    Gaussian,
    LearnedSigma,
    LikelihoodSpec,
    M1M2Spec,
    M1Spec,
    SDGMSpec,
)
from tractable import noise_of, some_images

CASES = pytest.mark.parametrize("name", BUILDERS)
IMAGE, TABLE = (1, 4, 3), (6,)
LIKELIHOODS = [Bernoulli(), Binarized(), Gaussian(0.3), LearnedSigma()]
LOG_PRIOR = torch.tensor([0.1, 0.4, -0.2])


def build(kind: str, likelihood: LikelihoodSpec, event: tuple[int, ...]) -> DeepGenerativeModel:
    """A small random model of each kind."""
    if kind == "m1":
        return M1Spec(M1MLP(9, 3), likelihood).build(event, 0)
    specs = {
        "m1m2": M1M2Spec(StackedMLP(9, 4, 8, 3), likelihood),
        "adgm": ADGMSpec(AuxiliaryMLP(9, 3, 4), likelihood),
        "sdgm": SDGMSpec(AuxiliaryMLP(9, 3, 4), likelihood),
    }
    return specs[kind].build(event, LOG_PRIOR, 0)


KINDS = ["m1", "m1m2", "adgm", "sdgm"]


@pytest.mark.parametrize("event", [IMAGE, TABLE], ids=["image", "table"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_every_model_keeps_the_laws_of_a_model(
    kind: str, likelihood: LikelihoodSpec, event: tuple[int, ...]
) -> None:
    check_model(build(kind, likelihood, event), some_images(4, event))


@CASES
def test_the_tractable_models_keep_the_laws_of_a_model(name: str) -> None:
    model = BUILDERS[name]()
    model.log_prior.copy_(model.p_y().logits)
    # A log variance that reads nothing leaves its inputs without a gradient: give it one.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05)
    if "kept" not in name:
        check_model(model, some_points(4))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_a_function_of_the_seed_and_the_global_generator_is_left_alone(
    kind: str,
) -> None:
    before = torch.get_rng_state()
    a, b = (build(kind, Bernoulli(), TABLE).state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(torch.get_rng_state(), before)


@CASES
def test_importance_weights_are_unbiased_for_the_joint(name: str) -> None:
    """E exp(log weight) = p(x, k) in closed form, for every class: all densities, all signs, and
    a (or z1) drawn anew with each z."""
    rows = 40_000
    model, x = BUILDERS[name](), some_points(1)
    with torch.no_grad():
        noise = noise_of(unlabeled=rows)
        encoded = model.encode(x.expand(rows, -1), noise)
        value = log_evidence(model, encoded, noise, model.latent_size, 2)
        ratio = (value - log_joint(model, x)).exp()
    error = ratio.std(0) / math.sqrt(rows)
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all() and (error < 0.1).all()


@CASES
def test_bounds_are_in_order(name: str) -> None:
    """V3: U <= LSE_k ELBO(x, k) <= IW_1 <= IW_5 <= IW_50 <= IW_500 <= log p(x), each within 4
    standard errors, and the last close; ELBO(x, k) is the mean over z at the a or z1 of a row."""
    rows = {1: 3000, 5: 3000, 50: 3000, 500: 300}
    model, one = BUILDERS[name](), some_points(1)
    with torch.no_grad():
        noise = noise_of(unlabeled=3000)
        encoded = model.encode(one.expand(3000, -1), noise)
        z_noise = noise.normal("z", model.latent_size).double()
        draws = Enumerated()(encoded.q_y.logits, None, noise)
        elbos = torch.stack(
            [
                labeled_elbos(model, encoded, noise.normal(f"z {s}", model.latent_size).double())
                for s in range(100)
            ]
        )
        values = [bound(model, encoded, draws, z_noise).value, elbos.mean(0).logsumexp(1)]
        for samples, n in rows.items():
            few = noise_of(unlabeled=n)
            again = model.encode(one.expand(n, -1), few)
            value = log_evidence(model, again, few, model.latent_size, samples)
            values.append(value.logsumexp(1))
        exact = log_joint(model, one).logsumexp(1)[0]
    means = [value.mean() for value in values] + [exact]
    errors = [value.std() / math.sqrt(len(value)) for value in values] + [torch.zeros(())]
    for i in range(len(values)):
        assert means[i] <= means[i + 1] + 4 * torch.hypot(errors[i], errors[i + 1]), i
    assert means[0] < means[3] - 4 * torch.hypot(errors[0], errors[3])
    assert exact - means[0] > 5 * (exact - means[4]).abs()


@pytest.mark.parametrize(
    "rule", [Enumerated(), Pruned(), Relaxed(), StraightThrough()], ids=lambda r: type(r).__name__
)
@pytest.mark.parametrize("kind", KINDS)
def test_any_label_rule_works(kind: str, rule: LabelRule) -> None:
    """Finite bounds, and a gradient for every parameter but those of the classifier of M1."""
    model, x, noise = build(kind, Binarized(), TABLE), some_images(6).float(), noise_of(u=6)
    encoded = model.encode(x, noise)
    z_noise = noise.normal("z", model.latent_size)
    parts = bound(model, encoded, rule(encoded.q_y.logits, None, noise), z_noise)
    assert parts.value.shape == (6,) and parts.value.isfinite().all()
    parts.value.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    label = torch.eye(model.classes)[torch.zeros(6).long()]
    labeled = bound(model, encoded, Observed()(encoded.q_y.logits, label, noise), z_noise)
    assert labeled.value.isfinite().all()


@pytest.mark.parametrize("kind", ["m1m2", "sdgm"])
def test_what_lies_between_z_and_x_is_drawn_in_generate_and_at_its_mean_in_decode(
    kind: str,
) -> None:
    model, source = build(kind, Gaussian(0.3), TABLE), torch.Generator()
    z, y = torch.zeros(5, 3), torch.eye(3)[[1] * 5]
    alike = model.decode(z, y)
    torch.testing.assert_close(alike, alike[:1].expand(5, -1))
    drawn = model.generate(z, y, source.manual_seed(0))
    assert (drawn[0] - drawn[1]).abs().max() > 1e-3
