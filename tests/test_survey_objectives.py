"""objectives.py: what the paper prints and we do not recommend, by brute force on a toy model:
Kingma's J, 3.6 to the letter, the survey (8.6, 8.11), SHOT-VAE's script; their invariances."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from contracts import ReorderedClasses
from semivae.labels import Enumerated, Observed, Relaxed
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family
from semivae.objectives import (
    equation_8,
    kingma_2014,
    kingma_j,
    modified_elbo,
    optimized_elbo,
    optimized_elbo_literal,
    optimized_labeled,
    reverse_divergence,
    shot_mnist,
    survey3_j,
    tight_divergence,
)
from semivae.schedules import Ramp
from semivae.streams import LABELED, UNLABELED
from semivae.sums import Objective
from semivae.terms import MutualInformation, SmoothedPriorKL
from semivae.weighting import StreamWeights, balanced, dataset, sums
from tractable import (
    F64,
    LinearGaussianMixture,
    noise_of,
    one_hot,
    small_m2,
    some_images,
    some_x,
    state_at,
    streams_of,
)

N_L, N_U, K = 4, 5, 3
LABELS = [0, 2, 1, 1]
X, Y_L = some_x(N_L + N_U), one_hot(LABELS, K)
X_L, X_U = X[:N_L], X[N_L:]
ALPHA, BETA, GAMMA, EPSILON = 0.7, 0.3, 0.4, 0.05


def toy() -> LinearGaussianMixture:
    """Three classes, a prior that is not uniform, q(z|x) blind to y."""
    return LinearGaussianMixture(log_prior=torch.tensor([0.4, -0.3, 0.1], dtype=F64))


class Printed:
    """The symbols of the equations for the toy's x of a stream, class by class and without our
    bound: log p(x|z, k) (B, K), its squares, K_z, q and p(y), at the z that the stream draws."""

    def __init__(self, model: LinearGaussianMixture, stream: str, x: Tensor) -> None:
        with torch.no_grad():
            mean = x @ model.x_to_mean + model.mean
            scale = (0.5 * model.log_variance).exp()
            rows = {LABELED: N_L, UNLABELED: N_U}
            eps = noise_of(**rows).of(stream).normal("z", 2).double()
            z = mean + scale * eps
            decoded = z[:, None] @ model.W.t() + model.V
            self.squares = (x[:, None] - decoded).square().sum(2)
            self.log_p_x = Normal(decoded, model.sigma).log_prob(x[:, None]).sum(2)
            one = Normal(torch.zeros_like(mean), torch.ones_like(mean))
            posterior = Normal(mean, scale.expand_as(mean))
            self.K_z = torch.distributions.kl_divergence(posterior, one).sum(1)
            self.q = (x @ model.x_to_logits + model.logits).softmax(1)
            self.p = model.log_prior.exp()

    @property
    def elbos(self) -> Tensor:
        """ELBO(x, k), (B, K)."""
        return self.log_p_x - self.K_z[:, None] + self.p.log()

    @property
    def entropy(self) -> Tensor:
        return -(self.q * self.q.log()).sum(1)

    @property
    def U(self) -> Tensor:
        return (self.q * self.elbos).sum(1) + self.entropy

    @property
    def information(self) -> Tensor:
        """I(y; x) of the rows."""
        q_y = self.q.mean(0)
        return -(q_y * q_y.log()).sum() - self.entropy.mean()


def of_both() -> tuple[Printed, Printed]:
    return Printed(toy(), LABELED, X_L), Printed(toy(), UNLABELED, X_U)


def kl(q: Tensor, p: Tensor) -> Tensor:
    return (q * (q / p).log()).sum(1)


def loss_of(
    objective: Objective, model: LinearGaussianMixture | None = None, fraction: float = 0.0
) -> Tensor:
    model = model or toy()
    streams = streams_of(model, (X_L, Y_L), X_U)
    state = state_at(fraction, **objective.initial_buffers(model))
    return objective(model, streams, state).loss


def test_section_2_5_kingma_j_is_both_elbos_over_n() -> None:
    """J = sum_L ELBO(x, y) + sum_U U(x), over N = N_l + N_u."""
    labeled, unlabeled = of_both()
    J = (labeled.elbos * Y_L).sum() + unlabeled.U.sum()
    torch.testing.assert_close(loss_of(kingma_j(N_L, N_U)), -J / (N_L + N_U))
    # Kingma's J^alpha has 0.1 E_L[- log q(y|x)] on top.
    ce = -(Y_L * labeled.q.log()).sum(1).mean()
    torch.testing.assert_close(
        loss_of(kingma_2014(N_L, N_U)), loss_of(kingma_j(N_L, N_U)) + 0.1 * ce
    )


def test_section_3_6_literal_is_the_printed_sum() -> None:
    """sum_L [E_p_hat log p(x|z, y) - K_z - KL(q||p) - KL(q||p_hat)] + sum_U [U + gamma I - beta H]
    + alpha E_L[- log q(y|x)], all signs as they stand."""
    labeled, unlabeled = of_both()
    p_hat = torch.where(Y_L > 0, 1 - EPSILON, EPSILON / (K - 1))
    optimized = (p_hat * labeled.log_p_x).sum(1) - labeled.K_z
    optimized = optimized - kl(labeled.q, labeled.p) - kl(labeled.q, p_hat)
    M = unlabeled.U + GAMMA * unlabeled.information - BETA * unlabeled.entropy
    ce = -(Y_L * labeled.q.log()).sum(1)
    J = optimized.sum() + M.sum() + ALPHA * ce.mean()
    literal = optimized_elbo_literal(
        ALPHA, BETA, GAMMA, EPSILON, N_L, N_U, information=MutualInformation
    )
    torch.testing.assert_close(loss_of(literal), -J)


def test_section_3_6_literal_alpha_unlearns_the_label() -> None:
    """V5s: dloss/dlogit_y = alpha (1 - q_y) = +0.9 at a uniform q of ten classes, where Eq 8 has
    -0.9: a step down the loss lowers q(y|x), and nothing stops it."""
    x, y = some_x(1), one_hot([3], 10)
    gradients = []
    for alpha in (0.0, 1.0):
        model = LinearGaussianMixture(classes=10)
        with torch.no_grad():
            model.x_to_logits.zero_(), model.logits.zero_()
        literal = optimized_elbo_literal(alpha, 0.0, 0.0, 1e-3, n_labeled=1, n_unlabeled=0)
        labeled = Objective(literal.labeled, None)
        labeled(model, streams_of(model, (x, y)), state_at()).loss.backward()
        gradients.append(model.logits.grad)
    by_alpha = gradients[1] - gradients[0]
    assert by_alpha[3].item() == pytest.approx(0.9)
    torch.testing.assert_close(by_alpha, y[0] - 0.1)


def test_section_3_6_literal_needs_smoothing() -> None:
    """KL(q || p_hat) is infinite at epsilon = 0."""
    with pytest.raises(ValueError, match="give epsilon > 0"):
        optimized_elbo_literal(ALPHA, BETA, GAMMA, 0.0, N_L, N_U)


@pytest.mark.parametrize("weighting", [balanced, dataset, sums])
def test_section_8_6_modified_elbo_by_brute_force(weighting: type) -> None:
    """ELBO(x, y) - alpha KL(p_hat || q) on labels; U(x) without."""
    labeled, unlabeled = of_both()
    weights = weighting(N_L, N_U)
    p_hat = torch.where(Y_L > 0, 1 - EPSILON, EPSILON / (K - 1))
    modified = (labeled.elbos * Y_L).sum(1) - ALPHA * kl(p_hat, labeled.q)
    J = weights.labeled * modified.mean() + weights.unlabeled * unlabeled.U.mean()
    torch.testing.assert_close(loss_of(modified_elbo(ALPHA, EPSILON, weights=weights)), -J)


def test_section_8_11_survey3_j_by_brute_force() -> None:
    """Eq 5: sum_L ELBO(x, y) + sum_U [ELBO(x) + gamma I - beta H]; `dataset` is that over N."""
    labeled, unlabeled = of_both()
    M = unlabeled.U + GAMMA * unlabeled.information - BETA * unlabeled.entropy
    J = (labeled.elbos * Y_L).sum() + M.sum()
    for weighting, over in ((sums, 1), (dataset, N_L + N_U)):
        objective = survey3_j(
            BETA, GAMMA, information=MutualInformation, weights=weighting(N_L, N_U)
        )
        torch.testing.assert_close(loss_of(objective), -J / over)


@pytest.mark.parametrize("objective", [survey3_j(BETA, GAMMA), kingma_j(N_L, N_U)], ids=["8", "2"])
def test_without_a_classifier_term_no_label_teaches_the_classifier(objective: Objective) -> None:
    """q(y|x) does not appear in ELBO(x, y)."""
    model = toy()
    labeled = Objective(objective.labeled, None)
    labeled(model, streams_of(model, (X_L, Y_L)), state_at()).loss.backward()
    assert model.logits.grad is None and model.x_to_logits.grad is None
    assert model.V.grad is not None and model.V.grad.any()


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.9])
def test_shot_mnist_is_its_published_loss(fraction: float) -> None:
    """||x - x_hat||^2 + 30 |C_z - mean K_z| + 30 |C_y - mean K_y| + 50 BCE, with the squares of
    pixels in [-1, 1]: a Gaussian of sigma^2 = 1/8 for those in [0, 1]."""
    model = LinearGaussianMixture(sigma=8**-0.5)
    rising = Ramp(0.0, 17.5, 0.2), Ramp(0.0, 17.0, 0.2)
    objective = shot_mnist(50.0, *rising, 30.0, labels=Enumerated())
    C_z, C_y = (end * min(1.0, fraction / 0.2) for end in (17.5, 17.0))
    C_y = min(C_y, math.log(K))
    cost = torch.zeros((), dtype=F64)
    P = X.shape[1]
    constant = -0.5 * P * math.log(2 * math.pi / 8)
    for stream, x in ((LABELED, X_L), (UNLABELED, X_U)):
        by = Printed(model, stream, x)
        weight = Y_L if stream == LABELED else by.q
        squares = (weight * (4 * by.squares)).sum(1).mean()  # of the pixels 2 x - 1
        uniform = torch.full_like(by.q, 1 / K)
        gaps = (C_z - by.K_z.mean()).abs() + (C_y - kl(by.q, uniform).mean()).abs()
        cost = cost + squares + 30 * gaps - constant
    q = Printed(model, LABELED, X_L).q
    cost = cost + 50 * torch.nn.functional.binary_cross_entropy(q, Y_L)
    torch.testing.assert_close(loss_of(objective, model, fraction), cost)


# Reductions and invariances.


def test_unified_without_its_additions_is_kingma_s_j() -> None:
    """alpha = beta = gamma = epsilon = 0 and the tight divergence with lambda = 0: J, to 1e-12."""
    bare = optimized_elbo(
        0.0, 0.0, 0.0, 0.0,
        label_divergence=lambda epsilon: 1.0 * SmoothedPriorKL(epsilon),
        weights=dataset(N_L, N_U),
    )  # fmt: skip
    torch.testing.assert_close(loss_of(bare), loss_of(kingma_j(N_L, N_U)), rtol=1e-12, atol=0)


def test_the_survey_s_objectives_reduce_to_eq_8() -> None:
    """8.6 at epsilon = 0 is Eq 8; 8.11 at beta = gamma = 0 is Eq 8 at alpha = 0."""
    for weights in (balanced(N_L, N_U), dataset(N_L, N_U)):
        torch.testing.assert_close(
            loss_of(modified_elbo(ALPHA, 0.0, weights=weights)),
            loss_of(equation_8(ALPHA, weights=weights)),
        )
        torch.testing.assert_close(
            loss_of(survey3_j(0.0, 0.0, weights=weights)),
            loss_of(equation_8(0.0, weights=weights)),
        )


def test_3_6_literal_is_ours_but_for_its_contradictions() -> None:
    """With alpha = 0, and the sums, the divergence and the decoding of 3.6 in ours, they agree."""
    literal = optimized_elbo_literal(0.0, BETA, GAMMA, 1e-9, N_L, N_U)
    ours = optimized_elbo(
        0.0, BETA, GAMMA, 1e-9, label_divergence=reverse_divergence, weights=sums(N_L, N_U)
    )
    torch.testing.assert_close(loss_of(literal), loss_of(ours), rtol=1e-7, atol=1e-6)


def test_the_tight_divergence_stays_below_the_elbo_but_for_h_p_hat() -> None:
    """Decoding the label alone it exceeds ELBO(x, y) by at most H(p_hat); never at epsilon = 0."""
    uniform = LinearGaussianMixture()
    elbo = (Printed(uniform, LABELED, X_L).elbos * Y_L).sum(1).mean()
    for epsilon in (0.0, 1e-3, 0.1):
        p_hat = torch.tensor([1 - epsilon, *[epsilon / (K - 1)] * (K - 1)], dtype=F64)
        entropy = torch.special.entr(p_hat).sum()
        tight = Objective(optimized_labeled(epsilon, tight_divergence).labeled, None)
        value = -tight(uniform, streams_of(uniform, (X_L, Y_L), X_U), state_at()).loss
        assert value <= elbo + entropy + 1e-12


EVERY = {
    "kingma_j": kingma_j(6, 8),
    "optimized_elbo_literal": optimized_elbo_literal(ALPHA, BETA, GAMMA, EPSILON, 6, 8),
    "modified_elbo": modified_elbo(ALPHA, EPSILON),
    "survey3_j": survey3_j(BETA, GAMMA),
    "shot_mnist": shot_mnist(50.0, 5.0, 1.0, 30.0, labels=Enumerated()),
    "tight": optimized_elbo(ALPHA, BETA, GAMMA, EPSILON, label_divergence=tight_divergence),
}


@pytest.mark.parametrize("family", [Factorized(), Conditional()], ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_renaming_the_classes_changes_no_objective(name: str, family: Family) -> None:
    """Logits, labels, prior and decoder columns reordered together leave J alone; so does a
    constant added to the logits."""
    model, order, objective = small_m2(family, Bernoulli()), [2, 0, 3, 1], EVERY[name]
    x_l, x_u, y = some_images(6), some_images(8, seed=8), one_hot([0, 2, 1, 1, 3, 0], 4)

    def loss(model: object, y: Tensor) -> Tensor:
        state = state_at(**objective.initial_buffers(model))
        return objective(model, streams_of(model, (x_l, y), x_u), state).loss

    before = loss(model, y)
    torch.testing.assert_close(loss(ReorderedClasses(model, order), y[:, order]), before)
    with torch.no_grad():
        model.classifier.bias.add_(3.0)
    torch.testing.assert_close(loss(model, y), before)


@pytest.mark.parametrize(
    ("objective", "weights"),
    [(kingma_j(N_L, N_U), dataset(N_L, N_U)), (survey3_j(BETA, GAMMA), balanced(N_L, N_U))],
    ids=["kingma_j", "survey3_j"],
)
def test_one_class_is_m1(objective: Objective, weights: StreamWeights) -> None:
    """K = 1: every bound is the VAE's, log p(x|z) - K_z, and no term of the label is left."""
    model = LinearGaussianMixture(classes=1)
    y = one_hot([0] * N_L, 1)
    state = state_at(**objective.initial_buffers(model))
    loss = objective(model, streams_of(model, (X_L, y), X_U), state).loss
    J = torch.zeros((), dtype=F64)
    for weight, stream, x in zip(weights, (LABELED, UNLABELED), (X_L, X_U), strict=True):
        by = Printed(model, stream, x)
        J = J + weight * (by.log_p_x[:, 0] - by.K_z).mean()
    torch.testing.assert_close(loss, -J)


def test_the_rule_for_y_is_the_one_given() -> None:
    """Gumbel-Softmax in place of the sum, on unlabeled rows alone."""
    rule = Relaxed(0.4)
    for objective in (
        kingma_j(N_L, N_U, rule),
        modified_elbo(ALPHA, EPSILON, rule),
        survey3_j(BETA, GAMMA, rule),
        shot_mnist(50.0, 5.0, 1.0, 30.0, rule),
    ):
        rules = {
            part.term.stream: part.term.rule
            for total in objective.sums
            for part in total.parts
            if hasattr(part.term, "rule")
        }
        assert rules == {LABELED: Observed(), UNLABELED: rule}
