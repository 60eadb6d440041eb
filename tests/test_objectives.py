"""objectives.py: Eqs 7 and 8, 3.4, 3.5 and 3.6 by hand; weights (V11); beta and gamma (V5);
minimizers (V5s)."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from contracts import ReorderedClasses
from semivae import information as info
from semivae import objectives
from semivae.bounds import bound
from semivae.discriminative import supervised
from semivae.label_draws import LabelRule, smooth
from semivae.labels import Enumerated, Observed, Relaxed
from semivae.models.m2 import M2
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family, LearnedSigma
from semivae.noise import Noise
from semivae.objectives import (
    equation_8,
    forward_divergence,
    kingma_2014,
    labeled_elbo,
    optimized_elbo,
    optimized_labeled,
    reverse_divergence,
    smoothed_prior_divergence,
    tight_divergence,
    tight_labeled,
)
from semivae.schedules import Ramp
from semivae.streams import LABELED, UNLABELED, Rows, Streams
from semivae.sums import Loss, Objective
from semivae.terms import (
    ELBO,
    ClassifierEntropy,
    ForwardLabelKL,
    LabelLogLikelihood,
    MutualInformation,
    PriorKL,
)
from semivae.weighting import StreamWeights, balanced, dataset, kingma_alpha, sums
from tractable import (
    CPU,
    F64,
    FixedStreams,
    LinearGaussianMixture,
    best_q,
    noise_of,
    one_hot,
    small_m2,
    some_images,
    some_x,
    state_at,
    streams_of,
)

K = 4
LABELS = [0, 2, 1, 1, 3, 0]
X_L, Y_L, X_U = some_images(6), one_hot(LABELS, K), some_images(8, seed=8)
ALPHA, BETA, GAMMA, EPSILON = 0.7, 0.3, 0.4, 0.05
WEIGHTS = StreamWeights(0.25, 0.75)

FAMILIES = pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)


def loss_of(
    objective: Objective, model: M2, noise: Noise | None = None, **changed: Tensor
) -> Loss:
    """The loss on the labeled and unlabeled rows above."""
    labeled = (changed.get("x_l", X_L), changed.get("y_l", Y_L))
    streams = streams_of(model, labeled, changed.get("x_u", X_U), noise)
    return objective(model, streams, state_at(**objective.initial_buffers(model)))


class ByHand:
    """What the objectives are made of, from the bound and the classifier alone; batch means."""

    def __init__(self, model: M2, rule: LabelRule) -> None:
        noise = noise_of(labeled=6, unlabeled=8)
        log_p = model.p_y().logits

        def one(stream: str, x: Tensor, y: Tensor | None, rule: LabelRule) -> tuple[Tensor, ...]:
            own = noise.of(stream)
            encoded = model.encode(x, own)
            draws = rule(encoded.q_y.logits, y, own)
            parts = bound(model, encoded, draws, own.normal("z", 3).double())
            return encoded.q_y.logits, parts.reconstruction, parts.latent_kl, parts.label_kl

        log_q, reconstruction, latent, label = one(LABELED, X_L, Y_L, Observed())
        log_p_hat = smooth(Y_L, EPSILON)
        self.labeled_elbo = (reconstruction - latent - label).mean()
        self.without_label = (reconstruction - latent).mean()
        self.log_q_y = (Y_L * log_q).sum(1).mean()
        self.prior = info.kl(log_q, log_p).mean()
        self.forward = info.kl(log_p_hat, log_q).mean()
        self.reverse = info.kl(log_q, log_p_hat).mean()
        self.smoothed_prior = info.kl(log_p_hat, log_p).mean()
        log_q, reconstruction, latent, label = one(UNLABELED, X_U, None, rule)
        self.unlabeled_elbo = (reconstruction - latent - label).mean()
        self.entropy = info.entropy(log_q).mean()
        self.information = info.mutual_information(log_q)


@FAMILIES
@pytest.mark.parametrize("rule", [Enumerated(), Relaxed()], ids=str)
def test_eqs_7_and_8_by_hand(family: Family, rule: LabelRule) -> None:
    """J = E_U[ELBO(x)] + E_L[ELBO(x, y) + alpha log q(y|x)], and the loss is -J."""
    model = small_m2(family, Bernoulli())
    by = ByHand(model, rule)
    J = by.unlabeled_elbo + by.labeled_elbo + ALPHA * by.log_q_y
    torch.testing.assert_close(loss_of(equation_8(ALPHA, rule), model).loss, -J)
    weighted = 0.75 * by.unlabeled_elbo + 0.25 * (by.labeled_elbo + ALPHA * by.log_q_y)
    torch.testing.assert_close(loss_of(equation_8(ALPHA, rule, WEIGHTS), model).loss, -weighted)


@FAMILIES
def test_sections_3_4_to_3_6_labeled_by_hand(family: Family) -> None:
    """E log p(x|z, y) - KL(q(z|x)||p(z)) - KL(q(y|x)||p(y)) - the divergence as printed in
    each."""
    model = small_m2(family, Bernoulli())
    by = ByHand(model, Enumerated())
    for divergence, value in (
        (smoothed_prior_divergence, by.prior + by.smoothed_prior),
        (forward_divergence, by.prior + by.forward),
        (reverse_divergence, by.prior + by.reverse),
        (tight_divergence, by.smoothed_prior + by.forward),
    ):
        loss = loss_of(optimized_labeled(EPSILON, divergence), model).loss
        torch.testing.assert_close(loss, -(by.without_label - value))
    default = loss_of(optimized_labeled(EPSILON), model).loss
    torch.testing.assert_close(default, -(by.without_label - by.prior - by.forward))


@FAMILIES
def test_section_3_6_by_hand(family: Family) -> None:
    """Optimized-ELBO + alpha log q(y|x) on labels; U + gamma I - beta H without; the loss is
    -J."""
    model = small_m2(family, LearnedSigma())
    by = ByHand(model, Enumerated())
    labeled = by.without_label - by.prior - by.forward + ALPHA * by.log_q_y
    unlabeled = by.unlabeled_elbo + GAMMA * by.information - BETA * by.entropy
    for weights in (StreamWeights(1.0, 1.0), WEIGHTS):
        objective = optimized_elbo(
            ALPHA, BETA, GAMMA, EPSILON, information=MutualInformation, weights=weights
        )
        expected = -(weights.labeled * labeled + weights.unlabeled * unlabeled)
        torch.testing.assert_close(loss_of(objective, model).loss, expected)
    reverse = optimized_elbo(
        ALPHA,
        BETA,
        GAMMA,
        EPSILON,
        label_divergence=reverse_divergence,
        information=MutualInformation,
    )
    expected = -(labeled + by.forward - by.reverse + unlabeled)
    torch.testing.assert_close(loss_of(reverse, model).loss, expected)


def test_section_3_6_remembers_the_running_marginal() -> None:
    """The default information term returns its new marginal; the plug-in remembers nothing."""
    model = small_m2(Factorized(), Bernoulli())
    objective = optimized_elbo(ALPHA, BETA, GAMMA, EPSILON)
    assert list(objective.initial_buffers(model)) == ["unlabeled/running_marginal"]
    updates = loss_of(objective, model).updates
    expected = 0.99 * model.p_y().probs + 0.01 * model.predict_proba(X_U).mean(0)
    torch.testing.assert_close(updates["unlabeled/running_marginal"], expected.detach())
    plug_in = optimized_elbo(ALPHA, BETA, GAMMA, EPSILON, information=MutualInformation)
    assert not plug_in.initial_buffers(model) and not loss_of(plug_in, model).updates


def test_the_loss_is_minus_the_weighted_terms_it_reports() -> None:
    """The one minus: every logged term keeps its natural sign, and -loss is their weighted sum."""
    model = small_m2(Factorized(), Bernoulli())
    objective = optimized_elbo(ALPHA, BETA, GAMMA, EPSILON, information=MutualInformation)
    result = loss_of(objective, model)
    weights = {part.term.key: part.weight for total in objective.sums for part in total.parts}
    J = sum(weight * result.terms[key] for key, weight in weights.items())
    torch.testing.assert_close(result.loss.detach(), -J)
    assert result.terms.keys() - weights.keys() == {"labeled/elbo", "unlabeled/elbo"}
    by = ByHand(model, Enumerated())
    torch.testing.assert_close(result.terms["labeled/elbo"], by.labeled_elbo.detach())
    torch.testing.assert_close(result.terms["unlabeled/elbo"], by.unlabeled_elbo.detach())


def test_supervised_reads_only_labels() -> None:
    """The baseline is log q(y|x) of labeled rows; the unlabeled stream is not made."""
    model = small_m2(Factorized(), Bernoulli())
    assert supervised().streams == (LABELED,)
    assert equation_8(1.0).streams == (LABELED, UNLABELED)
    expected = torch.nn.functional.cross_entropy(
        model.predict_proba(X_L).log(), torch.tensor(LABELS)
    )
    torch.testing.assert_close(loss_of(supervised(), model).loss, expected)


def test_tight_labeled_is_the_smoothed_bound_less_the_divergence() -> None:
    """sum_k p_hat_k ELBO(x, k) + H(p_hat) - w KL(p_hat || q), a bound on log p(x) for w >= 0."""
    model, x = LinearGaussianMixture(), some_x(4)
    y = one_hot([0, 2, 1, 1], 3)
    streams = streams_of(model, (x, y))
    loss = tight_labeled(0.2, 0.5)(model, streams, state_at()).loss
    noise = noise_of(labeled=4)
    encoded = model.encode(x, noise)
    log_p_hat = smooth(y, 0.2)
    z_noise = noise.normal("z", 2).double()
    elbos = torch.stack(
        [
            bound(model, encoded, Observed()(encoded.q_y.logits, label, noise), z_noise).value
            for label in torch.eye(3, dtype=F64)[:, None].expand(-1, 4, -1)
        ],
        1,
    )
    smoothed = (log_p_hat.exp() * elbos).sum(1) + info.entropy(log_p_hat)
    expected = smoothed - 0.5 * info.kl(log_p_hat, encoded.q_y.logits)
    torch.testing.assert_close(loss, -expected.mean())
    assert (smoothed <= elbos.logsumexp(1) + 1e-12).all()


# The weights of the two streams (2.5).


def test_stream_weights_and_alpha() -> None:
    """Expectations 1 : 1, the mean over N, and sums over both sets; alpha = 0.1 N / N_l."""
    assert balanced(100, 49_900) == (1, 1)
    assert dataset(100, 49_900) == pytest.approx((0.002, 0.998))
    assert sums(100, 49_900) == (100, 49_900)
    assert kingma_alpha(100, 49_900) == pytest.approx(50.0)


def test_kingma_2014_is_the_minibatch_sum_of_his_code_and_the_mean_over_the_data_set() -> None:
    """V11: sum of L + 0.1 N/N_l CE over labels and of U, over N = N_l/N L + N_u/N U + 0.1 CE, all
    means."""
    model = small_m2(Conditional(), Bernoulli())
    by, n_l, n_u = ByHand(model, Enumerated()), 6, 8
    N = n_l + n_u
    cost = -n_l * (by.labeled_elbo + 0.1 * N / n_l * by.log_q_y) - n_u * by.unlabeled_elbo
    loss = loss_of(kingma_2014(n_l, n_u), model).loss
    torch.testing.assert_close(loss, cost / N)
    means = n_l / N * by.labeled_elbo + n_u / N * by.unlabeled_elbo + 0.1 * by.log_q_y
    torch.testing.assert_close(loss, -means)
    # His minibatches, each scaled to the data set, average to it (the same noise in both).
    halves = [half(kingma_2014(n_l, n_u), model, rank).loss for rank in (0, 1)]
    torch.testing.assert_close(sum(halves) / 2, loss)


def half(objective: Objective, model: M2, rank: int) -> Loss:
    """The loss on the first or second half of each stream, with the noise of the whole."""
    noise = Noise(0, 0, ((LABELED, 6), (UNLABELED, 8)), CPU, rank, processes=2)
    l, u = slice(3 * rank, 3 * rank + 3), slice(4 * rank, 4 * rank + 4)  # noqa: E741
    return loss_of(objective, model, noise, x_l=X_L[l], y_l=Y_L[l], x_u=X_U[u])


# Reductions and invariances.


def test_alpha_beta_gamma_epsilon_0_reduces_to_kingma() -> None:
    """3.6 without its additions is Eq 8 at alpha = 1, but for log p(y) against KL(q || p(y))."""
    model = small_m2(Factorized(), Bernoulli())
    by = ByHand(model, Enumerated())
    bare = loss_of(optimized_elbo(0.0, 0.0, 0.0, 0.0), model).loss
    kingma = loss_of(equation_8(1.0), model).loss
    log_p_y = (Y_L * model.p_y().logits).sum(1).mean()
    torch.testing.assert_close(bare - kingma, by.prior + log_p_y, rtol=1e-12, atol=1e-12)
    # The tight variant at epsilon = 0, lambda = 0 is Eq 6 itself.
    tight = loss_of(
        Objective(tight_labeled(0.0, 0.0).labeled, ELBO(UNLABELED, Enumerated())), model
    )
    torch.testing.assert_close(
        tight.loss, loss_of(equation_8(0.0), model).loss, rtol=1e-12, atol=0
    )


def test_modified_elbo_at_epsilon_0_is_kingma_s() -> None:
    """ELBO(x, y) - alpha KL(p_hat || q) is ELBO(x, y) + alpha log q(y|x) at epsilon = 0 (2.11)."""
    model = small_m2(Conditional(), Bernoulli())
    modified = Objective(tight_labeled(0.0, ALPHA).labeled, None)
    kingma = Objective(equation_8(ALPHA).labeled, None)
    torch.testing.assert_close(loss_of(modified, model).loss, loss_of(kingma, model).loss)


EVERYTHING = optimized_elbo(ALPHA, BETA, GAMMA, EPSILON, information=MutualInformation)


@FAMILIES
def test_renaming_the_classes_changes_no_objective(family: Family) -> None:
    """Logits, labels, prior and decoder columns reordered together leave J alone."""
    model, order = small_m2(family, Bernoulli()), [2, 0, 3, 1]
    for objective in (EVERYTHING, equation_8(ALPHA), optimized_elbo(1.0, 0.5, 0.5, 0.1)):
        renamed = ReorderedClasses(model, order)
        loss = loss_of(objective, renamed, y_l=Y_L[:, order]).loss
        torch.testing.assert_close(loss, loss_of(objective, model).loss)


def test_reordering_the_classifier_s_rows_changes_no_term_of_the_classifier() -> None:
    """Terms without z do not depend on the order of the batch."""
    model, order = small_m2(Factorized(), Bernoulli()), [3, 1, 5, 0, 2, 4]
    objective = Objective(
        PriorKL() - ForwardLabelKL(0.1) + LabelLogLikelihood(), 1.0 * ClassifierEntropy()
    )
    moved = loss_of(objective, model, x_l=X_L[order], y_l=Y_L[order], x_u=X_U.flip(0))
    torch.testing.assert_close(moved.loss, loss_of(objective, model).loss)


@FAMILIES
def test_two_halves_average_every_term_but_the_plug_in_information(family: Family) -> None:
    """Means split; I(y; x) is a property of a set, and is larger for the whole."""
    model = small_m2(family, Bernoulli())
    whole = loss_of(EVERYTHING, model).terms
    first, second = (half(EVERYTHING, model, rank).terms for rank in (0, 1))
    for key, value in whole.items():
        mean = (first[key] + second[key]) / 2
        if key == "unlabeled/mutual_information":
            assert value > mean + 1e-9
        else:
            torch.testing.assert_close(mean, value, msg=lambda m, key=key: f"{key}: {m}")


def test_a_ramp_counts_with_its_weight_at_this_fraction_of_training() -> None:
    """alpha, beta and gamma may each be a schedule."""
    model = small_m2(Factorized(), Bernoulli())
    ramp = Ramp(0.0, 2.0, until=0.5)
    objective = optimized_elbo(ramp, ramp, ramp, EPSILON, information=MutualInformation)
    streams = streams_of(model, (X_L, Y_L), X_U)
    for fraction, weight in ((0.0, 0.0), (0.25, 1.0), (0.9, 2.0)):
        fixed = optimized_elbo(weight, weight, weight, EPSILON, information=MutualInformation)
        losses = [o(model, streams, state_at(fraction)).loss for o in (objective, fixed)]
        torch.testing.assert_close(*losses)


def test_each_bound_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three terms of one stream and rule share one pass through the decoder."""
    model, calls = small_m2(Factorized(), Bernoulli()), []
    real = M2.log_likelihood
    monkeypatch.setattr(M2, "log_likelihood", lambda *a: (calls.append(1), real(*a))[1])
    loss_of(EVERYTHING, model)
    assert len(calls) == 2


# beta and gamma (2.8).


def test_beta_and_gamma_only_through_beta_plus_gamma_and_gamma() -> None:
    """V5: J_U = mean sum_k q_k E_L(x, k) + (1 - beta - gamma) mean H(q) + gamma H(mean q)."""
    model = small_m2(Factorized(), Bernoulli())
    by = ByHand(model, Enumerated())
    log_q = model.predict_proba(X_U).log()
    marginal = info.entropy(info.log_mean(log_q)[None])[0]
    expected_elbo = by.unlabeled_elbo - by.entropy

    def unlabeled(beta: float, gamma: float) -> Tensor:
        objective = optimized_elbo(0.0, beta, gamma, EPSILON, information=MutualInformation)
        return -loss_of(Objective(None, objective.unlabeled), model).loss

    for beta, gamma in ((0.3, 0.4), (0.0, 1.5), (2.0, 0.1), (0.7, 0.0)):
        expected = expected_elbo + (1 - beta - gamma) * by.entropy + gamma * marginal
        torch.testing.assert_close(unlabeled(beta, gamma), expected, rtol=1e-12, atol=1e-12)
    # Equal beta + gamma: the difference is gamma's alone, on H(mean q).
    difference = unlabeled(0.2, 0.5) - unlabeled(0.6, 0.1)
    torch.testing.assert_close(difference, 0.4 * marginal, rtol=1e-9, atol=1e-12)


def test_eq_15_a_penalty_keeps_the_bound_and_information_does_not() -> None:
    """M <= U for beta >= 0 and gamma = 0; gamma adds at most gamma log K (2.6, 2.7)."""
    model = small_m2(Factorized(), Bernoulli())

    def unlabeled(beta: float, gamma: float) -> Tensor:
        objective = optimized_elbo(0.0, beta, gamma, EPSILON, information=MutualInformation)
        return -loss_of(Objective(None, objective.unlabeled), model).loss

    assert unlabeled(0.5, 0.0) < unlabeled(0.0, 0.0) < unlabeled(0.0, 0.5)
    assert unlabeled(0.0, 0.5) < unlabeled(0.0, 0.0) + 0.5 * math.log(K)


@pytest.mark.parametrize(
    ("beta", "gamma", "hard"), [(0.0, 0.4, False), (0.0, 1.5, True), (0.5, 0.6, True)]
)
def test_beyond_beta_plus_gamma_1_an_uninformative_decoder_ends_in_hard_labels(
    beta: float, gamma: float, hard: bool
) -> None:
    """V5: below, the optimum is the uniform q; beyond, balanced and certain assignments."""
    logits = 0.3 * torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    logits.requires_grad_()
    model, optimizer = LinearGaussianMixture(), torch.optim.Adam([logits], lr=0.1)
    # Without a decoder U is H(q), up to a constant.
    total = (1 - beta) * ClassifierEntropy() + gamma * MutualInformation()
    objective = Objective(None, total)
    for _ in range(250):
        optimizer.zero_grad()
        objective(model, FixedStreams(unlabeled=(logits, None)), state_at()).loss.backward()
        optimizer.step()
    q = logits.softmax(1)
    # Balanced but for one of the 12 rows: local optima.
    torch.testing.assert_close(q.mean(0), torch.full((3,), 1 / 3, dtype=F64), rtol=0, atol=0.1)
    assert (q.max(1).values.min() > 0.9) if hard else (q.max() < 0.4)


# The minimizers of the labeled forms (2.10).


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: optimized_labeled(1e-3), 0.4755),
        (lambda: optimized_labeled(1e-3, reverse_divergence), 0.9133),
        (lambda: optimized_labeled(1e-3, tight_divergence), 0.999),
        (lambda: tight_labeled(1e-3, 1.0), 0.999),
        (lambda: optimized_labeled(1e-3, smoothed_prior_divergence), 0.1),
    ],
    ids=["3.5", "3.6", "tight", "tight, every class decoded", "3.4"],
)
def test_the_printed_label_divergences_have_these_minimizers(
    build: Callable[[], Objective], expected: float
) -> None:
    """V5s: K = 10, epsilon = 1e-3: q_y = .4755 (3.5), .9133 (3.6), .999 (tight), uniform (3.4)."""
    q, _ = best_q(build())
    assert q[3].item() == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(q.sum() - q[3], 9 * q[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 0.476), (1.0, 0.679), (10.0, 0.9998)])
def test_section_3_6_alpha_makes_the_best_q_sharper(alpha: float, expected: float) -> None:
    """V5s: one-hot labels and alpha log q(y|x): log(q_y / q_k) = (1 + alpha) / q_y."""
    objective = optimized_elbo(alpha, 0.0, 0.0, 0.0)
    q, _ = best_q(Objective(objective.labeled, None))
    assert q[3].item() == pytest.approx(expected, abs=1e-3)
    if alpha < 10:
        assert (q[3] / q[0]).log().item() == pytest.approx((1 + alpha) / q[3].item(), rel=1e-4)


def test_eq_6_alone_has_no_gradient_in_the_classifier() -> None:
    """Section 5.6: q(y|x) is not in the labeled ELBO, whose value is that of Eq 8's labeled
    part."""
    model = small_m2(Factorized(), Bernoulli())
    loss = loss_of(labeled_elbo(), model)
    by_hand = ByHand(model, Enumerated())
    torch.testing.assert_close(loss.loss, -by_hand.labeled_elbo)
    loss.loss.backward()
    assert all(weight.grad is None for weight in model.classifier.parameters())
    assert all(weight.grad is not None for weight in model.decoder.parameters())
    assert labeled_elbo().streams == (LABELED,)


def test_section_3_4_as_printed_has_no_gradient_for_the_label() -> None:
    """V5s: with KL(p_hat || p(y)) two labels give the same gradient of the logits, exactly."""
    gradients = []
    for label in (0, 7):
        model = LinearGaussianMixture(classes=10)
        with torch.no_grad():
            model.W.zero_(), model.V.zero_()  # the decoder, too, cannot tell them apart
        streams = streams_of(model, (some_x(1), one_hot([label], 10)))
        objective = optimized_labeled(1e-3, smoothed_prior_divergence)
        objective(model, streams, state_at()).loss.backward()
        gradients.append(model.logits.grad)
    assert torch.equal(gradients[0], gradients[1]) and gradients[0].any()


def test_section_3_5_may_exceed_the_elbo_by_1_1010() -> None:
    """V5s: the residual KL(p_hat||q) + KL(q||p) - KL(p_hat||p) reaches -1.1010 at K = 10, epsilon
    = 0."""
    _, optimized = best_q(optimized_labeled(0.0))
    model = LinearGaussianMixture(classes=10)
    streams = streams_of(model, (some_x(1), one_hot([3], 10)))
    elbo = Objective(ELBO(LABELED, Observed()), None)(model, streams, state_at())
    assert (optimized + elbo.loss.detach()).item() == pytest.approx(1.1010, abs=1e-4)


def test_section_3_5_residual_of_two_classes() -> None:
    """V5s: p_hat = (.9, .1), q = (.8, .2): the residual is -.13863."""
    p_hat, q = torch.tensor([0.9, 0.1]).log(), torch.tensor([0.8, 0.2]).log()
    p = torch.tensor([0.5, 0.5]).log()
    residual = info.kl(p_hat, q) + info.kl(q, p) - info.kl(p_hat, p)
    assert residual.item() == pytest.approx(-0.13863, abs=1e-5)


def test_eq_8_the_sign_of_alpha_teaches_the_label() -> None:
    """dloss/dlogit_y = alpha (q_y - 1) is negative: a step down the loss raises q(y|x)."""
    model = LinearGaussianMixture(classes=10)
    with torch.no_grad():
        model.x_to_logits.zero_()
        model.logits.zero_()
    x, y = some_x(1), one_hot([3], 10)
    objective = Objective(equation_8(2.0).labeled, None)
    objective(model, streams_of(model, (x, y)), state_at()).loss.backward()
    expected = 2.0 * (torch.full((10,), 0.1, dtype=F64) - y[0])
    torch.testing.assert_close(model.logits.grad, expected)


def test_there_is_one_unary_minus_in_the_objectives() -> None:
    """Everything upstream is maximised; `Objective.__call__` alone negates, beside the -1 by which
    a - b is a + -1 b."""
    import ast
    import inspect

    def negated(module: object) -> list[str]:
        assert inspect.ismodule(module)
        return [
            ast.unparse(node)
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        ]

    assert negated(objectives) == []
    one, minus = sorted(negated(inspect.getmodule(Objective)))
    assert (one, minus) == ("-1.0", "-sum((value.value for value in values))")


def test_rows_of_a_batch_hold_what_they_say() -> None:
    """Streams come back by name, each with its own rows and labels, in one pass through the
    trunk."""
    model = small_m2(Factorized(), Bernoulli())
    passes = []
    model.trunk.register_forward_hook(lambda module, args, out: passes.append(len(out)))
    batch = {LABELED: Rows(X_L, Y_L), UNLABELED: Rows(X_U, None)}
    streams = Streams(model, batch, noise_of(labeled=6, unlabeled=8), 3)
    assert passes == [14]
    torch.testing.assert_close(streams[UNLABELED].x, X_U)
    assert streams[UNLABELED].y is None and torch.equal(streams[LABELED].y, Y_L)
    torch.testing.assert_close(streams[LABELED].q_y.probs, model.predict_proba(X_L))
