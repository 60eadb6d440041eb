"""terms.py and sums.py: each term's closed form, the algebra of sums, and the two estimates of
I(y; x)."""

import math

import pytest
import torch
from torch import Tensor

from contracts import check_term
from semivae import information as info
from semivae.bounds import bound
from semivae.label_draws import LabelRule, smooth
from semivae.labels import Enumerated, Observed, Relaxed, Sampled, Smoothed, StraightThrough
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family
from semivae.noise import Noise
from semivae.schedules import Ramp
from semivae.streams import LABELED, UNLABELED, Rows, Streams
from semivae.sums import Sum, Term, evaluate
from semivae.terms import (
    ELBO,
    ClassifierEntropy,
    ForwardLabelKL,
    LabelKL,
    LabelLogLikelihood,
    LatentKL,
    MutualInformation,
    PriorKL,
    Reconstruction,
    ReverseLabelKL,
    RunningMutualInformation,
    SmoothedPriorKL,
)
from tractable import (
    CPU,
    F64,
    FixedStreams,
    noise_of,
    one_hot,
    small_m2,
    some_images,
    state_at,
    streams_of,
)

K = 4
TRUNK, Q_Y, Q_Z, P_X = "trunk", "classifier", "latent", "decoder"
CLASSIFIER = {TRUNK, Q_Y}
LABELS = [0, 2, 1, 1, 3]


def some_batch() -> dict[str, Rows]:
    return {
        LABELED: Rows(some_images(5), one_hot(LABELS, K)),
        UNLABELED: Rows(some_images(7, seed=8), None),
    }


FAMILIES = pytest.mark.parametrize(
    "family", [Factorized(), Conditional()], ids=["factorized", "conditional"]
)


@FAMILIES
@pytest.mark.parametrize(
    ("stream", "rule", "q_y_is_decoded"),
    [
        (LABELED, Observed(), False),
        (LABELED, Smoothed(0.1), False),
        (LABELED, Smoothed(0.1, decode=Enumerated()), False),
        (LABELED, Enumerated(), True),
        (UNLABELED, Enumerated(), True),
        (UNLABELED, Relaxed(), True),
        (UNLABELED, StraightThrough(), True),
        (UNLABELED, Sampled(), True),
        (UNLABELED, Sampled(rho=0.0), True),
    ],
    ids=str,
)
def test_every_part_of_the_bound_keeps_the_laws_of_a_term(
    family: Family, stream: str, rule: LabelRule, q_y_is_decoded: bool
) -> None:
    """Under every label rule, each part trains those networks that it is made of."""
    model, batch = small_m2(family, Bernoulli()), some_batch()
    of_q = {Q_Y} if q_y_is_decoded else set()
    check_term(Reconstruction(stream, rule), model, batch, {TRUNK, Q_Z, P_X} | of_q)
    q_y_weighs_kls = of_q if model.q_z_sees_y else set()
    check_term(LatentKL(stream, rule), model, batch, {TRUNK, Q_Z} | q_y_weighs_kls)
    check_term(LabelKL(stream, rule), model, batch, CLASSIFIER if q_y_is_decoded else set())


@FAMILIES
@pytest.mark.parametrize(
    ("term", "reaches"),
    [
        (LabelLogLikelihood(), CLASSIFIER),
        (ClassifierEntropy(), CLASSIFIER),
        (ClassifierEntropy(LABELED), CLASSIFIER),
        (MutualInformation(), CLASSIFIER),
        (RunningMutualInformation(), CLASSIFIER),
        (RunningMutualInformation(LABELED, rho=0.5), CLASSIFIER),
        (PriorKL(), CLASSIFIER),
        (ForwardLabelKL(0.1), CLASSIFIER),
        (ForwardLabelKL(0.0), CLASSIFIER),
        (ReverseLabelKL(0.1), CLASSIFIER),
        (SmoothedPriorKL(0.1), set()),
        (SmoothedPriorKL(0.0), set()),
    ],
    ids=str,
)
def test_every_term_of_the_classifier_keeps_the_laws_of_a_term(
    family: Family, term: Term, reaches: set[str]
) -> None:
    """They train the trunk and the classifier, and nothing else."""
    check_term(term, small_m2(family, Bernoulli()), some_batch(), reaches)


# What a rule with a memory remembers.


@FAMILIES
def test_a_baseline_is_remembered_of_each_part_that_averages_over_y(family: Family) -> None:
    """The KL of z does so only under q(z|x, y); rules without a memory remember nothing."""
    model = small_m2(family, Bernoulli())
    parts = [Reconstruction, LatentKL, LabelKL]
    buffers = [part(UNLABELED, Sampled()).initial_buffers(model) for part in parts]
    names = ["unlabeled/reconstruction/baseline"]
    names += ["unlabeled/latent_kl/baseline"] if model.q_z_sees_y else []
    assert [name for found in buffers for name in found] == names
    assert all(value.isnan() for found in buffers for value in found.values())
    assert not any(part(UNLABELED, Enumerated()).initial_buffers(model) for part in parts)


@FAMILIES
def test_a_baseline_follows_the_mean_over_all_rows_and_centres_the_next_step(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """c <- rho c + (1 - rho) mean over the rows of every process; this step's bound has c."""
    model, x = small_m2(family, Bernoulli()), some_images(8)
    term = Reconstruction(UNLABELED, Sampled(rho=0.7))
    name = "unlabeled/reconstruction/baseline"
    state = state_at(**{name: torch.tensor(-5.0, dtype=F64)})
    whole = term(model, streams_of(model, unlabeled=x), state)
    torch.testing.assert_close(whole.updates[name], -3.5 + 0.3 * whole.value.detach().mean())

    def half(rank: int) -> Streams:
        noise = Noise(0, 0, ((UNLABELED, 8),), CPU, rank, processes=2)
        return streams_of(model, unlabeled=x[4 * rank : 4 * rank + 4], noise=noise)

    parts = [half(r).part_of_mean(UNLABELED, term(model, half(r), state).value) for r in (0, 1)]
    monkeypatch.setattr("semivae.terms.mean_over_processes", lambda _: sum(parts) / 2)
    torch.testing.assert_close(term(model, half(0), state).updates, whole.updates)

    def gradient(baseline: float) -> Tensor:
        state = state_at(**{name: torch.tensor(baseline, dtype=F64)})
        value = term(model, streams_of(model, unlabeled=x), state).value
        (found,) = torch.autograd.grad(value.sum(), model.classifier.bias)
        return found

    streams = streams_of(model, unlabeled=x)
    draws = Sampled()(streams[UNLABELED].q_y.logits, None, streams.noise.of(UNLABELED))
    (by_weight,) = torch.autograd.grad(draws.weight.sum(), model.classifier.bias)
    torch.testing.assert_close(gradient(-5.0) - gradient(-4.0), by_weight)


# Closed forms, of given logits.


def value_of(term: Term, **streams: tuple[Tensor, Tensor | None]) -> Tensor:
    """The value of a term that reads the classifier alone."""
    model = small_m2(Factorized(), Bernoulli())
    state = state_at(**term.initial_buffers(model))
    return term(model, FixedStreams(**streams), state).value


def some_logits(rows: int = 5) -> Tensor:
    return torch.randn(rows, K, generator=torch.Generator().manual_seed(3), dtype=F64)


LOG_PRIOR = torch.linspace(-0.6, 0.5, K).double().log_softmax(0)


def test_eq_15_entropy_is_log_k_when_uniform_and_0_when_certain() -> None:
    """H(q(y|x)) of the unlabeled rows, with a plus sign."""
    logits = torch.stack([torch.zeros(K), torch.tensor([500.0, 0, 0, 0])]).double()
    value = value_of(ClassifierEntropy(), unlabeled=(logits, None))
    torch.testing.assert_close(value, torch.tensor([math.log(K), 0.0], dtype=F64))


def test_eq_7_label_log_likelihood_is_minus_the_cross_entropy() -> None:
    """log q(y|x) of the observed label, at most 0."""
    logits, labels = some_logits(), torch.tensor(LABELS)
    value = value_of(LabelLogLikelihood(), labeled=(logits, one_hot(LABELS, K)))
    expected = -torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(value, expected)
    assert (value < 0).all()


def test_sections_3_3_to_3_6_label_divergences_by_hand() -> None:
    """KL(q || p), KL(p_hat || q), KL(q || p_hat) and KL(p_hat || p), each with its arguments in
    order."""
    logits, y, epsilon = some_logits(), one_hot(LABELS, K), 0.2
    q, p = logits.softmax(1), small_m2(Factorized(), Bernoulli()).p_y().probs
    p_hat = y * (1 - epsilon) + (1 - y) * epsilon / (K - 1)
    for term, first, second in (
        (PriorKL(), q, p),
        (ForwardLabelKL(epsilon), p_hat, q),
        (ReverseLabelKL(epsilon), q, p_hat),
        (SmoothedPriorKL(epsilon), p_hat, p),
    ):
        expected = (first * (first / second).log()).sum(1)
        torch.testing.assert_close(value_of(term, labeled=(logits, y)), expected)


def test_section_3_5_forward_kl_at_epsilon_0_is_the_cross_entropy() -> None:
    """KL(one-hot || q) = - log q_y, in value and gradient."""
    logits, y = some_logits().requires_grad_(), one_hot(LABELS, K)
    value = value_of(ForwardLabelKL(0.0), labeled=(logits, y))
    torch.testing.assert_close(value, -value_of(LabelLogLikelihood(), labeled=(logits, y)))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    torch.testing.assert_close(gradient, logits.detach().softmax(1) - y)


def test_sections_3_5_and_3_6_gradients_where_the_classifier_is_confidently_wrong() -> None:
    """V5s: at logits (-6, 6, 0, 0) and true class 0, -.999 for KL(p_hat || q), -1.2e-4 for the
    reverse."""
    logits = torch.tensor([[-6.0, 6, 0, 0]], dtype=F64, requires_grad=True)
    gradients = []
    for term in (ForwardLabelKL(1e-3), ReverseLabelKL(1e-3)):
        value = value_of(term, labeled=(logits, one_hot([0], K)))
        gradients.append(torch.autograd.grad(value.sum(), logits)[0])
    q, log_p_hat = logits.detach().softmax(1), smooth(one_hot([0], K), 1e-3)
    torch.testing.assert_close(gradients[0], q - log_p_hat.exp())
    ratio = q.log() - log_p_hat
    torch.testing.assert_close(gradients[1], q * (ratio - (q * ratio).sum(1, keepdim=True)))
    assert gradients[0][0, 0].item() == pytest.approx(-0.999, abs=1e-3)
    assert gradients[1][0, 0].item() == pytest.approx(-1.2e-4, rel=0.05)


def test_section_3_6_reverse_kl_refuses_epsilon_0() -> None:
    """KL(q || one-hot) is infinite: the error says so."""
    with pytest.raises(ValueError, match=r"epsilon=0.*infinite"):
        ReverseLabelKL(0.0)


@FAMILIES
@pytest.mark.parametrize(
    ("stream", "rule"), [(LABELED, Observed()), (UNLABELED, Enumerated())], ids=str
)
def test_eqs_5_and_6_elbo_is_the_bound_of_its_stream(
    family: Family, stream: str, rule: LabelRule
) -> None:
    """Reconstruction - latent KL - label KL, with the stream's own rows, labels and noise."""
    model, batch = small_m2(family, Bernoulli()), some_batch()
    x, y = batch[stream]
    noise = noise_of(**{stream: len(x)})
    encoded = model.encode(x, noise)
    draws = rule(encoded.q_y.logits, y, noise)
    expected = bound(model, encoded, draws, noise.normal("z", 3).double()).value.mean()
    streams = streams_of(model, batch[LABELED], batch[UNLABELED].x)
    result = evaluate(ELBO(stream, rule), model, streams, state_at())
    torch.testing.assert_close(result.value, expected)
    parts = ("reconstruction", "latent_kl", "label_kl")
    assert list(result.terms) == [f"{stream}/{part}" for part in parts]
    r, z, label = result.terms.values()
    torch.testing.assert_close(r - z - label, expected)


# Mutual information (section 3.2).


def test_eq_16_mutual_information_is_the_plug_in_of_the_batch() -> None:
    """H(mean q) - mean H(q), one number for the batch."""
    logits = some_logits(40)
    value = value_of(MutualInformation(), unlabeled=(logits, None))
    torch.testing.assert_close(value, info.mutual_information(logits.log_softmax(1)))
    assert value.shape == () and value > 0.05


def test_eq_16_mutual_information_with_a_class_of_no_mass_has_a_gradient() -> None:
    """A class that no row gives any mass (0 in float32) is silent: the gradient stays finite."""
    logits = torch.tensor([[1.0, 0, -1, -300], [0, 2, 0, -300]], requires_grad=True)
    value = value_of(MutualInformation(), unlabeled=(logits, None))
    value.backward()
    assert value.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def running(
    logits: Tensor, marginal: Tensor, rho: float
) -> tuple[Tensor, dict[str, Tensor], RunningMutualInformation]:
    term = RunningMutualInformation(rho=rho)
    streams = FixedStreams(unlabeled=(logits, None))
    state = state_at(**{term.buffer: marginal})
    result = term(small_m2(Factorized(), Bernoulli()), streams, state)
    return result.value, result.updates, term


def test_eq_16_running_information_is_the_entropy_of_the_running_marginal() -> None:
    """Value H(r) - E H(q), r <- rho r + (1 - rho) q_B; only `updates` carries the new r."""
    logits, marginal = some_logits(9).requires_grad_(), torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
    kept = marginal.clone()
    value, updates, term = running(logits, marginal, rho=0.9)
    log_q = logits.detach().log_softmax(1)
    r = 0.9 * marginal + 0.1 * log_q.exp().mean(0)
    torch.testing.assert_close(value.detach(), info.entropy(r.log()) - info.entropy(log_q).mean())
    torch.testing.assert_close(updates[term.buffer], r)
    assert torch.equal(marginal, kept) and not updates[term.buffer].requires_grad


def test_running_marginal_starts_at_the_prior_under_the_name_of_its_stream() -> None:
    """Before the first step r = p(y); two streams have a marginal each."""
    model = small_m2(Factorized(), Bernoulli())
    buffers = RunningMutualInformation().initial_buffers(model)
    torch.testing.assert_close(buffers["unlabeled/running_marginal"], LOG_PRIOR.exp())
    assert RunningMutualInformation(LABELED).buffer == "labeled/running_marginal"


def test_eq_16_running_gradient_is_that_of_the_cross_entropy() -> None:
    """d/dlogits of - sum_k q_B(k) log r_k - mean H, with r held fixed."""
    logits, marginal = some_logits(9).requires_grad_(), torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
    value, updates, term = running(logits, marginal, rho=0.9)
    (ours,) = torch.autograd.grad(value, logits)
    log_q = logits.log_softmax(1)
    by_hand = (
        -(log_q.exp().mean(0) * updates[term.buffer].log()).sum() - info.entropy(log_q).mean()
    )
    (expected,) = torch.autograd.grad(by_hand, logits)
    torch.testing.assert_close(ours, expected)


def test_eq_16_gradient_at_16_rows_is_biased_for_the_plug_in_and_not_for_the_running() -> None:
    """V4: averaged over the batches of a partition, r = q(y) gives the gradient of the
    population."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1600, 5, generator=draw, dtype=F64)
    weight = (1.2 * torch.randn(5, 10, generator=draw, dtype=F64)).requires_grad_()
    log_q = (x @ weight).log_softmax(1)
    (population,) = torch.autograd.grad(info.mutual_information(log_q), weight)
    marginal = log_q.detach().exp().mean(0)

    def mean_gradient(rho: float | None) -> Tensor:
        total = torch.zeros((), dtype=F64)
        for rows in (x @ weight).split(16):
            if rho is None:
                total = total + value_of(MutualInformation(), unlabeled=(rows, None))
            else:
                total = total + running(rows, marginal, rho)[0]
        return torch.autograd.grad(total / 100, weight)[0]

    def bias(gradient: Tensor) -> float:
        return ((gradient - population).norm() / population.norm()).item()

    assert bias(mean_gradient(1.0)) < 1e-12
    assert bias(mean_gradient(0.99)) < 0.01
    assert bias(mean_gradient(None)) > 0.03


# The algebra.


def test_terms_add_subtract_and_scale_into_a_flat_sum() -> None:
    """Signs and weights multiply through nested sums, in the order written."""
    a, b, c = ClassifierEntropy(), MutualInformation(), PriorKL()
    total = 2.0 * (a - 3.0 * (b - 0.5 * c))
    assert isinstance(total, Sum)
    assert [(part.weight, part.term) for part in total.parts] == [(2.0, a), (-6.0, b), (3.0, c)]
    assert (a + b).parts == (1.0 * a + 1.0 * b).parts
    assert (a + (b + c)).parts == ((a + b) + c).parts
    assert ((a - b) - c).parts == (a - (b + c)).parts


def test_evaluate_is_the_weighted_sum_of_the_means() -> None:
    """Each term's mean is over its own stream's rows; its log is unweighted."""
    model, batch = small_m2(Factorized(), Bernoulli()), some_batch()
    streams = streams_of(model, batch[LABELED], batch[UNLABELED].x)
    total = 3.0 * LabelLogLikelihood() - 0.5 * ClassifierEntropy() + MutualInformation()
    result = evaluate(total, model, streams, state_at())
    label, entropy, information = result.terms.values()
    torch.testing.assert_close(result.value.detach(), 3 * label - 0.5 * entropy + information)
    torch.testing.assert_close(
        label, LabelLogLikelihood()(model, streams, state_at()).value.mean().detach()
    )
    assert result.value.requires_grad and not any(t.requires_grad for t in result.terms.values())


def test_a_term_that_appears_twice_is_an_error() -> None:
    """It would be logged under a taken name; two streams are two names."""
    with pytest.raises(ValueError, match="twice in one sum: unlabeled/classifier_entropy"):
        ClassifierEntropy() + PriorKL() - ClassifierEntropy()
    with pytest.raises(ValueError, match="unlabeled/mutual_information"):
        MutualInformation() + RunningMutualInformation()
    both = ClassifierEntropy() + ClassifierEntropy(LABELED)
    assert [part.term.key for part in both.parts] == [
        "unlabeled/classifier_entropy",
        "labeled/classifier_entropy",
    ]


def test_a_weight_may_ramp_and_is_scaled_and_negated_with_its_sum() -> None:
    """The weight at a fraction of training; two ramps that would multiply are an error."""
    model, batch = small_m2(Factorized(), Bernoulli()), some_batch()
    streams = streams_of(model, batch[LABELED], batch[UNLABELED].x)
    ramp = Ramp(0.0, 4.0, until=0.5)
    total = 0.5 * (PriorKL() - ramp * ClassifierEntropy())
    for fraction, weight in ((0.0, 0.0), (0.25, 2.0), (1.0, 4.0)):
        result = evaluate(total, model, streams, state_at(fraction))
        prior, entropy = result.terms.values()
        torch.testing.assert_close(result.value.detach(), 0.5 * (prior - weight * entropy))
    with pytest.raises(ValueError, match="ramps inside a sum that ramps"):
        ramp * total


def test_terms_are_values() -> None:
    """Equal arguments make equal, hashable terms, so that objectives can be compared and
    cached."""
    assert ELBO(UNLABELED, Enumerated()) == ELBO(UNLABELED, Enumerated())
    assert hash(2.0 * ForwardLabelKL(0.1)) == hash(2.0 * ForwardLabelKL(0.1))
    assert ForwardLabelKL(0.1) != ForwardLabelKL(0.2)
