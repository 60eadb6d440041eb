"""diagnostics.py against quadrature (math.md V7) and a linear-Gaussian model with closed forms."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from semivae.bounds import bound, labeled_elbos
from semivae.diagnostics import (
    Encodings,
    Surgery,
    active_units,
    encode_set,
    evidence,
    inference_gap,
    surgery,
)
from semivae.information import entropy, kl
from semivae.labels import Enumerated, every_pair, one_pair_each
from semivae.likelihoods import FixedGaussian
from semivae.models.m2 import M2
from semivae.models.networks import MLP
from semivae.models.specs import Bernoulli, Conditional, Factorized, Family, M2Spec
from semivae.nets import Decoder, FullPrecisionLinear, LabelAware, SplitLinear
from semivae.noise import Noise

FAMILIES = pytest.mark.parametrize("family", [Factorized(), Conditional()])
LOG_PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()


def seeded(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


def small_model(family: Family) -> M2:
    spec = M2Spec(MLP(hidden=16, latent=3), family, Bernoulli())
    return spec.build((6,), torch.tensor([0.0, 0.3, -0.2, 0.1]), seed=1)


# ELBO surgery


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
        label_information=float((q_y * (q_y / all_y).log()).sum(1).mean()),
        marginal_label_kl=float((all_y * (all_y.log() - log_p_y)).sum()),
        joint_kl=divergence(joint, log_p_y.exp()[:, None] * p_z),
        joint_information=divergence(joint, all_joint),
        leakage=divergence(all_joint[None], all_y[:, None] * all_z),
        coupling=divergence(joint, q_y[..., None] * q_z[:, None]),
    )


def check_identities(parts: Surgery, tolerance: float) -> None:
    """The five identities in the docstring of `Surgery` (math.md 4)."""

    def close(a: float, b: float) -> bool:
        return a == pytest.approx(b, abs=tolerance)

    s = parts
    assert close(s.latent_kl, s.index_code_information + s.marginal_latent_kl)
    assert close(s.label_kl, s.label_information + s.marginal_label_kl)
    assert close(s.label_information, s.aggregate_entropy - s.classifier_entropy)
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
    assert blind.label_information == pytest.approx(math.log(4))

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
    monkeypatch.setattr("semivae.diagnostics.BLOCK_ELEMENTS", 7 * 50)
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


# Encodings and active units


@FAMILIES
def test_encode_set_is_each_row_s_posterior_in_every_class(family: Family) -> None:
    model, x = small_model(family), seeded(7, 6).float()
    encodings = encode_set(model, iter(x.split(3)))
    with torch.inference_mode():
        h = model.trunk(x)
        log_q = model.q_y(h).logits
        torch.testing.assert_close(encodings.log_q, log_q)
        expected = torch.zeros(7, 3)
        for k in range(4):
            label = torch.eye(4)[k].expand(7, 4)
            q_z = model.q_z(h, one_pair_each(log_q, label))
            of_class = k if model.q_z_sees_y else 0
            torch.testing.assert_close(encodings.mean[:, of_class], q_z.mean)
            torch.testing.assert_close(encodings.log_variance[:, of_class], q_z.log_variance)
            expected += log_q.exp()[:, k : k + 1] * q_z.mean
    assert encodings.mean.shape == (7, 4 if model.q_z_sees_y else 1, 3)
    torch.testing.assert_close(encodings.posterior_mean, expected)


def test_active_units_counts_means_that_vary() -> None:
    means = torch.stack([seeded(1000), 0.11 * seeded(1000), 0.09 * seeded(1000)], 1) + 5
    active, variances = active_units(means)
    assert active == 2
    torch.testing.assert_close(variances, means.var(0, correction=0))
    assert active_units(torch.ones(3, 2)) == (0, pytest.approx([0.0, 0.0]))


def test_eval_mode_inside_and_each_module_s_mode_after() -> None:
    model = small_model(Factorized())
    model.trunk = nn.Sequential(nn.Dropout(0.5), model.trunk)
    model.train()
    model.decoder.eval()
    modes = [module.training for module in model.modules()]
    x = [seeded(8, 6).float()]
    torch.testing.assert_close(encode_set(model, x).mean, encode_set(model, x).mean)
    torch.testing.assert_close(*(evidence(model, x, 2, seed=0).log_joint for _ in "ab"))
    assert inference_gap(model, x, seed=0) == inference_gap(model, x, seed=0)
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(RuntimeError):
        encode_set(model, [torch.zeros(2, 5)])
    assert [module.training for module in model.modules()] == modes
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


# Evidence and inference gap, on x = W z + V y + b + sigma n with orthogonal columns of W

SIGMA = 0.5


def linear_gaussian(mean_factor: float = 1.0, log_variance_shift: float = 0.0) -> M2:
    """M2 whose q(z|x, y) is the exact posterior, or that with its mean and variance moved."""
    W = torch.linalg.qr(seeded(4, 2, seed=11)).Q * torch.tensor([1.5, 0.7])
    V, b = seeded(4, 3, seed=12), seeded(4, seed=13)
    variance = 1 / (1 + W.square().sum(0) / SIGMA**2)
    A = variance[:, None] * W.t() / SIGMA**2  # the posterior mean is A (x - b - V y)
    decoder = Decoder(SplitLinear(2, 3, 4), nn.Identity(), nn.Identity())
    latent = LabelAware(SplitLinear(4, 3, 2), nn.Identity(), features=2, latent=2)
    model = M2(
        nn.Flatten(), FullPrecisionLinear(4, 3), latent, decoder, FixedGaussian(SIGMA), LOG_PRIOR
    ).double()
    values = {
        "decoder.first.of_a.weight": W,
        "decoder.first.of_a.bias": b,
        "decoder.first.of_y.weight": V,
        "latent.first.of_a.weight": A,
        "latent.first.of_a.bias": -A @ b,
        "latent.first.of_y.weight": -A @ V,
        "latent.mean.weight": mean_factor * torch.eye(2),
        "latent.mean.bias": torch.zeros(2),
        "latent.log_variance.weight": torch.zeros(2, 2),
        "latent.log_variance.bias": variance.log() + log_variance_shift,
    }
    model.load_state_dict(values, strict=False)
    return model


def exact_log_joint(model: M2, x: Tensor) -> Tensor:
    """log p(x, k) = log p(k) + log N(x; b + V_k, W W' + sigma^2 I), (N, K)."""
    first = model.decoder.first
    W, b, V = first.of_a.weight.detach(), first.of_a.bias.detach(), first.of_y.weight.detach()
    p_x = MultivariateNormal(b + V.t(), W @ W.t() + SIGMA**2 * torch.eye(4, dtype=b.dtype))
    return p_x.log_prob(x[:, None]) + LOG_PRIOR


def linear_data(model: M2, rows: int) -> Tensor:
    with torch.no_grad():
        y = torch.eye(3, dtype=torch.float64)[torch.arange(rows) % 3]
        return model.decode(seeded(rows, 2, seed=5), y) + SIGMA * seeded(rows, 4, seed=6)


def test_evidence_at_the_exact_posterior_is_the_evidence() -> None:
    model = linear_gaussian()
    x = linear_data(model, 30)
    exact = exact_log_joint(model, x)
    found = evidence(model, x.split(8), samples=1, seed=0)
    torch.testing.assert_close(found.log_joint, exact, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.log_p_x, exact.logsumexp(1))
    torch.testing.assert_close(found.class_probs, exact.softmax(1))
    y = torch.arange(30) % 3
    torch.testing.assert_close(found.log_p_xy(y), exact[torch.arange(30), y])
    assert found.mean == pytest.approx(float(exact.logsumexp(1).mean()))
    assert found.standard_error == pytest.approx(float(exact.logsumexp(1).std()) / math.sqrt(30))
    assert math.isnan(evidence(model, [x[:1]], samples=1, seed=0).standard_error)


def test_evidence_rises_to_the_exact_value_with_samples() -> None:
    model = linear_gaussian(mean_factor=0.7, log_variance_shift=0.5)
    x = linear_data(model, 400)
    exact = float(exact_log_joint(model, x).logsumexp(1).mean())
    with torch.inference_mode():
        noise = Noise(0, 0, (("x", 400),), x.device)
        encoded = model.encode(x, noise)
        draws = Enumerated()(encoded.q_y.logits, None, noise)
        elbo = float(bound(model, encoded, draws, noise.normal("z", 2).double()).value.mean())
    one, five, fifty, many = (evidence(model, [x], s, seed=0).mean for s in (1, 5, 50, 500))
    assert elbo < one < five < fifty < many < exact + 0.01
    assert many == pytest.approx(exact, abs=0.02)
    assert one < exact - 0.2


def test_evidence_is_a_function_of_seed_and_chunks_and_reports_progress() -> None:
    model, x = small_model(Factorized()), seeded(10, 6).sigmoid().float()
    progress: list[tuple[int, int]] = []
    first = evidence(
        model, x.split(4), 3, seed=0, on_chunk=lambda *done_of: progress.append(done_of)
    )
    assert progress == [(4, 10), (8, 10), (10, 10)]
    assert torch.equal(first.log_joint, evidence(model, x.split(4), 3, seed=0).log_joint)
    assert not torch.equal(first.log_joint, evidence(model, x.split(4), 3, seed=1).log_joint)
    same_rows = evidence(model, [x[:4], x[:4]], 3, seed=0).log_joint
    assert not torch.equal(same_rows[:4], same_rows[4:])  # chunks have noise of their own


def test_evidence_in_bfloat16_is_near_and_adds_up_in_float32() -> None:
    model, x = small_model(Conditional()), seeded(50, 6).sigmoid().float()
    full = evidence(model, [x], 20, seed=0)
    fast = evidence(model, [x], 20, seed=0, bfloat16=True)
    assert fast.log_joint.dtype == torch.float32
    assert not torch.equal(full.log_joint, fast.log_joint)
    torch.testing.assert_close(full.log_joint, fast.log_joint, atol=0.05, rtol=0)


def test_inference_gap_of_a_flat_classifier_is_that_of_the_exact_posterior() -> None:
    model = linear_gaussian()
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    x = linear_data(model, 12)
    log_posterior = exact_log_joint(model, x).log_softmax(1)
    uniform = torch.full_like(log_posterior, 1 / 3).log()
    gap = inference_gap(model, [x], seed=0, samples=400)
    assert gap.kl == pytest.approx(float(kl(uniform, log_posterior).mean()), abs=0.02)
    assert gap.model_entropy == pytest.approx(float(entropy(log_posterior).mean()), abs=0.02)


@FAMILIES
def test_inference_gap_is_what_the_bound_loses_to_the_classifier(family: Family) -> None:
    """U(x) = logsumexp_k ELBO(x, k) - KL(q(y|x) || softmax_k ELBO(x, k)) (math.md V2)."""
    model, x = small_model(family), seeded(9, 6).sigmoid().float()
    gap = inference_gap(model, [x], seed=4)
    with torch.inference_mode():
        noise = Noise(4, 0, (("inference gap", 9),), x.device)
        encoded, z_noise = model.encode(x, noise), noise.normal("z 0", 3)
        elbos = labeled_elbos(model, encoded, z_noise)
        unlabeled = bound(model, encoded, every_pair(encoded.q_y.logits), z_noise).value
    assert gap.kl == pytest.approx(float((elbos.logsumexp(1) - unlabeled).mean()), abs=1e-5)
    assert gap.model_entropy == pytest.approx(float(entropy(elbos.log_softmax(1)).mean()))
    chunked = inference_gap(model, x.split(5), seed=4, samples=3)
    assert chunked == inference_gap(model, iter(x.split(5)), seed=4, samples=3) != gap
