"""labels.py: the laws of every rule, Gumbel (V6), smoothing (V5s) and the centre of an
expectation."""

import math

import pytest
import torch
from torch import Tensor

from semivae.information import kl
from semivae.label_draws import LabelDraws, LabelRule, every_pair, smooth
from semivae.labels import (
    Enumerated,
    Observed,
    Pruned,
    Relaxed,
    Sampled,
    Smoothed,
    StraightThrough,
    follow,
)
from semivae.noise import Noise
from tractable import CPU, F64, noise_of, one_hot

RULES = [
    Observed(),
    Enumerated(),
    Relaxed(),
    StraightThrough(),
    Sampled(),
    Smoothed(0.1),
    Smoothed(0.1, decode=Enumerated()),
]
UNBIASED = [Enumerated(), StraightThrough()]


def some_log_q(rows: int = 5, classes: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(rows, classes, generator=draw, dtype=F64).log_softmax(1)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_keeps_the_laws_of_label_draws(rule: LabelRule) -> None:
    """Weights of an example sum to 1, y is on the simplex, the centre is a pair of its own
    example."""
    log_q, y = some_log_q(), one_hot([0, 2, 1, 1, 0], 3)
    draws = rule(log_q, y, noise_of(labeled=5))
    M = len(draws.row)
    assert draws.y.shape == (M, 3) and draws.weight.shape == (M,) and draws.centre.shape == (5,)
    weight = torch.zeros(5, dtype=F64).index_add(0, draws.row, draws.weight)
    torch.testing.assert_close(weight, torch.ones(5, dtype=F64), rtol=0, atol=1e-12)
    torch.testing.assert_close(draws.y.sum(1), torch.ones(M, dtype=F64), rtol=0, atol=1e-12)
    assert (draws.y >= -1e-12).all() and (draws.weight >= 0).all()
    assert torch.equal(draws.row[draws.centre], torch.arange(5))
    torch.testing.assert_close(draws.log_pi.logsumexp(1), torch.zeros(5, dtype=F64))


def test_observed_is_the_label_alone() -> None:
    """M = B, pi one-hot, whatever the classifier says."""
    y = one_hot([0, 2, 1, 1, 0], 3)
    draws = Observed()(some_log_q(), y, noise_of(labeled=5))
    assert torch.equal(draws.y, y) and torch.equal(draws.log_pi.exp(), y)
    assert draws.row.tolist() == [0, 1, 2, 3, 4] and draws.weight.tolist() == [1] * 5


def test_enumerated_is_every_class_of_every_example_weighted_by_q() -> None:
    """M = K B, one pair per (example, class), each with weight q(y = class|x)."""
    log_q = some_log_q()
    draws = Enumerated()(log_q, None, noise_of(unlabeled=5))
    pairs = list(zip(draws.row.tolist(), draws.y.argmax(1).tolist(), strict=True))
    assert sorted(pairs) == [(b, k) for b in range(5) for k in range(3)]
    expected = torch.stack([log_q[b, k].exp() for b, k in pairs])
    torch.testing.assert_close(draws.weight, expected)
    assert torch.equal(draws.log_pi, log_q)
    assert torch.equal(draws.y[draws.centre].argmax(1), log_q.argmax(1))


@pytest.mark.parametrize("rule", [Observed(), Smoothed(0.1)], ids=str)
def test_a_rule_that_needs_labels_says_so(rule: LabelRule) -> None:
    """An unlabeled stream under a rule of labels is an error with a sentence."""
    with pytest.raises(ValueError, match="the stream has none"):
        rule(some_log_q(), None, noise_of(unlabeled=5))


# Gumbel-Softmax (section 2.7.2).


def test_gumbel_argmax_frequencies_are_pi() -> None:
    """V6: the hard draw has class k with frequency pi_k, at any tau."""
    rows = 60_000
    log_pi = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    for tau in (0.1, 2.0):
        draws = StraightThrough(tau)(log_pi.expand(rows, -1), None, noise_of(unlabeled=rows))
        frequency = draws.y.mean(0)
        error = (log_pi.exp() * (1 - log_pi.exp()) / rows).sqrt()
        assert ((frequency - log_pi.exp()).abs() < 4 * error).all()
        torch.testing.assert_close(draws.y.max(1).values, torch.ones(rows))


def test_relaxed_mean_of_two_classes_at_tau_1_is_the_closed_form() -> None:
    """V6: K = 2, tau = 1, logit 1: E y = e (e - 2) / (e - 1)^2 = .6613, and not pi = .7311."""
    rows = 200_000
    log_pi = torch.tensor([1.0, 0.0]).log_softmax(0)
    y = Relaxed(1.0)(log_pi.expand(rows, -1), None, noise_of(unlabeled=rows)).y[:, 0]
    closed = math.e * (math.e - 2) / (math.e - 1) ** 2
    assert closed == pytest.approx(0.6613, abs=1e-4)
    assert abs(y.mean().item() - closed) < 4 * y.std().item() / math.sqrt(rows)


def test_relaxed_is_the_softmax_of_the_tempered_sum() -> None:
    """softmax((log pi + g) / tau), with g the noise of this step; smaller tau, harder y."""
    log_q, noise = some_log_q(), noise_of(unlabeled=5)
    gumbel = noise.gumbel("y", 3).double()
    for tau in (0.3, 2 / 3, 2.0):
        y = Relaxed(tau)(log_q, None, noise).y
        torch.testing.assert_close(y, ((log_q + gumbel) / tau).softmax(1))
    hard, soft = (Relaxed(tau)(log_q, None, noise).y.max(1).values for tau in (0.1, 5.0))
    assert (hard > soft).all()


LOGITS = torch.tensor([0.8, 0.0, -0.6], dtype=F64)


def decoded(y: Tensor) -> Tensor:
    """A log-likelihood that is not linear in y, as a decoder's is not."""
    centres = torch.tensor([[1.0, 0.2], [-0.5, 1.0], [0.3, -1.2]], dtype=F64)
    return -3.0 * (torch.tensor([0.9, 0.4], dtype=F64) - y @ centres).square().sum(1)


def estimate(rule: LabelRule, rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values (rows,) of E_pi f, their s.e., and the mean gradient with respect to the logits."""
    logits = LOGITS.clone().requires_grad_()
    log_q = logits.log_softmax(0).expand(rows, -1)
    draws = rule(log_q, None, noise_of(seed, unlabeled=rows))
    value = draws.expectation(decoded(draws.y))
    value.mean().backward()
    assert logits.grad is not None
    return value.detach().mean(), value.detach().std() / math.sqrt(rows), logits.grad


def test_straight_through_value_is_unbiased_and_relaxed_value_is_not() -> None:
    """V6: Gumbel-max decodes true classes, so the value is that of the sum over classes (Eq 5)."""
    exact = (LOGITS.softmax(0) * decoded(torch.eye(3, dtype=F64))).sum()
    for tau in (0.3, 1.0):
        value, error, _ = estimate(StraightThrough(tau), 100_000, 0)
        assert abs(value - exact) < 4 * error
    value, error, _ = estimate(Relaxed(1.0), 100_000, 0)
    assert abs(value - exact) > 20 * error


@pytest.mark.parametrize("rule", [Relaxed, StraightThrough])
def test_gradient_error_of_gumbel_rules_falls_with_tau(rule: type[LabelRule]) -> None:
    """V6: the bias of the gradient falls as tau does, to a few per cent at tau = .1."""
    _, _, exact = estimate(Enumerated(), 2, 0)
    errors = [
        ((estimate(rule(tau), 200_000, 1)[2] - exact).norm() / exact.norm()).item()
        for tau in (2.0, 0.67, 0.1)
    ]
    assert errors[0] > 1.5 * errors[1] > 1.5 * 1.5 * errors[2]
    assert errors[2] < 0.1


def test_straight_through_gradient_is_that_of_relaxed_where_f_is_linear() -> None:
    """Forward a class, backward its relaxation: the y that reaches the decoder differs by a
    constant."""
    gradients = []
    for rule in (Relaxed(0.5), StraightThrough(0.5)):
        log_q = some_log_q().requires_grad_()
        draws = rule(log_q, None, noise_of(unlabeled=5))
        (draws.y * torch.arange(15, dtype=F64).view(5, 3)).sum().backward()
        gradients.append(log_q.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


# The score function.


def test_sampled_is_one_class_of_q_with_weight_1() -> None:
    """Frequencies are q; the weight is 1 and its gradient that of log q_k."""
    rows = 60_000
    log_pi = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    draws = Sampled()(log_pi.expand(rows, -1), None, noise_of(unlabeled=rows))
    error = (log_pi.exp() * (1 - log_pi.exp()) / rows).sqrt()
    assert ((draws.y.mean(0) - log_pi.exp()).abs() < 4 * error).all()
    assert (draws.weight == 1).all() and (draws.y.max(1).values == 1).all()
    log_q = some_log_q().requires_grad_()
    draws = Sampled()(log_q, None, noise_of(unlabeled=5))
    (gradient,) = torch.autograd.grad(draws.weight.sum(), log_q)
    assert torch.equal(gradient, draws.y)


def sampled_estimates(rows: int, baseline: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of so many equal examples: values of E_q f, gradients of the logits, and of f."""
    logits = TEN.expand(rows, -1).clone().requires_grad_()
    f = VALUES.expand(rows, -1).clone().requires_grad_()
    draws = Sampled()(logits.log_softmax(1), None, noise_of(unlabeled=rows))
    centre = torch.tensor(baseline, dtype=F64)
    value = draws.expectation(f[draws.row, draws.y.argmax(1)], centre)
    by_logits, by_f = torch.autograd.grad(value.sum(), [logits, f])
    return value.detach(), by_logits, by_f


@pytest.mark.parametrize("baseline", [-540.0, -500.0, 0.0, math.nan])
def test_the_score_function_is_unbiased_whatever_centres_it(baseline: float) -> None:
    """Value and gradients are those of the sum over classes; nan: the mean of the others."""
    rows, q = 200_000, TEN.softmax(0)
    exact = (q * VALUES).sum()
    estimates = sampled_estimates(rows, baseline)
    for estimate, expected in zip(estimates, (exact, q * (VALUES - exact), q), strict=True):
        error = estimate.std(0) / math.sqrt(rows)
        assert ((estimate.mean(0) - expected).abs() <= 4 * error + 1e-9).all()


def test_the_baseline_keeps_the_variance_of_the_score_function_low() -> None:
    """The offset of -540 nats is gone, from a running mean and from the mean of the others."""
    q = TEN.softmax(0)
    mean = (q * VALUES).sum().item()
    running, others, none = (
        sampled_estimates(20_000, baseline)[1].var(0).sum().item()
        for baseline in (mean, math.nan, 0.0)
    )
    assert max(running, others) < none / 100
    assert others == pytest.approx(running, rel=0.05)


def test_an_example_is_not_centred_by_its_own_draw() -> None:
    """Else the gradient of the logits would be that of something else."""
    f = torch.tensor([-3.0, -4.0, -8.0], dtype=F64)
    log_q = some_log_q(3).requires_grad_()
    draws = Sampled()(log_q, None, noise_of(unlabeled=3))
    (gradient,) = torch.autograd.grad(draws.expectation(f).sum(), log_q)
    others = torch.tensor([-6.0, -5.5, -3.5], dtype=F64)
    torch.testing.assert_close(gradient, draws.y * (f - others)[:, None])
    one = Sampled()(log_q[:1], None, noise_of(unlabeled=1))
    assert one.expectation(f[:1]).item() == -3.0


def test_a_running_baseline_begins_with_the_first_mean() -> None:
    """c <- rho c + (1 - rho) mean; nan is none yet."""
    baseline = follow(torch.tensor(math.nan), torch.tensor(-500.0), 0.9)
    assert baseline.item() == -500.0
    assert follow(baseline, torch.tensor(-400.0), 0.9).item() == pytest.approx(-490.0)


@pytest.mark.parametrize("rho", [-0.1, 1.0, math.nan])
def test_a_memory_without_sense_is_an_error(rho: float) -> None:
    with pytest.raises(ValueError, match="rho="):
        Sampled(rho)


# The pruned sum: V14.

PRUNED = [Pruned(1, 0.05), Pruned(2, 0.2), Pruned(3, 0.5), Pruned(2, 1.0)]
VALUES = -540 + 20 * torch.randn(10, generator=torch.Generator().manual_seed(2), dtype=F64)
TEN = 2 * torch.randn(10, generator=torch.Generator().manual_seed(5), dtype=F64)


def pruned_estimates(rule: LabelRule, rows: int) -> tuple[LabelDraws, Tensor, Tensor, Tensor]:
    """The draws of so many equal examples, with their values of E_q f, and per example the
    gradients with respect to the logits and to f."""
    logits = TEN.expand(rows, -1).clone().requires_grad_()
    f = VALUES.expand(rows, -1).clone().requires_grad_()
    draws = rule(logits.log_softmax(1), None, noise_of(unlabeled=rows))
    value = draws.expectation(f[draws.row, draws.y.argmax(1)])
    by_logits, by_f = torch.autograd.grad(value.sum(), [logits, f])
    return draws, value.detach(), by_logits, by_f


@pytest.mark.parametrize("rule", PRUNED, ids=str)
def test_the_pruned_sum_is_unbiased_in_value_and_gradient(rule: Pruned) -> None:
    """V14: the top classes exactly and a draw from the rest give Eq 5's sum over all, and its
    gradients."""
    rows, q = 100_000, TEN.softmax(0)
    draws, value, by_logits, by_f = pruned_estimates(rule, rows)
    exact = (q * VALUES).sum()
    for estimate, expected in ((value, exact), (by_logits, q * (VALUES - exact)), (by_f, q)):
        error = estimate.std(0) / math.sqrt(rows)
        assert ((estimate.mean(0) - expected).abs() <= 4 * error + 1e-9).all()
    weight = torch.zeros(rows, dtype=F64).index_add(0, draws.row, draws.weight.detach())
    assert abs(weight.mean() - 1) <= 4 * weight.std() / math.sqrt(rows) + 1e-9


def test_what_is_pruned_without_a_draw_is_no_longer_the_bound() -> None:
    """V14: renormalized, the top classes give the bound of another q; left as they are, no bound
    at all. The draw is what makes the sum Eq 5's."""
    q, log_evidence = TEN.softmax(0), VALUES.logsumexp(0)
    top = q.topk(2).indices
    bound = (q * (VALUES - q.log())).sum()
    renormalized = q[top] / q[top].sum()
    tighter = (renormalized * (VALUES[top] - renormalized.log())).sum()
    unnormalized = (q[top] * (VALUES[top] - q[top].log())).sum()
    assert max(bound, tighter) <= log_evidence < unnormalized
    assert abs(bound - tighter) > 0.1


@pytest.mark.parametrize("rule", PRUNED, ids=str)
def test_the_centre_of_the_pruned_sum_keeps_its_variance_low(rule: Pruned) -> None:
    """Without it the weight of the draw would multiply the offset of -540 nats."""
    draws, _, centred, _ = pruned_estimates(rule, 5_000)
    logits = TEN.expand(5_000, -1).clone().requires_grad_()
    again = rule(logits.log_softmax(1), None, noise_of(unlabeled=5_000))
    assert torch.equal(again.row, draws.row)
    f = again.y @ VALUES
    plain = torch.zeros(5_000, dtype=F64).index_add(0, again.row, again.weight * f)
    (uncentred,) = torch.autograd.grad(plain.sum(), logits)
    assert centred.var(0).sum() < uncentred.var(0).sum() / 20


def test_the_pruned_sum_decodes_about_one_class_where_the_classifier_is_sure() -> None:
    """M: B + B r / roulette; all that a doubtful classifier pays is `exact` + 1 per example."""
    rows, rule = 4_000, Pruned(exact=2, roulette=0.1)
    sure = torch.tensor([[12.0, 0.0, 0.0, 0.0]]).log_softmax(1).expand(rows, -1)
    assert len(rule(sure, None, noise_of(unlabeled=rows)).row) < 1.01 * rows
    doubtful = torch.zeros(rows, 4).log_softmax(1)
    assert len(rule(doubtful, None, noise_of(unlabeled=rows)).row) == 3 * rows
    half = torch.tensor([[0.95, 0.03, 0.01, 0.01]]).log().expand(rows, -1)
    drawn = len(rule(half, None, noise_of(unlabeled=rows)).row) / rows - 1
    assert abs(drawn - 0.5) < 4 * math.sqrt(0.25 / rows)


def test_the_pruned_sum_over_all_classes_is_the_exact_sum() -> None:
    """exact = K and a roulette below every q: nothing is left to draw; pairs, weights, centres."""
    log_q = some_log_q()
    draws = Pruned(exact=3, roulette=1e-6)(log_q, None, noise_of(unlabeled=5))
    f = torch.arange(15, dtype=F64).view(5, 3) ** 2
    exact = Enumerated()(log_q, None, noise_of(unlabeled=5))
    values = [d.expectation(f[d.row, d.y.argmax(1)]) for d in (draws, exact)]
    torch.testing.assert_close(values[0], values[1])
    assert torch.equal(draws.y[draws.centre], exact.y[exact.centre])
    assert torch.equal(draws.row[draws.centre], torch.arange(5))


def test_a_draw_from_next_to_nothing_is_a_class_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where r is the smallest number above 0, u r rounds to r, beyond which lies no class."""

    def uniform(noise: Noise, purpose: str) -> Tensor:
        return torch.full((4,), {"y": 1 - 2**-24, "roulette": 0.0}[purpose])

    monkeypatch.setattr(Noise, "uniform", uniform)
    log_q = torch.tensor([0.0, -103.2, -torch.inf]).expand(4, -1)
    draws = Pruned(exact=1)(log_q, None, noise_of(unlabeled=4))
    assert draws.y.argmax(1).tolist() == [0] * 4 + [1] * 4
    assert draws.weight.isfinite().all()


def test_one_class_is_pruned_to_itself() -> None:
    """K = 1 is M1: nothing else to draw, and no 0 / 0."""
    log_q = torch.zeros(4, 1, dtype=F64, requires_grad=True)
    draws = Pruned()(log_q, None, noise_of(unlabeled=4))
    assert draws.row.tolist() == [0, 1, 2, 3] and draws.weight.tolist() == [1] * 4


@pytest.mark.parametrize(("exact", "roulette"), [(0, 0.1), (2, 0.0), (2, 1.5)])
def test_pruning_without_sense_is_an_error(exact: int, roulette: float) -> None:
    with pytest.raises(ValueError, match=r"exact=0|roulette="):
        Pruned(exact, roulette)


# Smoothing (section 3.3.2).


def test_smoothed_label_keeps_1_minus_epsilon() -> None:
    """p_hat = 1 - epsilon on the class and epsilon / (K - 1) elsewhere, not epsilon / K."""
    p_hat = smooth(one_hot([2], 5), 0.2).exp()
    torch.testing.assert_close(p_hat, torch.tensor([[0.05, 0.05, 0.8, 0.05, 0.05]], dtype=F64))
    assert torch.equal(smooth(one_hot([2], 5), 0.0).exp(), one_hot([2], 5))


def test_torch_label_smoothing_is_epsilon_k_over_k_minus_1() -> None:
    """V5s: torch's `label_smoothing=e` is the same label at e = epsilon K / (K - 1)."""
    logits, epsilon, K = some_log_q(4, 10), 0.1, 10
    labels = torch.tensor([3, 0, 9, 3])
    ours = -(smooth(one_hot(labels.tolist(), K), epsilon).exp() * logits).sum(1).mean()
    e = epsilon * K / (K - 1)
    torchs = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=e)
    torch.testing.assert_close(ours, torchs)
    assert (
        abs(torch.nn.functional.cross_entropy(logits, labels, label_smoothing=epsilon) - ours)
        > 1e-3
    )


def test_smoothed_kl_tends_to_the_cross_entropy() -> None:
    """V5s: KL(p_hat || q) tends to -log q_y as epsilon does to 0, slowly and from below."""
    log_q, y = (
        torch.randn(1, 10, dtype=F64, generator=torch.Generator().manual_seed(3)).log_softmax(1),
        4,
    )
    gaps = [
        (kl(smooth(one_hot([y], 10), epsilon), log_q) + log_q[:, y]).item()
        for epsilon in (0.01, 1e-3, 1e-6, 0.0)
    ]
    assert abs(gaps[0]) > abs(gaps[1]) > abs(gaps[2]) > gaps[3] == 0 and abs(gaps[2]) < 1e-4


@pytest.mark.parametrize("epsilon", [-0.1, 2 / 3, 0.9])
def test_smoothing_beyond_uniform_is_an_error(epsilon: float) -> None:
    """epsilon outside [0, (K - 1) / K) is refused with the value and the range."""
    with pytest.raises(ValueError, match=f"epsilon={epsilon}"):
        smooth(one_hot([0], 3), epsilon)


def test_smoothed_decodes_what_it_is_told_to() -> None:
    """By default the label alone (M = B); under `Enumerated` every class with weight p_hat."""
    y, log_q = one_hot([0, 2], 3), some_log_q(2)
    alone = Smoothed(0.1)(log_q, y, noise_of(labeled=2))
    assert torch.equal(alone.y, y) and alone.weight.tolist() == [1, 1]
    spread = Smoothed(0.1, decode=Enumerated())(log_q, y, noise_of(labeled=2))
    weights = torch.zeros(2, 3, dtype=F64)
    weights.index_put_((spread.row, spread.y.argmax(1)), spread.weight)
    for draws in (alone, spread):
        torch.testing.assert_close(draws.log_pi, smooth(y, 0.1))
    torch.testing.assert_close(weights, smooth(y, 0.1).exp())


# The centre.


def test_expectation_is_the_weighted_sum_in_value_and_gradient() -> None:
    """c + sum w (f - c) is sum w f, also to whoever asks for the gradient of logits or of f."""
    logits = (some_log_q() + 1.0).requires_grad_()
    slope = torch.randn(15, dtype=F64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    gradients, values = [], []
    for plain in (False, True):
        draws = every_pair(logits.log_softmax(1))
        f = -500.0 + 3.0 * slope**3
        value = (
            torch.zeros(5, dtype=F64).index_add(0, draws.row, draws.weight * f)
            if plain
            else draws.expectation(f)
        )
        values.append(value)
        gradients.append(
            torch.autograd.grad((value * torch.arange(1.0, 6.0)).sum(), [logits, slope])
        )
    torch.testing.assert_close(values[0], values[1], rtol=1e-13, atol=0)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
        assert ours.abs().max() > 0.01


def test_the_centre_takes_no_gradient_of_f() -> None:
    """Each pair's gradient is its weight, also where the weights of a draw do not sum to 1."""
    f = torch.tensor([-3.0, -4.0, -7.0, -9.0], dtype=F64, requires_grad=True)
    weight = torch.tensor([0.5, 0.9, 1.3, 0.0], dtype=F64)
    row = torch.tensor([0, 0, 1, 1])
    draws = LabelDraws(some_log_q(2), row, torch.eye(4, dtype=F64), weight, torch.tensor([1, 3]))
    value = draws.expectation(f)
    by_hand = [-4.0 + 0.5 * 1.0, -9.0 + 1.3 * 2.0]
    torch.testing.assert_close(value.detach(), torch.tensor(by_hand, dtype=F64))
    value.sum().backward()
    assert torch.equal(f.grad, weight)


def test_the_centre_keeps_the_mean_and_lowers_the_variance_of_an_unbiased_draw() -> None:
    """A class drawn from q with weight q / sg(q): the same mean gradient, a far smaller variance.

    The decoded values share an offset of -540 nats: without gradient for all classes together.
    """
    rows, f_of = 20_000, torch.tensor([-541.0, -539.5, -540.3], dtype=F64)
    logits = LOGITS.expand(rows, -1).clone().requires_grad_()
    log_q = logits.log_softmax(1)
    drawn = torch.multinomial(
        log_q[0].exp().detach(), rows, True, generator=torch.Generator(CPU).manual_seed(0)
    )
    q = log_q.exp().gather(1, drawn[:, None])[:, 0]
    likeliest = log_q.argmax(1)
    row = torch.arange(rows)
    # The likeliest class is decoded for the centre alone, with weight 0: independent of the draw.
    draws = LabelDraws(
        log_pi=log_q,
        row=torch.cat([row, row]),
        y=torch.eye(3, dtype=F64)[torch.cat([likeliest, drawn])],
        weight=torch.cat([torch.zeros_like(q), q / q.detach()]),
        centre=row,
    )
    f = draws.y @ f_of
    per_row = []
    for value in (
        draws.expectation(f),
        torch.zeros_like(q).index_add(0, draws.row, draws.weight * f),
    ):
        (gradient,) = torch.autograd.grad(value.sum(), logits, retain_graph=True)
        per_row.append(gradient)
    pi = LOGITS.softmax(0)
    exact = pi * (f_of - (pi * f_of).sum())
    for gradient in per_row:
        error = gradient.std(0) / math.sqrt(rows)
        assert ((gradient.mean(0) - exact).abs() < 4 * error).all()
    centred, plain = (gradient.var(0).sum() for gradient in per_row)
    assert centred < plain / 1000
