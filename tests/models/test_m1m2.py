"""M1+M2: what is frozen, what is kept, and how its bound is made of those of its halves."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from deep_tractable import linear_m1, linear_m1m2, some_points
from semivae.bounds import bound
from semivae.distributions import DiagonalGaussian
from semivae.errors import InputError
from semivae.labels import Enumerated
from semivae.models.deep_networks import StackedMLP
from semivae.models.m1m2 import M1M2
from semivae.models.specs import Bernoulli, M1M2Spec
from tractable import F64, noise_of, some_images

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def small() -> M1M2:
    spec = M1M2Spec(StackedMLP(9, 4, 8, 3), Bernoulli())
    return spec.build((6,), torch.tensor([0.1, 0.4, -0.2]), 0).double()


@pytest.mark.parametrize("build", [small, linear_m1m2])
def test_the_joint_bound_is_that_of_m2_on_the_code_and_the_ratio_of_the_code(build: type) -> None:
    """E[log p(x|z1) - log q(z1|x) + B_M2(z1; pi)], draw by draw, M2's bound computed by itself."""
    model = build()
    x = some_images(5) if build is small else some_points(5)
    noise = noise_of(unlabeled=5)
    encoded = model.encode(x, noise)
    z_noise = noise.normal("z", model.latent_size).double()
    joint = bound(model, encoded, Enumerated()(encoded.q_y.logits, None, noise), z_noise)
    q_z1 = DiagonalGaussian(*model.m1.codes(x).unbind(1))
    z1 = q_z1.at(noise.normal("z1 0", model.m1.latent_size).double())
    above = model.m2.encode(z1, noise)
    upper = bound(model.m2, above, Enumerated()(above.q_y.logits, None, noise), z_noise)
    ratio = model.m1.p_x(z1).log_prob(x) - q_z1.log_prob(z1)
    torch.testing.assert_close(joint.value, ratio + upper.value, **TIGHT)


def test_on_codes_the_bound_is_m2s_and_so_is_the_gradient_of_m2() -> None:
    """A frozen M1 changes the value by a constant and the gradient of what is above not at all."""
    model, x, noise = small(), some_images(5), noise_of(unlabeled=5)
    z_noise = noise.normal("z", 3).double()
    found = []
    for stack, data in ((model, x), (model.on_codes(), model.m1.codes(x).detach())):
        model.zero_grad()
        encoded = stack.encode(data, noise)
        draws = Enumerated()(encoded.q_y.logits, None, noise)
        value = bound(stack, encoded, draws, z_noise).value - encoded.per_example
        value.sum().backward()
        found.append((value.detach(), [w.grad.clone() for w in model.m2.parameters()]))
    torch.testing.assert_close(found[0], found[1], **TIGHT)
    assert encoded.per_example.abs().max() == 0
    below = [name for name, _ in model.on_codes().named_parameters() if name.startswith("m1")]
    assert below == []


def test_codes_are_drawn_anew_at_each_step_and_means_predict() -> None:
    """In training z1 ~ q(z1|x); q(y|z1) is asked at the mean (Kingma 2014)."""
    stack, codes = small().on_codes(), torch.randn(5, 2, 4, dtype=F64)
    steps = [stack.encode(codes, noise_of(step=step, unlabeled=5)) for step in (0, 1, 0)]
    assert torch.equal(steps[0].h, steps[2].h)
    assert (steps[0].q_y.logits != steps[1].q_y.logits).all()
    at_mean = stack.m2.predict_proba(codes[:, 0])
    torch.testing.assert_close(stack.predict_proba(codes), at_mean)
    certain = torch.stack([codes[:, 0], torch.full_like(codes[:, 0], -14.0)], 1)
    drawn = stack.encode(certain, noise_of(unlabeled=5)).q_y.probs
    torch.testing.assert_close(drawn, at_mean, atol=1e-3, rtol=1e-2)


def test_to_classify_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small().double(), some_images(7)
    noise = noise_of(unlabeled=7)
    expected = model.encode(x, noise).q_y.logits

    def decoded(*_: object) -> None:
        pytest.fail("M1 was asked for log p(x|z1)")

    monkeypatch.setattr(model.m1, "log_ratio", decoded)
    torch.testing.assert_close(model.classify(x, noise).logits, expected)


def test_dimensions_whose_mean_deviates_by_more_than_a_tenth_are_kept() -> None:
    model = linear_m1m2()
    means = torch.tensor([[0.0, 3.0], [0.19, 3.1]], dtype=F64)  # deviations .134 and .071
    model.keep_used(means)
    assert model.kept.tolist() == [1.0, 0.0]
    with pytest.raises(InputError, match="M1 has learned nothing"):
        model.keep_used(means / 20)


def test_what_is_not_kept_is_standard_normal_and_read_by_nobody() -> None:
    """A dropped dimension of z1 has its prior, whatever y and z2, and says nothing of y."""
    model, x = linear_m1m2((1.0, 0.0)), some_points(4)
    h = model.features(x)
    y = torch.eye(3, dtype=F64)[[0, 1, 2, 0]]
    z = some_points(4)[:, :1]
    draws = Enumerated()(y.log(), None, noise_of(u=4))
    p_z1 = model.p_z1(z[draws.row], draws)
    assert (p_z1.mean[:, 1] == 0).all() and (p_z1.stddev[:, 1] == 1).all()
    assert (p_z1.mean[:, 0] != 0).all() and (p_z1.stddev[:, 0] != 1).all()
    with torch.no_grad():
        model.m1.posterior.mean.bias[1] += 5.0
    moved = model.features(x)
    torch.testing.assert_close(model.q_y(moved).logits, model.q_y(h).logits)
    assert not torch.equal(moved, h)
    sample = model.generate(torch.zeros(4000, 1, dtype=F64), y[:1].expand(4000, -1), source())
    nn.init.zeros_(model.m1.decoder.weight[:, 0])  # only the dropped dimension reaches x
    sample = model.generate(torch.zeros(4000, 1, dtype=F64), y[:1].expand(4000, -1), source())
    expected = model.m1.decoder.weight[:, 1].abs()
    torch.testing.assert_close(sample.std(0), expected, rtol=0.05, atol=0)


def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_weights_of_m1_do_not_depend_on_the_classes() -> None:
    """M1 is trained without labels: once for a seed, however many labels there are."""
    spec = M1M2Spec(StackedMLP(9, 4, 8, 3), Bernoulli())
    two, five = (spec.build((6,), torch.zeros(k), 0).m1.state_dict() for k in (2, 5))
    assert all(torch.equal(two[name], five[name]) for name in two)


def test_the_bound_of_one_class_is_the_elbo_of_m1() -> None:
    """E_q log p(x|z) - KL(q(z|x) || p(z)) in closed form for a linear M1, by antithetic noise."""
    model, x = linear_m1(), some_points(3)
    encoded = model.encode(x, noise_of(u=3))
    mean, log_variance = model.codes(x).unbind(1)
    draws = Enumerated()(encoded.q_y.logits, None, noise_of(u=3))
    identity = 2**0.5 * torch.eye(2, dtype=F64)
    values = [
        bound(model, encoded, draws, point.expand(3, -1)) for point in (*identity, *-identity)
    ]
    found = torch.stack([value.value for value in values]).mean(0)
    W, b = model.decoder.weight, model.decoder.bias
    error = (x - mean @ W.T - b).square().sum(1) + log_variance.exp() @ W.square().sum(0)
    log_p = -0.5 * error - 1.5 * torch.log(torch.tensor(2 * torch.pi, dtype=F64))
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    torch.testing.assert_close(found, log_p - kl, **TIGHT)
    assert all((value.label_kl == 0).all() for value in values)
