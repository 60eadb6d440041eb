"""smoothness.py: LDS against its closed form in two classes, and what it may and may not see."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from contracts import check_term
from semivae.config import from_plain, set_value, to_plain
from semivae.data.scaling import pixels
from semivae.errors import InputError
from semivae.fitting import Hooks, train
from semivae.information import kl
from semivae.labels import Enumerated
from semivae.models import m1m2
from semivae.models.deep_networks import AuxiliaryMLP, StackedMLP
from semivae.models.specs import (
    Auxiliary,
    Bernoulli,
    Binarized,
    Conditional,
    Factorized,
    Family,
    SkipAuxiliary,
    Stacked,
)
from semivae.noise import Noise
from semivae.objective_specs import Equation8, LabeledELBO
from semivae.predictor import TrainingSet
from semivae.recipe import DataFacts, Recipe
from semivae.recipes import named_recipe
from semivae.schedules import Ramp
from semivae.smoothness import LocalSmoothness, Smoothness
from semivae.streams import UNLABELED, Rows, Streams
from semivae.weighting import StreamWeights, balanced, dataset, sums
from tractable import (
    CPU,
    F64,
    LinearGaussianMixture,
    noise_of,
    small_m2,
    some_images,
    some_x,
    state_at,
    streams_of,
)

RADIUS = 0.3
LENGTH = RADIUS * math.sqrt(5)  # of r, for rows of five columns


def value_of(model: LinearGaussianMixture, x: Tensor, radius: float = RADIUS) -> Tensor:
    """LDS of unlabeled rows, (B,)."""
    return LocalSmoothness(radius)(model, streams_of(model, unlabeled=x), state_at()).value


@pytest.mark.parametrize("family", [Factorized(), Conditional()], ids=str)
def test_it_keeps_the_laws_of_a_term(family: Family) -> None:
    batch = {UNLABELED: Rows(some_images(7), None)}
    model = small_m2(family, Bernoulli())
    check_term(LocalSmoothness(RADIUS), model, batch, {"trunk", "classifier"})


def test_in_two_classes_it_is_the_divergence_along_the_weights() -> None:
    """log-odds s = w x + b: the steepest r is w/|w| or its opposite at the given length, and the
    divergence is that between the coins of log-odds s and s +- length |w|."""
    model, x = LinearGaussianMixture(classes=2), some_x(9)
    w = (model.x_to_logits[:, 1] - model.x_to_logits[:, 0]).detach()
    guess = noise_of(unlabeled=9).normal("smoothness", 5)
    s = x @ w + (model.logits[1] - model.logits[0]).detach()
    moved = s + LENGTH * w.norm() * (guess.to(F64) @ w).sign()
    q, p = (torch.stack([-odds, odds], 1).div(2).log_softmax(1) for odds in (s, moved))
    torch.testing.assert_close(value_of(model, x), kl(q, p))


def test_it_finds_most_of_the_steepest_step() -> None:
    """In four classes: far more than a random step of the same length, and most of the best of
    very many."""
    model, x = LinearGaussianMixture(classes=4), some_x(200)
    random = torch.randn(1000, *x.shape, generator=torch.Generator().manual_seed(3), dtype=F64)
    random = LENGTH * random / random.norm(dim=2, keepdim=True)
    log_q = model.q_y(x).logits
    found = torch.stack([kl(log_q, model.q_y(x + r).logits) for r in random])
    assert value_of(model, x).mean() > 2 * found.mean()
    assert value_of(model, x).mean() > 0.7 * found.amax(0).mean()


def test_q_reads_grey_pixels_at_the_given_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the binarized ones that are decoded; the random step is as long as the other."""
    model, x = small_m2(Factorized(), Binarized(), event=(1, 3, 4)), some_images(7, (1, 3, 4))
    streams = Streams(model, {UNLABELED: Rows(x, None)}, noise_of(unlabeled=7), model.latent_size)
    read: list[Tensor] = []
    classify = model.classify

    def spied(x: Tensor, noise: Noise) -> Categorical:
        read.append(x.detach())
        return classify(x, noise)

    monkeypatch.setattr(model, "classify", spied)
    LocalSmoothness(RADIUS)(model, streams, state_at())
    distances = torch.stack([(moved - x).flatten(1).norm(dim=1) for moved in read])
    expected = torch.full((2, 7), RADIUS * math.sqrt(12), dtype=F64)
    torch.testing.assert_close(distances, expected, rtol=1e-6, atol=0)


def test_what_it_teaches_is_the_moved_rows_alone() -> None:
    """Its gradient is that of the cross-entropy at x + r, r and q(y|x) held constant."""
    model, x = LinearGaussianMixture(classes=2), some_x(9)
    (got,) = torch.autograd.grad(value_of(model, x).sum(), model.x_to_logits)
    w = (model.x_to_logits[:, 1] - model.x_to_logits[:, 0]).detach()
    guess = noise_of(unlabeled=9).normal("smoothness", 5).to(F64)
    r = LENGTH * (guess @ w).sign()[:, None] * w / w.norm()
    cross_entropy = -(model.q_y(x).probs.detach() * model.q_y(x + r).logits).sum()
    (expected,) = torch.autograd.grad(cross_entropy, model.x_to_logits)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("corruption", [0.0, 0.5])
@pytest.mark.parametrize(
    ("family", "network"),
    [
        (Auxiliary(), AuxiliaryMLP(hidden=9, latent=3, auxiliary=2)),
        (SkipAuxiliary(), AuxiliaryMLP(hidden=9, latent=3, auxiliary=2)),
        (Stacked(), StackedMLP(hidden=9, code=3, hidden_above=8, latent=2)),
    ],
    ids=str,
)
def test_what_a_model_draws_is_drawn_as_for_x(
    family: Family, network: AuxiliaryMLP | StackedMLP, corruption: float
) -> None:
    """A move of nearly nothing changes q(y|.) by nearly nothing: a and z1, and the noise on x,
    stay."""
    model = family.spec(network, Bernoulli()).build((6,), torch.zeros(4), seed=1).double()
    rows = {UNLABELED: Rows(some_images(7), None)}
    noise = Noise(0, 3, ((UNLABELED, 7),), CPU, corruption=corruption)
    streams = Streams(model, rows, noise, model.latent_size)
    value = LocalSmoothness(1e-5)(model, streams, state_at()).value
    assert (value.abs() < 1e-9).all()
    assert (LocalSmoothness(2.0)(model, streams, state_at()).value > 1e-9).all()


def test_where_the_classifier_is_sure_nothing_is_lost() -> None:
    """Without a gradient there is no direction: the value is 0, and its gradient finite."""
    model = LinearGaussianMixture(classes=3)
    with torch.no_grad():
        model.x_to_logits.zero_()
        model.logits.copy_(torch.tensor([900.0, 0.0, 0.0]))
    value = value_of(model, some_x(4))
    (gradient,) = torch.autograd.grad(value.sum(), model.x_to_logits)
    assert torch.equal(value, torch.zeros(4, dtype=F64)) and gradient.isfinite().all()


def test_a_direction_is_found_where_no_gradient_is_recorded() -> None:
    model, x = LinearGaussianMixture(), some_x(4)
    with torch.no_grad():
        value = value_of(model, x)
    assert not value.requires_grad and torch.equal(value, value_of(model, x).detach())


@pytest.mark.parametrize("radius", [0.0, -1.0, float("inf"), float("nan")])
def test_a_radius_is_above_0(radius: float) -> None:
    with pytest.raises(ValueError, match="radius"):
        LocalSmoothness(radius)
    recipe = named_recipe("auto").build(DataFacts((6,), 4, 6, 3))
    with pytest.raises(InputError, match=r"smoothness\.radius="):
        set_value(recipe, "smoothness.radius", f"{radius:g}")


@pytest.mark.parametrize("weight", ["-1", "ramp(-1,5,0.5)", "ramp(5,-1,0.5)", "inf"])
def test_roughness_is_not_asked_for(weight: str) -> None:
    recipe = named_recipe("auto").build(DataFacts((6,), 4, 6, 3))
    with pytest.raises(InputError, match=r"smoothness\.weight="):
        set_value(recipe, "smoothness.weight", weight)


def test_it_counts_beside_any_objective_of_unlabeled_rows() -> None:
    plain = Equation8(alpha=3.0).build(4, 6, Enumerated())
    assert Smoothness().added_to(plain) is plain, "without a weight nothing is computed"
    model, x = LinearGaussianMixture(), some_x(6)
    labeled = (some_x(4), torch.eye(3, dtype=F64)[[0, 1, 2, 0]])
    for weight, factor in ((5.0, 5.0), (Ramp(0.0, 8.0, 1.0), 2.0)):
        smooth = Smoothness(weight, RADIUS).added_to(plain)
        streams, state = streams_of(model, labeled, x), state_at(fraction=0.25)
        less = plain(model, streams, state), smooth(model, streams, state)
        lds = LocalSmoothness(RADIUS)(model, streams, state).value.mean()
        torch.testing.assert_close(less[1].loss - less[0].loss, factor * lds)
        torch.testing.assert_close(less[1].terms["unlabeled/local_smoothness"], lds.detach())


def test_it_asks_for_unlabeled_rows() -> None:
    with pytest.raises(InputError, match=r"smoothness\.weight=5.*set it to 0.*optimized_elbo"):
        Smoothness(5.0).added_to(LabeledELBO().build(4, 6, Enumerated()))


@pytest.mark.parametrize("weighting", [balanced, dataset, sums], ids=lambda each: each.__name__)
def test_its_weight_is_of_the_mean_over_rows_whatever_that_of_their_sum(
    weighting: Callable[[int, int], StreamWeights],
) -> None:
    plain = Equation8(alpha=3.0, weighting=weighting).build(4, 6, Enumerated())
    smooth = Smoothness(5.0, RADIUS).added_to(plain)
    model, x = LinearGaussianMixture(), some_x(6)
    streams = streams_of(model, (some_x(4), torch.eye(3, dtype=F64)[[0, 1, 2, 0]]), x)
    more = smooth(model, streams, state_at()).loss - plain(model, streams, state_at()).loss
    torch.testing.assert_close(more, 5.0 * value_of(model, x).mean())


# From the recipe to the training.


def some_data() -> TrainingSet:
    rng = np.random.default_rng(0)
    y = np.array([0, 1, 2, *[-1] * 17])
    return TrainingSet(rng.random((20, 6), np.float32), y, ("a", "b", "c"), pixels(1.0))


@pytest.mark.parametrize(
    ("recipe", "smooth"),
    [
        ("auto", "unlabeled/local_smoothness"),
        ("sdgm", "unlabeled/local_smoothness"),
        ("m1m2-joint", "unlabeled/local_smoothness"),
        ("m1m2-refined", "joint/unlabeled/local_smoothness"),
    ],
)
def test_a_recipe_trains_under_it_where_q_reads_x(
    recipe: str, smooth: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(m1m2, "SMALLEST_DEVIATION", 0.0)  # an M1 of one epoch has no more
    data = some_data()
    built = named_recipe(recipe).build(data.facts)
    for stage in ("pretraining", "training", "refining"):
        if getattr(built, stage) is not None:
            built = set_value(built, f"{stage}.epochs", "1")
    built = set_value(built, "smoothness.weight", "ramp(0,10,0.5)")
    assert from_plain(Recipe, to_plain(built)) == built
    trained = train(data, built, 0, Hooks())
    found = {name for log in trained.history for name in log.terms if "local_smoothness" in name}
    assert found == {smooth}


def test_a_recipe_that_reads_codes_alone_refuses_it() -> None:
    recipe = named_recipe("m1m2").build(some_data().facts)
    with pytest.raises(InputError, match="m1m2-refined or m1m2-joint"):
        set_value(recipe, "smoothness.weight", "10")
