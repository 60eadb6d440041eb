"""ADGM and SDGM against brute force (V12), and what their predictions are."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

sys.path.insert(0, str(Path(__file__).parents[1]))

from deep_tractable import (
    SIGMA,
    K,
    given,
    linear_adgm,
    linear_sdgm,
    log_joint,
    quadrature,
    some_points,
)
from semivae.bounds import bound
from semivae.label_draws import LabelDraws, LabelRule
from semivae.labels import Enumerated, Observed
from semivae.models.adgm import ADGM, PREDICTION_DRAWS
from semivae.models.sdgm import SDGM
from semivae.noise import Noise
from tractable import CPU, F64, noise_of, one_hot

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
MODELS = pytest.mark.parametrize("build", [linear_adgm, linear_sdgm], ids=["adgm", "sdgm"])
AXIS = torch.linspace(-14, 14, 801, dtype=F64)
LOG_CELL = (AXIS[1] - AXIS[0]).log()


def our_bound(model: ADGM, x: Tensor, rule: LabelRule, y: Tensor | None = None) -> Tensor:
    """B(x; pi) of a single x, (): the package's, averaged over a and z by quadrature."""
    points, weights = quadrature(150, 20)
    noise = given(points[:, :1])
    with torch.no_grad():
        encoded = model.encode(x.expand(len(points), -1), noise)
        label = None if y is None else y.expand(len(points), -1)
        draws = rule(encoded.q_y.logits, label, noise)
        return weights @ bound(model, encoded, draws, points[:, 1:]).value


class BruteForce:
    """Every density of a model on a grid of (k, a, z) at a single x, from its weights alone."""

    @torch.no_grad()
    def __init__(self, model: ADGM, x: Tensor) -> None:
        self.model, self.x = model, x
        a, z = AXIS[:, None], AXIS[None, :]
        e, first = model.encoder, model.encoder.latent.first
        q_a = e.auxiliary
        self.log_q_a = _normal(a, x @ q_a.mean.weight.T + q_a.mean.bias, q_a.log_variance.bias)
        xa = torch.cat([x.expand(len(AXIS), -1), AXIS[:, None]], 1)
        self.log_q_y = (xa @ e.classifier.weight.T + e.classifier.bias).log_softmax(1)
        read = xa @ first.of_a.weight.T + first.of_a.bias  # (a, 2)
        hidden = read + first.of_y.weight.T[:, None]  # (K, a, 2)
        mean = hidden @ e.latent.mean.weight.T + e.latent.mean.bias
        self.log_q_z = _normal(z, mean, e.latent.log_variance.bias)  # (K, a, z)
        self.log_q = self.log_q_a + self.log_q_y.T[:, :, None] + self.log_q_z
        self.log_p = self._log_p(a, z)

    def _log_p(self, a: Tensor, z: Tensor) -> Tensor:
        """log p(k) p(z) p(a|.) p(x|.), (K, a, z)."""
        model, prior = self.model, self.model.prior
        skip = isinstance(model, SDGM)
        decoder = model.decoder.above.first if skip else model.decoder.first
        into = prior.first
        if skip:
            hidden = (
                into.of_a.bias + into.of_y.weight.T[:, None] + z[0, :, None] @ into.of_a.weight.T
            )
        else:
            hidden = self.x + into.of_y.weight.T[:, None] + z[0, :, None] @ prior.of_z.weight.T
        out = prior.heads
        mean = hidden @ out.mean.weight.T + out.mean.bias  # (K, z, 1)
        log_p_a = _normal(a, mean.transpose(1, 2), out.log_variance.bias)  # (K, a, z)
        pixels = decoder.of_a.bias + decoder.of_y.weight.T[:, None, None]  # (K, 1, 1, P)
        pixels = pixels + z[..., None] * decoder.of_a.weight[:, 0]
        if skip:
            pixels = pixels + a[..., None] * model.decoder.of_a.weight[:, 0]
        log_p_x = Normal(pixels, SIGMA).log_prob(self.x).sum(-1)  # (K, 1 or a, z)
        self.log_p_xz = log_p_x + Normal(0.0, 1.0).log_prob(z) + model.log_prior[:, None, None]
        return self.log_p_xz + log_p_a

    def unlabeled(self) -> Tensor:
        """E_q(a, y, z|x)[log p(x, y, z, a) - log q(a, y, z|x)]."""
        weight = (self.log_q + 2 * LOG_CELL).exp()
        return (weight * (self.log_p - self.log_q)).sum()

    def labeled(self, k: int) -> Tensor:
        """E_q(a|x) q(z|a, x, k)[log p(x, k, z, a) - log q(a|x) q(z|a, x, k)]."""
        log_q = self.log_q_a + self.log_q_z[k]
        return ((log_q + 2 * LOG_CELL).exp() * (self.log_p[k] - log_q)).sum()

    def mixture(self) -> Tensor:
        """The bound of M2 with q(y, z|x) = int q(a, y, z|x) da."""
        log_q = torch.logsumexp(self.log_q, 1) + LOG_CELL  # (K, z)
        return ((log_q + LOG_CELL).exp() * (self.log_p_xz[:, 0] - log_q)).sum()


def _normal(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return Normal(mean, (0.5 * log_variance).exp()).log_prob(value)


@MODELS
def test_v12_the_bound_is_brute_force_and_below_the_evidence(build: type[ADGM]) -> None:
    model = build()
    for x in some_points(3).split(1):
        brute = BruteForce(model, x)
        unlabeled = our_bound(model, x, Enumerated())
        torch.testing.assert_close(unlabeled, brute.unlabeled(), **TIGHT)
        joint = log_joint(model, x)[0]
        assert unlabeled < joint.logsumexp(0)
        for k in range(K):
            labeled = our_bound(model, x, Observed(), one_hot([k], K))
            torch.testing.assert_close(labeled, brute.labeled(k), **TIGHT)
            assert labeled < joint[k]


def test_v12_at_the_best_prior_of_a_the_bound_is_that_of_the_mixture() -> None:
    """p(a|x, y, z) = q(a|x, y, z): the bound of M2 with q(y, z|x) = E_q(a|x) q(y|a, x) q(z|a, x,
    y)."""
    linear = linear_adgm()

    class Best(ADGM):
        """ADGM whose p(a|x, y, z) is q(a, y, z|x) over its integral on the grid of a."""

        def p_a(self, h: Tensor, z: Tensor, draws: LabelDraws) -> "Best.Posterior":
            return self.Posterior(self, h[:1, :-1], z, draws)

        class Posterior:
            def __init__(self, model: ADGM, x: Tensor, z: Tensor, draws: LabelDraws) -> None:
                self.model, self.x, self.z, self.draws = model, x, z, draws

            def log_q(self, a: Tensor, pairs: slice | Tensor) -> Tensor:
                """log q(a, y, z|x) of these pairs at a (n,), (pairs, n)."""
                rows = len(a)
                h = torch.cat([self.x.expand(rows, -1), a[:, None]], 1)
                z, y = self.z[pairs], self.draws.y[pairs]
                log_q_y = self.model.q_y(h).logits @ y.T  # (n, pairs)
                log_q_a = self.model.q_a(h[:, :-1]).log_prob(a[:, None])
                by_class = []
                for k in range(K):
                    label = torch.eye(K, dtype=F64)[[k]].expand(rows, -1)
                    at = LabelDraws(label.log(), torch.arange(rows), label, a, torch.arange(rows))
                    q_z = self.model.q_z(h, at)
                    by_class.append(Normal(q_z.mean, q_z.stddev).log_prob(z[:, 0]))  # (n, pairs)
                log_q_z = torch.stack(by_class)[y.argmax(1), :, torch.arange(len(z))]
                return log_q_z + log_q_y.T + log_q_a

            def log_prob(self, a: Tensor) -> Tensor:
                parts = []
                for pairs in torch.arange(len(a)).split(400):
                    evidence = torch.logsumexp(self.log_q(AXIS, pairs), 1) + LOG_CELL
                    own = self.log_q(a[pairs, 0], pairs).diagonal()
                    parts.append(own - evidence)
                return torch.cat(parts)

    best = Best(linear.encoder, linear.prior, linear.decoder, linear.likelihood, linear.log_prior)
    x = some_points(1)
    brute = BruteForce(linear, x)
    torch.testing.assert_close(our_bound(best, x, Enumerated()), brute.mixture(), **TIGHT)
    evidence = log_joint(linear, x)[0].logsumexp(0)
    assert our_bound(linear, x, Enumerated()) < brute.mixture() < evidence


def test_adgm_has_the_p_of_m2_and_sdgm_another() -> None:
    """log p(x, y) of ADGM is free of the prior of a; SDGM's is not."""
    for build, free in ((linear_adgm, True), (linear_sdgm, False)):
        model, x = build(), some_points(4)
        before, images = (
            log_joint(model, x),
            model.decode(torch.ones(1, 1, dtype=F64), one_hot([0], K)),
        )
        with torch.no_grad():
            model.prior.heads.mean.weight.mul_(2.0)
        assert torch.equal(log_joint(model, x), before) is free
        again = model.decode(torch.ones(1, 1, dtype=F64), one_hot([0], K))
        assert torch.equal(again, images) is free


@MODELS
def test_a_prediction_is_the_mean_over_a_and_depends_on_its_row_alone(build: type[ADGM]) -> None:
    """E_q(a|x) q(y|a, x), by quadrature within the error of 100 draws."""
    model, x = build(), some_points(5)
    points, weights = quadrature(40)
    with torch.no_grad():
        q_a = model.q_a(x)
        terms = [
            w * model.q_y(torch.cat([x, q_a.at(p.expand(5, 1))], 1)).probs
            for p, w in zip(points, weights, strict=True)
        ]
        exact = torch.stack(terms).sum(0)
        found = model.predict_proba(x)
        assert torch.equal(found, model.predict_proba(x))
        torch.testing.assert_close(model.predict_proba(x[2:3]), found[2:3], rtol=0, atol=1e-12)
        spread = max(
            (model.q_y(torch.cat([x, q_a.at(p.expand(5, 1))], 1)).probs - exact).abs().max()
            for p in points[15:25]
        )
    assert (found - exact).abs().max() < 4 * spread / PREDICTION_DRAWS**0.5
    torch.testing.assert_close(found.sum(1), torch.ones(5, dtype=F64))


@MODELS
def test_a_prediction_is_a_mean_of_probabilities_and_its_log_is_finite(build: type[ADGM]) -> None:
    model, x = build(), some_points(5)
    noise = Noise(0, 0, (("prediction", PREDICTION_DRAWS),), CPU).normal("a", 1).double()
    with torch.no_grad():
        q_a = model.q_a(x)
        draws = [torch.cat([x, q_a.at(a.expand(5, 1))], 1) for a in noise]
        expected = torch.stack([model.q_y(h).probs for h in draws]).mean(0)
        torch.testing.assert_close(model.predict_proba(x), expected, rtol=1e-12, atol=0)
        model.encoder.classifier.weight.zero_()
        model.encoder.classifier.bias.copy_(torch.tensor([0.0, 2.0, -1000.0]))
        log_q = model.predictive(model.features(x)).logits
    assert (log_q.exp()[:, 2] == 0).all()
    torch.testing.assert_close(log_q[:, 2] - log_q[:, 0], torch.full((5,), -1000.0, dtype=F64))


@MODELS
def test_the_same_a_feeds_the_classifier_the_latent_and_its_own_density(
    build: type[ADGM],
) -> None:
    """One draw per example: what is read back from h is what q(y|a, x) was given."""
    model, x, noise = build(), some_points(6), noise_of(unlabeled=6)
    encoded = model.encode(x, noise)
    a = encoded.h[:, -1:]
    torch.testing.assert_close(a, model.q_a(x).at(noise.normal("a 0", 1).double()))
    torch.testing.assert_close(encoded.per_example, -model.q_a(x).log_prob(a))
    logits = model.encoder.classifier(torch.cat([x, a], 1))
    torch.testing.assert_close(encoded.q_y.logits, logits.log_softmax(1))
