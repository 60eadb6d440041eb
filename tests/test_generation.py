"""generation.py: samples of a class, reconstructions, analogies and traversals, for images and
tables, in both families."""

import pytest
import torch
from torch import Tensor, nn

from semivae.diagnostics.encodings import encode_set
from semivae.generation import analogies, reconstructions, sample_class, traversals
from semivae.label_draws import one_pair_each
from semivae.models.m2 import M2
from semivae.models.networks import MLP, Network, PaperCNN
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family, Gaussian, M2Spec
from semivae.models.specs import LikelihoodSpec as Spec

CASES = pytest.mark.parametrize(
    ("network", "event", "likelihood"),
    [
        (PaperCNN(latent=4), (1, 8, 12), Bernoulli()),
        (PaperCNN(latent=4), (3, 8, 8), Gaussian(0.3)),
        (MLP(hidden=8, latent=2), (5,), Gaussian(1.0)),
    ],
)
FAMILIES = pytest.mark.parametrize("family", [Factorized(), Conditional()])


def build(network: Network, event: tuple[int, ...], likelihood: Spec, family: Family) -> M2:
    return M2Spec(network, family, likelihood).build(event, torch.zeros(3), seed=2)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@CASES
@FAMILIES
def test_samples_have_the_shape_of_x_and_repeat_with_the_seed(
    network: Network, event: tuple[int, ...], likelihood: Spec, family: Family
) -> None:
    model = build(network, event, likelihood, family)
    y = torch.tensor([0, 2, 1, 1])
    once = sample_class(model, y, source())
    assert once.shape == (4, *event)
    assert once.isfinite().all()
    assert torch.equal(once, sample_class(model, y, source()))
    assert not torch.equal(once, sample_class(model, y, source(1)))
    assert not torch.equal(once[2], once[3])  # a z of its own for each row
    if isinstance(likelihood, Bernoulli):
        assert 0 < float(once.min()) < float(once.max()) < 1  # a mean, not a logit


@FAMILIES
def test_a_sample_is_the_mean_at_z_from_the_prior_and_changes_with_the_class(
    family: Family,
) -> None:
    model = build(MLP(hidden=8, latent=2), (5,), Gaussian(1.0), family)
    z = torch.randn((6, 2), generator=source())
    by_class = []
    for k in range(3):
        found = sample_class(model, torch.full((6,), k), source())
        with torch.inference_mode():
            label = torch.eye(3)[k].expand(6, 3)
            torch.testing.assert_close(found, model.decoder(z, label, None))
        by_class.append(found)
    assert (by_class[0] - by_class[1]).abs().amax(1).min() > 1e-3
    nn.init.zeros_(model.decoder.first.of_y.weight)
    blind = [sample_class(model, torch.full((6,), k), source()) for k in range(3)]
    torch.testing.assert_close(blind[0], blind[1])


def test_the_prior_is_sampled_at_temperature_1() -> None:
    model = build(MLP(hidden=8, latent=2), (5,), Gaussian(1.0), Factorized())
    seen: list[Tensor] = []
    model.decoder.first.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    sample_class(model, torch.zeros(20_000, dtype=torch.int64), source())
    torch.testing.assert_close(seen[0].mean(0), torch.zeros(2), atol=0.03, rtol=0)
    torch.testing.assert_close(seen[0].std(0), torch.ones(2), atol=0.03, rtol=0)


@CASES
@FAMILIES
def test_analogies_decode_the_mean_of_each_row_in_every_class(
    network: Network, event: tuple[int, ...], likelihood: Spec, family: Family
) -> None:
    model = build(network, event, likelihood, family)
    x = torch.rand((5, *event), generator=source())
    found = analogies(model, x)
    assert found.shape == (5, 3, *event)
    encodings = encode_set(model, [x])
    likeliest = encodings.log_q.argmax(1) if model.q_z_sees_y else torch.zeros(5).long()
    z = encodings.mean[torch.arange(5), likeliest]
    with torch.inference_mode():
        for k in range(3):
            label = torch.eye(3)[k].expand(5, 3)
            mean = model.p_x(z, one_pair_each(label.log(), label)).mean
            torch.testing.assert_close(found[:, k], mean, atol=1e-5, rtol=1e-4)
    assert not torch.equal(found[:, 0], found[:, 1])


@CASES
@FAMILIES
def test_a_reconstruction_is_the_analogy_in_the_likeliest_class(
    network: Network, event: tuple[int, ...], likelihood: Spec, family: Family
) -> None:
    model = build(network, event, likelihood, family)
    x = torch.rand((20, *event), generator=source())
    with torch.no_grad():  # around their mean, logits have several classes that are likeliest
        logits = model.classifier(model.features(x))
        model.classifier.bias.sub_(logits.mean(0))
    likeliest = encode_set(model, [x]).log_q.argmax(1)
    assert len(likeliest.unique()) > 1
    expected = analogies(model, x)[torch.arange(20), likeliest]
    torch.testing.assert_close(reconstructions(model, x), expected, atol=1e-6, rtol=1e-5)


@FAMILIES
def test_a_traversal_moves_one_dimension_in_deviations_of_its_prior(family: Family) -> None:
    model = build(MLP(hidden=8, latent=3), (5,), Gaussian(1.0), family)
    values = torch.tensor([-2.0, 0.0, 1.0])
    found = traversals(model, 1, [2, 0], values)
    assert found.shape == (2, 3, 5)
    label = torch.tensor([[0.0, 1.0, 0.0]])
    with torch.inference_mode():
        for line, dimension in enumerate((2, 0)):
            for place, value in enumerate(values):
                z = torch.zeros(1, 3)
                z[0, dimension] = value
                expected = model.decode(z, label)[0]
                torch.testing.assert_close(found[line, place], expected)
    assert torch.equal(found[0, 1], found[1, 1])  # both are the prior's mean


def test_eval_mode_inside_and_each_module_s_mode_after() -> None:
    model = build(MLP(hidden=8, latent=2), (5,), Gaussian(1.0), Factorized())
    model.trunk = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(0.5), model.trunk)
    model.train()
    model.classifier.eval()
    modes = [module.training for module in model.modules()]
    x = torch.rand((5, 5), generator=source())
    alone = torch.cat([analogies(model, row) for row in x.split(1)])
    torch.testing.assert_close(analogies(model, x), alone)
    sample_class(model, torch.tensor([1]), source())
    reconstructions(model, x)
    traversals(model, 0, [1], torch.zeros(1))
    assert [module.training for module in model.modules()] == modes
    assert model.trunk[0].num_batches_tracked == 0
    assert not analogies(model, x).requires_grad
