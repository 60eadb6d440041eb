"""bounds.py against brute force and closed forms: Eqs 5, 6 and 14, their identities and order (V2,
V3)."""

import math

import pytest
import torch

from semivae.bounds import (
    NO_BASELINES,
    Baselines,
    Bound,
    bound,
    labeled_elbos,
    log_evidence,
)
from semivae.distributions import categorical
from semivae.information import entropy, kl
from semivae.label_draws import LabelRule, smooth
from semivae.labels import Enumerated, Observed, Pruned, Sampled, Smoothed
from semivae.models.densities import Encoded
from semivae.models.specs import Bernoulli, Binarized, Conditional, Factorized, Family
from semivae.streams import UNLABELED
from semivae.sums import evaluate
from semivae.terms import ELBO, ClassifierEntropy
from tractable import (
    F64,
    FAMILIES,
    ConditionalMixture,
    Grid,
    LinearGaussianMixture,
    noise_of,
    one_hot,
    over_z,
    small_m2,
    some_images,
    some_x,
    state_at,
    streams_of,
)

PRIOR = torch.tensor([0.4, -0.3, 0.1], dtype=F64)
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
Model = LinearGaussianMixture


def exact_bound(
    model: Model, x: torch.Tensor, rule: LabelRule, y: torch.Tensor | None = None
) -> Bound:
    """The three parts of B(x; pi), averaged exactly over z."""

    def part(name: str) -> torch.Tensor:
        def of(encoded: Encoded, noise: torch.Tensor) -> torch.Tensor:
            draws = rule(encoded.q_y.logits, y, noise_of(labeled=len(x)))
            return getattr(bound(model, encoded, draws, noise), name)

        return over_z(model, x, of)

    return Bound(*(part(name) for name in Bound._fields))


@pytest.mark.parametrize("build", FAMILIES)
def test_the_tractable_models_agree_with_brute_force(build: type[Model]) -> None:
    """The oracles themselves: log p(x) in closed form is the sum over y and a grid of z."""
    model, x = build(log_prior=PRIOR), some_x(3)
    torch.testing.assert_close(
        model.log_joint(x).logsumexp(1), Grid(model).log_evidence(x), **TIGHT
    )


@pytest.mark.parametrize("build", FAMILIES)
def test_eq_6_labeled_elbo_is_the_closed_form(build: type[Model]) -> None:
    """E log p(x|z, y) - KL(q(z|.) || p(z)) + log p(y), part by part, and below log p(x, y)."""
    model, x = build(log_prior=PRIOR), some_x(5)
    for k in range(3):
        parts = exact_bound(model, x, Observed(), one_hot([k] * 5, 3))
        torch.testing.assert_close(parts.reconstruction, model.reconstructions(x)[:, k], **TIGHT)
        torch.testing.assert_close(parts.latent_kl, model.latent_kls(x)[:, k], **TIGHT)
        torch.testing.assert_close(parts.label_kl, -model.log_prior[k].expand(5), **TIGHT)
        torch.testing.assert_close(parts.value, model.elbos(x)[:, k], **TIGHT)
        assert (parts.value < model.log_joint(x)[:, k]).all()


@pytest.mark.parametrize("build", FAMILIES)
def test_eq_5_and_eq_14_equal_brute_force(build: type[Model]) -> None:
    """V2: U = sum_k q_k E_L(x, k) + H(q) = E_q[log p(x, y, z) - log q(y, z|x)], integrated on a
    grid."""
    model, x = build(log_prior=PRIOR), some_x(3)
    value = exact_bound(model, x, Enumerated()).value
    q = model.q_y(x)
    torch.testing.assert_close(value, Grid(model).bound(x), **TIGHT)
    torch.testing.assert_close(value, (q.probs * model.elbos(x)).sum(1) + q.entropy(), **TIGHT)


@pytest.mark.parametrize("build", FAMILIES)
def test_eq_5_gap_is_the_kl_to_the_posterior(build: type[Model]) -> None:
    """V2: U = log p(x) - KL(q(y, z|x) || p(y, z|x)), and U = LSE_k E_L - KL(q || softmax_k
    E_L)."""
    model, x = build(log_prior=PRIOR), some_x(3)
    value = exact_bound(model, x, Enumerated()).value
    evidence = model.log_joint(x).logsumexp(1)
    torch.testing.assert_close(value, evidence - Grid(model).divergence(x), **TIGHT)
    elbos = model.elbos(x)
    gap = kl(model.q_y(x).logits, elbos.log_softmax(1))
    torch.testing.assert_close(value, elbos.logsumexp(1) - gap, **TIGHT)
    assert (value < elbos.logsumexp(1)).all() and (elbos.logsumexp(1) < evidence).all()


@pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)
@pytest.mark.parametrize("likelihood", [Bernoulli(), Binarized()], ids=["grey", "binarized"])
def test_eq_5_equals_eq_14_of_a_network_at_every_draw(
    family: Family, likelihood: Bernoulli | Binarized
) -> None:
    """With shared noise the KL form and the entropy form agree draw by draw, not only on
    average."""
    model, x, noise = small_m2(family, likelihood), some_images(5), noise_of(unlabeled=5)
    encoded = model.encode(x, noise)
    z_noise = noise.normal("z", 3).double()
    log_q = encoded.q_y.logits
    parts = bound(model, encoded, Enumerated()(log_q, None, noise), z_noise)
    expected = (log_q.exp() * labeled_elbos(model, encoded, z_noise)).sum(1) + entropy(log_q)
    torch.testing.assert_close(parts.value, expected, **TIGHT)
    torch.testing.assert_close(parts.label_kl, kl(log_q, model.p_y().logits), **TIGHT)


def test_eq_5_with_one_latent_kl_holds_only_if_factorized() -> None:
    """Printed with a single KL(q(z|x) || p(z)); for q(z|x, y) the term is sum_k q_k KL_k."""
    x = some_x(3)
    for build in FAMILIES:
        model = build(log_prior=PRIOR)
        parts = exact_bound(model, x, Enumerated())
        q, kls = model.q_y(x), model.latent_kls(x)
        torch.testing.assert_close(parts.latent_kl, (q.probs * kls).sum(1), **TIGHT)
        torch.testing.assert_close(
            parts.reconstruction, (q.probs * model.reconstructions(x)).sum(1), **TIGHT
        )
        one_kl_for_all = (kls - kls[:, :1]).abs().max().item() < 1e-12
        assert one_kl_for_all is not model.q_z_sees_y


@pytest.mark.parametrize("build", FAMILIES)
def test_a_certain_classifier_has_the_labeled_bound(build: type[Model]) -> None:
    """q = one-hot at y gives U(x) = E_L(x, y), with no NaN from the classes of weight 0."""
    model, x = build(log_prior=PRIOR), some_x(4)
    sure = one_hot([0, 2, 1, 1], 3)
    for log_q in (sure.log(), (500 * sure).log_softmax(1)):

        def value(
            encoded: Encoded, noise: torch.Tensor, log_q: torch.Tensor = log_q
        ) -> torch.Tensor:
            draws = Enumerated()(log_q, None, noise_of(unlabeled=4))
            return bound(model, encoded, draws, noise).value

        expected = (sure * model.elbos(x)).sum(1)
        torch.testing.assert_close(over_z(model, x, value), expected, **TIGHT)


def test_smoothed_labels_give_a_bound_on_the_evidence() -> None:
    """Section 3.4: sum_k p_hat_k E_L(x, k) + H(p_hat) <= LSE_k E_L <= log p(x)."""
    model, x, y = ConditionalMixture(log_prior=PRIOR), some_x(4), one_hot([0, 2, 1, 1], 3)
    log_p_hat = smooth(y, 0.2)
    exact = exact_bound(model, x, Smoothed(0.2, decode=Enumerated()), y)
    elbos = model.elbos(x)
    expected = (log_p_hat.exp() * elbos).sum(1) + entropy(log_p_hat)
    torch.testing.assert_close(exact.value, expected, **TIGHT)
    assert (exact.value <= elbos.logsumexp(1)).all()
    # Decoding the label alone: the ELBO of the label, but for the label's own term.
    alone = exact_bound(model, x, Smoothed(0.2), y)
    labeled = exact_bound(model, x, Observed(), y)
    torch.testing.assert_close(alone.reconstruction, labeled.reconstruction, **TIGHT)
    torch.testing.assert_close(alone.label_kl, kl(log_p_hat, model.p_y().logits), **TIGHT)
    zero = exact_bound(model, x, Smoothed(0.0, decode=Enumerated()), y)
    torch.testing.assert_close(zero.value, labeled.value, **TIGHT)


# What maximises the bound.


@pytest.mark.parametrize("build", FAMILIES)
def test_the_best_classifier_is_the_softmax_of_the_elbos(build: type[Model]) -> None:
    """q* = softmax_k E_L(x, k) makes U = LSE_k E_L; every other q is below."""
    model, x = build(log_prior=PRIOR), some_x(4)
    elbos = model.elbos(x)
    best = elbos.log_softmax(1)

    def value(log_q: torch.Tensor) -> torch.Tensor:
        draws = Enumerated()(log_q, None, noise_of(unlabeled=4))
        return over_z(model, x, lambda encoded, noise: bound(model, encoded, draws, noise).value)

    torch.testing.assert_close(value(best), elbos.logsumexp(1), **TIGHT)
    for seed in range(5):
        shift = torch.randn(4, 3, dtype=F64, generator=torch.Generator().manual_seed(seed))
        assert (value((best + 0.1 * shift).log_softmax(1)) < value(best)).all()


def test_the_exact_posterior_closes_the_gap_without_variance() -> None:
    """V3: q = the posterior gives log p(x, k) for every draw of z, one sample or many."""
    model, x = ConditionalMixture(log_prior=PRIOR), some_x(4)
    model.take_exact_latent()
    model.take_exact_classifier()
    torch.testing.assert_close(model.q_y(x).logits, model.log_joint(x).log_softmax(1), **TIGHT)
    parts = exact_bound(model, x, Enumerated())
    torch.testing.assert_close(parts.value, model.log_joint(x).logsumexp(1), **TIGHT)
    encoded = model.encode(x, noise_of(unlabeled=4))
    for step in range(3):
        for samples in (1, 4):
            value = log_evidence(model, encoded, noise_of(step=step, unlabeled=4), 2, samples)
            torch.testing.assert_close(value, model.log_joint(x), rtol=0, atol=1e-12)


def test_log_evidence_of_many_samples_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of a CIFAR-10 image under a Gaussian, against their logsumexp: in float32 the sum
    of 2,000 falls short by 0.01 nats."""
    model, x = LinearGaussianMixture(), some_x(4)
    source = torch.Generator().manual_seed(0)
    weights = 3000 + 3 * torch.randn(2000, 4, 3, generator=source)
    given = iter(weights)
    monkeypatch.setattr("semivae.bounds._log_weights", lambda *_: next(given))
    encoded = model.encode(x, noise_of(unlabeled=4))
    value = log_evidence(model, encoded, noise_of(unlabeled=4), 2, len(weights))
    expected = weights.double().logsumexp(0) - math.log(len(weights))
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)


def test_the_factorized_family_pays_a_gap_where_x_is_ambiguous() -> None:
    """V3: at its best it stays below log p(x) and is too sure of y; where x is clear the gap
    closes."""
    model = LinearGaussianMixture(log_prior=PRIOR)
    gaps = []
    for x in (model.V.detach().mean(0), 3 * model.V.detach()[0]):
        model.take_mean_field(x)
        value = exact_bound(model, x[None], Enumerated()).value
        posterior = model.log_joint(x[None]).softmax(1)
        assert model.q_y(x[None]).probs.max() > posterior.max() - 1e-9
        for name in ("logits", "mean", "log_variance"):  # it is the best of its family
            for direction in (1e-3, -1e-3):
                other = LinearGaussianMixture(log_prior=PRIOR)
                other.load_state_dict(model.state_dict())
                with torch.no_grad():
                    getattr(other, name)[0] += direction
                assert exact_bound(other, x[None], Enumerated()).value < value
        gaps.append((model.log_joint(x[None]).logsumexp(1) - value).item())
    assert gaps[0] > 0.05 > 0.01 > gaps[1] > 0


# The entropy penalty of section 3.1 as a temperature.


def climb(
    model: Model,
    x: torch.Tensor,
    beta: float,
    start: torch.Tensor,
    optimizer: torch.optim.Optimizer,
) -> torch.Tensor:
    """The q(y|x) of a single x that an ascent of U - beta H ends in, z fixed."""
    with torch.no_grad():
        model.x_to_logits.zero_()
        model.logits.copy_(start)
    total = ELBO(UNLABELED, Enumerated()) - beta * ClassifierEntropy()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = evaluate(total, model, streams_of(model, unlabeled=x), state_at()).value
        (-value).backward()
        return -value

    for _ in range(100):
        optimizer.step(closure)
    return model.q_y(x).probs[0].detach()


def elbos_of_the_same_draw(model: Model, x: torch.Tensor) -> torch.Tensor:
    noise = noise_of(unlabeled=1)
    z_noise = noise.normal("z", model.latent_size).double()
    return labeled_elbos(model, model.encode(x, noise), z_noise)[0].detach()


@pytest.mark.parametrize("beta", [-1.0, 0.0, 0.5])
def test_eq_15_beta_is_a_temperature(beta: float) -> None:
    """V2: the best q of U - beta H is softmax(E_L / (1 - beta)) for beta < 1."""
    model = LinearGaussianMixture(sigma=1.5, log_prior=PRIOR)
    x = model.V.detach().mean(0)[None]
    expected = (elbos_of_the_same_draw(model, x) / (1 - beta)).softmax(0)
    optimizer = torch.optim.LBFGS(
        [model.logits], max_iter=2, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    reached = climb(model, x, beta, torch.tensor([0.2, 0.0, -0.1], dtype=F64), optimizer)
    torch.testing.assert_close(reached, expected, rtol=0, atol=1e-6)
    assert 0.05 < expected.max() < 0.99


@pytest.mark.parametrize("vertex", [0, 1, 2])
def test_eq_15_beyond_beta_1_every_class_is_a_local_maximum(vertex: int) -> None:
    """V2: at beta = 2 an ascent that starts near a class ends there, the worst class too."""
    model = LinearGaussianMixture(sigma=1.5, log_prior=PRIOR)
    x = model.V.detach().mean(0)[None]
    start = 6 * torch.eye(3, dtype=F64)[vertex]
    optimizer = torch.optim.SGD([model.logits], lr=5.0)
    assert climb(model, x, 2.0, start, optimizer)[vertex] > 0.999 > start.softmax(0)[vertex]
    assert climb(model, x, 0.5, start, optimizer).max() < 0.99


# Importance weights.


@pytest.mark.parametrize("build", FAMILIES)
def test_bounds_are_in_order(build: type[Model]) -> None:
    """V3: U <= LSE_k E_L <= IW_1 <= IW_5 <= IW_50 <= IW_500 <= log p(x), each within 4 standard
    errors."""
    rows, samples = 3000, (1, 5, 50, 500)
    model, one = build(log_prior=PRIOR), some_x(1)
    x = one.expand(rows, -1)
    noise = noise_of(unlabeled=rows)
    encoded = model.encode(x, noise)
    means, errors = [], []
    with torch.no_grad():
        for s in samples:
            value = log_evidence(model, encoded, noise, 2, s).logsumexp(1)
            means.append(value.mean())
            errors.append(value.std() / math.sqrt(rows))
        unlabeled = exact_bound(model, one, Enumerated()).value[0]
        elbo = model.elbos(one).logsumexp(1)[0]
        evidence = model.log_joint(one).logsumexp(1)[0]
    chain = torch.stack([unlabeled, elbo, *means, evidence])
    slack = torch.stack([torch.zeros(()), *errors, torch.zeros(())]).double()
    assert chain[0] < chain[1]
    for i in range(1, 6):
        assert chain[i] <= chain[i + 1] + 4 * math.hypot(slack[i - 1], slack[i])
    assert (
        means[2] > means[0] + 4 * errors[0] and evidence - elbo > 5 * (evidence - means[2]).abs()
    )


@pytest.mark.parametrize("build", FAMILIES)
def test_importance_weights_are_unbiased_for_the_joint(build: type[Model]) -> None:
    """E exp(log weight) = p(x, k) for every class: the estimate is an average of weights, not of
    logs."""
    rows = 20_000
    model = build(log_prior=PRIOR)
    model.take_exact_classifier()
    x = some_x(1)
    with torch.no_grad():
        model.log_variance.fill_(0.3)  # wider than the posterior, so that the weights are bounded
        noise = noise_of(unlabeled=rows)
        encoded = model.encode(x.expand(rows, -1), noise)
        ratio = (log_evidence(model, encoded, noise, 2, 2) - model.log_joint(x)).exp()
    error = ratio.std(0) / math.sqrt(rows)
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all() and (error < 0.05).all()


def test_the_softmax_of_log_evidence_is_the_posterior_of_y() -> None:
    """The generative classifier, whatever q(y|x) says."""
    model, x = ConditionalMixture(log_prior=PRIOR), some_x(6)
    model.take_exact_latent()
    noise = noise_of(unlabeled=6)
    value = log_evidence(model, model.encode(x, noise), noise, 2, 1).softmax(1)
    torch.testing.assert_close(value, model.log_joint(x).softmax(1), **TIGHT)
    assert (model.predict_proba(x) - value).abs().max() > 0.1


# Gradients.


@pytest.mark.parametrize("build", FAMILIES)
def test_the_gradient_of_the_logits_is_the_printed_one(build: type[Model]) -> None:
    """Section 2.3: dU/dlogit_j = q_j (v_j - sum_k q_k v_k) with v_k = E_L(x, k) - log q_k."""
    model, x, noise = build(log_prior=PRIOR), some_x(4), noise_of(unlabeled=4)
    encoded = model.encode(x, noise)
    logits = encoded.q_y.logits.detach().requires_grad_()
    encoded = encoded._replace(q_y=categorical(logits))
    z_noise = noise.normal("z", 2).double()
    draws = Enumerated()(encoded.q_y.logits, None, noise)
    bound(model, encoded, draws, z_noise).value.sum().backward()
    q = logits.detach().softmax(1)
    v = labeled_elbos(model, encoded, z_noise).detach() - q.log()
    torch.testing.assert_close(logits.grad, q * (v - (q * v).sum(1, keepdim=True)), **TIGHT)


@pytest.mark.parametrize("build", FAMILIES)
def test_the_gradient_of_theta_averages_those_of_the_elbos(build: type[Model]) -> None:
    """dU/dtheta = sum_k q_k dE_L(x, k)/dtheta."""
    model, x, noise = build(log_prior=PRIOR), some_x(4), noise_of(unlabeled=4)
    encoded, z_noise = model.encode(x, noise), noise.normal("z", 2).double()
    theta = [model.W, model.V, model.log_sigma]
    draws = Enumerated()(encoded.q_y.logits, None, noise)
    ours = torch.autograd.grad(bound(model, encoded, draws, z_noise).value.sum(), theta)
    weighted = encoded.q_y.probs.detach() * labeled_elbos(model, encoded, z_noise)
    theirs = torch.autograd.grad(weighted.sum(), theta)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **TIGHT)


@pytest.mark.parametrize("build", FAMILIES)
def test_the_gradient_of_the_bound_is_that_of_the_closed_form(build: type[Model]) -> None:
    """All parameters of model and inference, for Eqs 5 and 6, averaged exactly over z."""
    model, x, y = build(log_prior=PRIOR), some_x(4), one_hot([0, 2, 1, 1], 3)
    parameters = dict(model.named_parameters())
    log_q, elbos = model.q_y(x).logits, model.elbos(x)
    for ours, closed in (
        (exact_bound(model, x, Observed(), y).value, (y * elbos).sum(1)),
        (exact_bound(model, x, Enumerated()).value, (log_q.exp() * (elbos - log_q)).sum(1)),
    ):
        gradients = [
            torch.autograd.grad(
                value.sum(), parameters.values(), retain_graph=True, allow_unused=True
            )
            for value in (ours, closed)
        ]
        for name, a, b in zip(parameters, *gradients, strict=True):
            zero = torch.zeros_like(parameters[name])
            a, b = (zero if g is None else g for g in (a, b))
            torch.testing.assert_close(
                a, b, rtol=1e-8, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}"
            )


def test_what_an_example_adds_once_is_added_once() -> None:
    """`per_example` (a log ratio drawn in `encode`) counts with weight 1 in every bound."""
    model, x, noise = ConditionalMixture(log_prior=PRIOR), some_x(4), noise_of(unlabeled=4)
    extra = torch.arange(4.0, dtype=F64)
    plain = model.encode(x, noise)
    more, z_noise = plain._replace(per_example=extra), noise.normal("z", 2).double()
    draws = Enumerated()(plain.q_y.logits, None, noise)
    values = [bound(model, e, draws, z_noise).value for e in (plain, more)]
    torch.testing.assert_close(values[1] - values[0], extra, **TIGHT)
    elbos = [labeled_elbos(model, e, z_noise) for e in (plain, more)]
    torch.testing.assert_close(elbos[1] - elbos[0], extra[:, None].expand(-1, 3), **TIGHT)
    evidences = [log_evidence(model, e, noise, 2, 3) for e in (plain, more)]
    torch.testing.assert_close(evidences[1] - evidences[0], extra[:, None].expand(-1, 3), **TIGHT)


def test_a_prior_without_a_closed_form_is_estimated_at_the_sample() -> None:
    """KL(q || p) falls back on log q - log p, whose mean is the KL."""

    class Laplace(LinearGaussianMixture):
        def p_z(self, y: torch.Tensor) -> torch.distributions.Distribution:
            one = torch.ones(len(y), 2, dtype=F64)
            return torch.distributions.Independent(torch.distributions.StudentT(5 * one), 1)

    rows = 20_000
    model, x = Laplace(log_prior=PRIOR), some_x(1).expand(rows, -1)
    noise = noise_of(unlabeled=rows)
    encoded, z_noise = model.encode(x, noise), noise.normal("z", 2).double()
    draws = Enumerated()(encoded.q_y.logits, None, noise)
    value = bound(model, encoded, draws, z_noise).latent_kl
    axis = torch.linspace(-12, 12, 20_001, dtype=F64)
    mean, variance = (part[0, 0] for part in model.class_q_z(x[:1]))
    exact = torch.zeros((), dtype=F64)
    for m, v in zip(mean, variance, strict=True):
        log_q = torch.distributions.Normal(m, v.sqrt()).log_prob(axis)
        log_p = torch.distributions.StudentT(torch.tensor(5.0, dtype=F64)).log_prob(axis)
        exact = exact + torch.trapezoid(log_q.exp() * (log_q - log_p), axis)
    assert abs(value.mean() - exact) < 4 * value.std() / math.sqrt(rows)


class Copies:
    """The bound of copies of three examples, and the gradients of its sum with respect to the
    classifier, the encoder of z and the decoder; each example has a noise of its own for z, so
    that a pair that met another example's would show."""

    def __init__(self, family: Family, copies: int) -> None:
        self.model, self.copies = small_m2(family, Bernoulli()), copies
        self.x = some_images(3).repeat(copies, 1)
        z_noise = noise_of(labeled=3).normal("z", self.model.latent_size).double()
        self.z_noise = z_noise.repeat(copies, 1)
        decoder, latent = self.model.decoder, self.model.latent
        self.weights = [self.model.classifier.weight, latent.mean.weight]
        self.weights += [latent.log_variance.weight, decoder.first.of_y.weight]

    def estimate(
        self, rule: LabelRule, seed: int, baselines: Baselines = NO_BASELINES
    ) -> torch.Tensor:
        """The mean bound of each example, then the gradients."""
        noise = noise_of(seed, unlabeled=len(self.x))
        encoded = self.model.encode(self.x, noise)
        draws = rule(encoded.q_y.logits, None, noise)
        parts = bound(self.model, encoded, draws, self.z_noise, baselines)
        value = parts.value.view(self.copies, 3).mean(0)
        gradients = torch.autograd.grad(value.sum(), self.weights)
        return torch.cat([value.detach(), *(gradient.flatten() for gradient in gradients)])


@pytest.mark.parametrize("family", [Factorized(), Conditional()], ids=str)
@pytest.mark.parametrize("rule", [Pruned(1, 0.9), Sampled()], ids=str)
def test_an_unbiased_rule_has_the_bound_of_the_exact_sum_in_mean_and_gradient(
    rule: LabelRule, family: Family
) -> None:
    """V14 and the score function through a model: logits, z path and decoder."""
    copies, groups = Copies(family, 200), 20
    exact = copies.estimate(Enumerated(), seed=0)
    baselines = Baselines(torch.tensor(-4.0), torch.tensor(0.5))
    for centred in (NO_BASELINES, baselines):
        draws = torch.stack([copies.estimate(rule, seed, centred) for seed in range(groups)])
        error = draws.std(0) / math.sqrt(groups)
        assert (error[:3] > 0).all()
        assert ((draws.mean(0) - exact).abs() <= 5 * error + 1e-9).all()


def test_the_baseline_of_the_score_function_centres_both_parts_of_the_bound() -> None:
    """q(z|x, y): the KL of z averages over y too. A wrong baseline costs variance, not bias."""
    copies = Copies(Conditional(), 200)
    classifier = slice(3, 3 + copies.weights[0].numel())

    def variance(reconstruction: float, latent_kl: float) -> torch.Tensor:
        baselines = Baselines(torch.tensor(reconstruction), torch.tensor(latent_kl))
        draws = [copies.estimate(Sampled(), seed, baselines) for seed in range(20)]
        return torch.stack(draws)[:, classifier].var(0).sum()

    assert variance(-4.0, 0.5) < variance(300.0, 0.5) / 100
    assert variance(-4.0, 0.5) < variance(-4.0, 300.0) / 100
