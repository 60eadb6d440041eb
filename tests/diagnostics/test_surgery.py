"""ELBO surgery against quadrature (V7), and against the estimates that it replaces."""

import math

import pytest
import torch
from closed_forms import LOG_PRIOR, seeded, small_model
from torch import Tensor, nn

from semivae.diagnostics.encodings import Encodings, encode_set
from semivae.diagnostics.surgery import Surgery, surgery
from semivae.models.specs import Conditional
from semivae.nets import LabelAware


def one_dimensional(components: int) -> Encodings:
    """Five rows, three classes, one latent dimension; overlapping Gaussians."""
    log_q = (1.5 * seeded(5, 3, seed=1)).log_softmax(1)
    mean = 1.2 * seeded(5, components, 1, seed=2) + 0.3
    return Encodings(log_q, mean, -1.0 + 0.5 * seeded(5, components, 1, seed=3))


def quadrature(encodings: Encodings, log_prior: Tensor) -> Surgery:
    """Every part by its definition, as an integral over a fine grid of z."""
    z = torch.linspace(-15, 15, 60_001, dtype=torch.float64)
    mean, log_variance = (part.expand(-1, 3, 1) for part in encodings[1:])  # (N, K, 1)
    log_density = -0.5 * (
        (z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi)
    )
    joint = (encodings.log_q[..., None] + log_density).exp()  # q(y, z|x), (N, K, Z)
    p_z = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)

    def divergence(p: Tensor, q: Tensor) -> float:
        """KL(p || q) per row, over all other axes, as a mean over rows."""
        return float(torch.trapezoid(torch.xlogy(p, p / q), z).sum() / p.shape[0])

    q_y, q_z = encodings.log_q.exp(), joint.sum(1)  # (N, K), (N, Z)
    all_joint, all_y, all_z = joint.mean(0), q_y.mean(0), q_z.mean(0)
    log_p_y = log_prior.log_softmax(0)
    return Surgery(
        latent_kl=divergence(q_z, p_z),
        index_code_information=divergence(q_z, all_z),
        marginal_latent_kl=divergence(all_z[None], p_z),
        label_kl=float((q_y * (encodings.log_q - log_p_y)).sum(1).mean()),
        classifier_entropy=-float((q_y * encodings.log_q).sum(1).mean()),
        aggregate_entropy=-float((all_y * all_y.log()).sum()),
        mutual_information=float((q_y * (q_y / all_y).log()).sum(1).mean()),
        marginal_label_kl=float((all_y * (all_y.log() - log_p_y)).sum()),
        joint_kl=divergence(joint, log_p_y.exp()[:, None] * p_z),
        joint_information=divergence(joint, all_joint),
        leakage=divergence(all_joint[None], all_y[:, None] * all_z),
        coupling=divergence(joint, q_y[..., None] * q_z[:, None]),
    )


def check_identities(parts: Surgery, tolerance: float) -> None:
    """The five identities in the docstring of `Surgery`."""

    def close(a: float, b: float) -> bool:
        return a == pytest.approx(b, abs=tolerance)

    s = parts
    assert close(s.latent_kl, s.index_code_information + s.marginal_latent_kl)
    assert close(s.label_kl, s.mutual_information + s.marginal_label_kl)
    assert close(s.mutual_information, s.aggregate_entropy - s.classifier_entropy)
    marginals = s.marginal_label_kl + s.marginal_latent_kl
    assert close(s.joint_kl, s.joint_information + s.leakage + marginals)
    assert close(s.joint_kl, s.label_kl + s.latent_kl + s.coupling)


@pytest.mark.parametrize("components", [1, 3])
def test_v7_every_part_is_its_integral(components: int) -> None:
    encodings = one_dimensional(components)
    exact = quadrature(encodings, LOG_PRIOR)
    check_identities(exact, 1e-9)
    # 200 copies of each row change no part, and give as many draws to each mixture built.
    copies = Encodings(*(part.repeat(200, *[1] * (part.dim() - 1)) for part in encodings))
    estimate = surgery(copies, LOG_PRIOR, seed=0, samples=20)
    check_identities(estimate, 1e-12)
    assert estimate == pytest.approx(exact, abs=0.01)  # some 4 s.e. of 20,000 draws
    sampled = {"latent_kl", "index_code_information", "marginal_latent_kl"}
    sampled |= {"joint_information", "leakage", "coupling"}
    for name in set(Surgery._fields) - sampled:
        assert getattr(estimate, name) == pytest.approx(getattr(exact, name), abs=1e-9), name
    assert exact.leakage > 0.03
    assert exact.index_code_information > 0.2
    assert (estimate.coupling > 0.05) == (components == 3)


def test_parts_at_their_ends() -> None:
    log_q = torch.eye(4, dtype=torch.float64).repeat(5, 1).log()  # certain: zero probabilities
    uniform = torch.full((4,), 0.25, dtype=torch.float64).log()
    flat = torch.zeros(20, 1, 2, dtype=torch.float64)

    blind = surgery(Encodings(log_q, flat + 0.5, flat - 1), uniform, seed=0)
    assert blind.leakage == pytest.approx(0, abs=1e-12)
    assert blind.index_code_information == pytest.approx(0, abs=1e-12)
    assert blind.marginal_latent_kl == pytest.approx(blind.latent_kl, abs=1e-12)
    assert blind.mutual_information == pytest.approx(math.log(4))

    by_class = (30.0 * log_q.argmax(1).double())[:, None, None] + flat
    telling = surgery(Encodings(log_q, by_class, flat), uniform, seed=0)
    assert telling.leakage == pytest.approx(math.log(4))
    assert telling.index_code_information == pytest.approx(math.log(4))

    apart = 30.0 * torch.arange(20, dtype=torch.float64)[:, None, None] + flat
    unique = surgery(Encodings(log_q, apart, flat), uniform, seed=0)
    assert unique.index_code_information == pytest.approx(math.log(20))


def test_blocks_and_precision_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings = Encodings(
        seeded(50, 3).log_softmax(1), 3 * seeded(50, 1, 4, seed=1), seeded(50, 1, 4, seed=2) - 9
    )
    whole = surgery(encodings, LOG_PRIOR, seed=3)
    monkeypatch.setattr("semivae.diagnostics.surgery.BLOCK_ELEMENTS", 7 * 50)
    assert surgery(encodings, LOG_PRIOR, seed=3) == pytest.approx(whole, abs=1e-9)
    single = Encodings(*(part.float() for part in encodings))
    assert surgery(single, LOG_PRIOR.float(), seed=3) == pytest.approx(whole, abs=1e-4)


def test_surgery_is_a_function_of_its_seed() -> None:
    encodings = one_dimensional(3)
    once = surgery(encodings, LOG_PRIOR, seed=5)
    assert surgery(encodings, LOG_PRIOR, seed=5) == once
    assert surgery(encodings, LOG_PRIOR, seed=6).leakage != once.leakage


def test_conditional_family_blind_to_y_is_the_factorized_one() -> None:
    model = small_model(Conditional())
    assert isinstance(model.latent, LabelAware)
    nn.init.zeros_(model.latent.first.of_y.weight)
    seeing = encode_set(model, [seeded(40, 6).float()])
    blind = seeing._replace(mean=seeing.mean[:, :1], log_variance=seeing.log_variance[:, :1])
    torch.testing.assert_close(seeing.posterior_mean, blind.posterior_mean)
    prior = model.p_y().logits.detach()
    assert surgery(seeing, prior, 0) == pytest.approx(surgery(blind, prior, 0), abs=1e-9)


# A known mixture, and what the estimates from minibatches make of it

ROWS, BATCH, SD = 2000, 32, 0.2
MEASURED = {"mss": 0.167, "naive": -0.110, "mws": 7.491}  # estimate less truth, of 1.629 nats


def gaussian_quantiles() -> Tensor:
    """Means (N,) that are as N(0, 1): the mixture of N(mean, SD^2) is N(0, 1 + SD^2)."""
    return torch.special.ndtri((torch.arange(ROWS, dtype=torch.float64) + 0.5) / ROWS)


def log_densities(z: Tensor, mean: Tensor) -> Tensor:
    """log N(z_i; mean_j, SD^2)."""
    square = ((z[:, None] - mean) / SD).square()
    return -0.5 * square - math.log(SD) - 0.5 * math.log(2 * math.pi)


def minibatch_estimates(mean: Tensor, batches: int) -> dict[str, float]:
    """I(n; z) with log q(z_i) from a batch of B of the N rows, by estimator; l_ij = log q(z_i|j).

    `mss` weighs row i with 1/N and the others evenly (unbiased before the logarithm); `strided`
    is the widely copied form of it whose stride fills the first column and not the diagonal.
    """
    N, B = ROWS, BATCH
    even = torch.full((B, B), (N - 1) / (N * (B - 1)), dtype=torch.float64)
    even.fill_diagonal_(1 / N)
    strided = torch.full((B, B), 1 / (B - 1), dtype=torch.float64)
    strided.view(-1)[::B] = 1 / N  # M + 1 with M = B - 1, as it is written there
    strided.view(-1)[1::B] = (N - B + 1) / (N * (B - 1))
    assert (strided[:, 0] == 1 / N).all()
    assert (strided.diagonal() == 1 / N).sum() == 1
    torch.testing.assert_close(even.sum(1), torch.ones(B, dtype=torch.float64))
    source = torch.Generator().manual_seed(0)
    found: dict[str, list[Tensor]] = {}
    for _ in range(batches):
        batch = mean[torch.randperm(N, generator=source)[:B]]
        z = batch + SD * torch.randn(B, generator=source, dtype=torch.float64)
        log_q = log_densities(z, batch)
        for name, log_mixture in (
            ("mss", torch.logsumexp(log_q + even.log(), 1)),
            ("strided", torch.logsumexp(log_q + strided.log(), 1)),
            ("naive", torch.logsumexp(log_q, 1) - math.log(B)),
            ("mws", torch.logsumexp(log_q, 1) - math.log(N * B)),
        ):
            found.setdefault(name, []).append((log_q.diagonal() - log_mixture).mean())
    return {name: float(torch.stack(values).mean()) for name, values in found.items()}


def test_v7_the_full_mixture_gives_the_known_information_and_no_minibatch_does() -> None:
    """1/2 log(1 + 1/SD^2) = 1.629 in the limit of N; 4 s.e. of 400 batches are 0.03."""
    mean = gaussian_quantiles()
    grid = torch.linspace(-6, 6, 6001, dtype=torch.float64)
    log_q = log_densities(grid, mean)
    log_mixture = torch.logsumexp(log_q, 1) - math.log(ROWS)
    integrand = (log_q.exp() * (log_q - log_mixture[:, None])).mean(1)
    exact = float(torch.trapezoid(integrand, grid))
    assert exact == pytest.approx(0.5 * math.log(1 + 1 / SD**2), abs=0.002)

    log_y = torch.zeros(ROWS, 2, dtype=torch.float64).log_softmax(1)
    log_variance = torch.full((ROWS, 1, 1), 2 * math.log(SD), dtype=torch.float64)
    encodings = Encodings(log_y, mean[:, None, None], log_variance)
    full = surgery(encodings, log_y[0], seed=0, samples=10)
    assert full.index_code_information == pytest.approx(exact, abs=0.02)
    v = 1 + SD**2
    of_the_mixture = 0.5 * (v - 1 - math.log(v))  # KL(N(0, v) || N(0, 1))
    assert full.marginal_latent_kl == pytest.approx(of_the_mixture, abs=0.02)

    batches = minibatch_estimates(mean, 400)
    assert batches["mss"] - exact == pytest.approx(MEASURED["mss"], abs=0.03)
    assert batches["naive"] - exact == pytest.approx(MEASURED["naive"], abs=0.03)
    assert batches["mws"] - exact == pytest.approx(MEASURED["mws"], abs=0.03)
    assert batches["strided"] == pytest.approx(batches["naive"], abs=0.01)
