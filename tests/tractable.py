"""Models whose evidence, posterior and bounds have closed forms, and small ones to compute with.

Everything is float64. `over_z` replaces the Monte-Carlo average over z by an exact one, so that
identities of expectations are tested to rounding error; `Grid` integrates over z by brute force.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, MultivariateNormal, Normal

from semivae.distributions import DiagonalGaussian, StandardGaussian, categorical
from semivae.label_draws import LabelDraws
from semivae.models.densities import DensityModel, Encoded
from semivae.models.m2 import M2
from semivae.models.networks import MLP
from semivae.models.specs import Family, LikelihoodSpec, M2Spec
from semivae.noise import Noise
from semivae.streams import LABELED, UNLABELED, Rows, StepState, Streams
from semivae.sums import Objective

CPU = torch.device("cpu")
F64 = torch.float64


class LinearGaussianMixture(nn.Module):
    """p(y) N(z; 0, I) N(x; W z + V_y, sigma^2 I), with q(y|x) and q(z|x) linear in x.

    The columns of W are orthogonal, so that p(z|x, y) is diagonal and linear in x and y, as p(y|x)
    is log-linear in x: the exact posterior of the conditional family is a choice of its weights.
    """

    q_z_sees_y = False

    def __init__(
        self,
        classes: int = 3,
        latent: int = 2,
        pixels: int = 5,
        sigma: float = 0.7,
        log_prior: Tensor | None = None,
    ) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(11)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw, dtype=F64)

        orthogonal = torch.linalg.qr(normal(pixels, latent)).Q
        self.W = nn.Parameter(orthogonal * torch.linspace(0.8, 1.6, latent, dtype=F64))
        self.V = nn.Parameter(0.8 * normal(classes, pixels))
        self.log_sigma = nn.Parameter(torch.tensor(sigma, dtype=F64).log())
        uniform = torch.zeros(classes, dtype=F64)
        self.register_buffer(
            "log_prior", (uniform if log_prior is None else log_prior).log_softmax(0)
        )
        # q, at first away from any optimum.
        self.x_to_logits = nn.Parameter(0.5 * normal(pixels, classes))
        self.logits = nn.Parameter(0.5 * normal(classes))
        self.x_to_mean = nn.Parameter(0.3 * normal(pixels, latent))
        self.mean = nn.Parameter(0.3 * normal(latent))
        self.log_variance = nn.Parameter(-1.0 + 0.3 * normal(latent))

    # The densities.

    @property
    def latent_size(self) -> int:
        return self.W.shape[1]

    @property
    def classes(self) -> int:
        return self.V.shape[0]

    @property
    def sigma(self) -> Tensor:
        return self.log_sigma.exp()

    def encode(self, x: Tensor, noise: Noise) -> Encoded:
        h = noise.seen(x)
        return Encoded(x, h, self.q_y(h), None, torch.zeros(len(x), dtype=F64))

    def classify(self, x: Tensor, noise: Noise) -> Categorical:
        return self.encode(x, noise).q_y

    def redraw(self, encoded: Encoded, noise: Noise, number: int) -> Encoded:
        return encoded

    def features(self, x: Tensor) -> Tensor:
        return x

    def q_y(self, h: Tensor) -> Categorical:
        return categorical(h @ self.x_to_logits + self.logits)

    def q_z(self, h: Tensor, draws: LabelDraws) -> DiagonalGaussian:
        mean = h @ self.x_to_mean + self.mean
        return DiagonalGaussian(mean, self.log_variance.expand_as(mean))

    def p_y(self) -> Categorical:
        return categorical(self.log_prior)

    def p_z(self, y: Tensor) -> Distribution:
        return StandardGaussian(len(y), self.latent_size, y.device, y.dtype)

    def p_x(self, z: Tensor, draws: LabelDraws) -> Distribution:
        mean = z[draws.row] @ self.W.t() + draws.y @ self.V
        return Independent(Normal(mean, self.sigma), 1)

    def log_likelihood(self, encoded: Encoded, z: Tensor, draws: LabelDraws) -> Tensor:
        return self.p_x(z, draws).log_prob(encoded.x[draws.row])

    def predictive(self, h: Tensor) -> Categorical:
        return self.q_y(h)

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.predictive(x).probs

    # The closed forms.

    def class_q_z(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x, k) for every class k, (B, K, D)."""
        mean = (x @ self.x_to_mean + self.mean)[:, None].expand(-1, self.classes, -1)
        return mean, self.log_variance.exp().expand_as(mean)

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, k), (B, K)."""
        covariance = self.W @ self.W.t() + self.sigma.square() * torch.eye(len(self.W), dtype=F64)
        return MultivariateNormal(self.V, covariance).log_prob(x[:, None]) + self.log_prior

    def elbos(self, x: Tensor) -> Tensor:
        """E_L(x, k) for every class k, (B, K)."""
        return self.reconstructions(x) - self.latent_kls(x) + self.log_prior

    def reconstructions(self, x: Tensor) -> Tensor:
        """E_q(z|x, k) log p(x|z, k) for every class k, (B, K)."""
        mean, variance = self.class_q_z(x)
        error = x[:, None] - mean @ self.W.t() - self.V
        square = error.square().sum(-1) + (variance * self.W.square().sum(0)).sum(-1)
        constant = 0.5 * len(self.W) * torch.log(2 * math.pi * self.sigma.square())
        return -0.5 * square / self.sigma.square() - constant

    def latent_kls(self, x: Tensor) -> Tensor:
        """KL(q(z|x, k) || p(z)) for every class k, (B, K)."""
        mean, variance = self.class_q_z(x)
        return 0.5 * (mean.square() + variance - 1 - variance.log()).sum(-1)

    # The optima.

    @torch.no_grad()
    def take_exact_classifier(self) -> None:
        """Sets q(y|x) to p(y|x)."""
        covariance = self.W @ self.W.t() + self.sigma.square() * torch.eye(len(self.W), dtype=F64)
        precise = torch.linalg.solve(covariance, self.V.t())
        self.x_to_logits.copy_(precise)
        self.logits.copy_(self.log_prior - 0.5 * (self.V * precise.t()).sum(1))

    @torch.no_grad()
    def take_mean_field(self, x: Tensor) -> None:
        """Sets q(y|x) q(z|x) to the best factorized one at a single x (P,), by its fixed point."""
        variance = 1 / (1 + self.W.square().sum(0) / self.sigma.square())
        self.log_variance.copy_(variance.log())
        self.x_to_logits.zero_()
        self.x_to_mean.zero_()
        self.logits.copy_(self.log_joint(x[None])[0].log_softmax(0))
        for _ in range(2000):
            centre = self.logits.exp() @ self.V
            self.mean.copy_(variance * ((x - centre) @ self.W) / self.sigma.square())
            self.logits.copy_(self.elbos(x[None])[0].log_softmax(0))


class ConditionalMixture(LinearGaussianMixture):
    """The same model with Kingma's q(z|x, y), linear in x and y."""

    q_z_sees_y = True

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        draw = torch.Generator().manual_seed(12)
        shape = (self.classes, self.latent_size)
        self.y_to_mean = nn.Parameter(0.4 * torch.randn(shape, generator=draw, dtype=F64))
        self.y_to_log_variance = nn.Parameter(0.4 * torch.randn(shape, generator=draw, dtype=F64))

    def q_z(self, h: Tensor, draws: LabelDraws) -> DiagonalGaussian:
        mean = (h @ self.x_to_mean + self.mean)[draws.row] + draws.y @ self.y_to_mean
        return DiagonalGaussian(mean, self.log_variance + draws.y @ self.y_to_log_variance)

    def p_x(self, z: Tensor, draws: LabelDraws) -> Distribution:
        return Independent(Normal(z @ self.W.t() + draws.y @ self.V, self.sigma), 1)

    def class_q_z(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x @ self.x_to_mean + self.mean)[:, None] + self.y_to_mean
        return mean, (self.log_variance + self.y_to_log_variance).exp().expand_as(mean)

    @torch.no_grad()
    def take_exact_latent(self) -> None:
        """Sets q(z|x, y) to p(z|x, y)."""
        variance = 1 / (1 + self.W.square().sum(0) / self.sigma.square())
        self.x_to_mean.copy_(self.W * variance / self.sigma.square())
        self.mean.zero_()
        self.y_to_mean.copy_(-self.V @ self.x_to_mean)
        self.log_variance.copy_(variance.log())
        self.y_to_log_variance.zero_()


FAMILIES = [LinearGaussianMixture, ConditionalMixture]


def some_x(rows: int, pixels: int = 5) -> Tensor:
    """Points (rows, pixels), the same at every call."""
    return 1.2 * torch.randn(rows, pixels, generator=torch.Generator().manual_seed(5), dtype=F64)


def noise_of(seed: int = 0, step: int = 0, **rows: int) -> Noise:
    """The noise of streams with so many rows each: `noise_of(labeled=3, unlabeled=5)`."""
    return Noise(seed, step, tuple(rows.items()), CPU)


def streams_of(
    model: M2 | LinearGaussianMixture,
    labeled: tuple[Tensor, Tensor] | None = None,
    unlabeled: Tensor | None = None,
    noise: Noise | None = None,
) -> Streams:
    """The streams of a step from (x, y one-hot) and x; the noise is keyed by 0 unless given."""
    batch = {}
    if labeled is not None:
        batch[LABELED] = Rows(*labeled)
    if unlabeled is not None:
        batch[UNLABELED] = Rows(unlabeled, None)
    if noise is None:
        noise = noise_of(**{name: len(rows.x) for name, rows in batch.items()})
    return Streams(model, batch, noise, model.latent_size)


class FixedStreams(Streams):
    """Streams of which only q(y|x), and y where there is one, is given: for the classifier's
    terms."""

    def __init__(self, **streams: tuple[Tensor, Tensor | None]) -> None:
        self.bounds = {}
        self.noise = noise_of(**{name: len(logits) for name, (logits, _) in streams.items()})
        self._encoded = {
            name: Encoded(logits, logits, categorical(logits), y, torch.zeros(len(logits)))
            for name, (logits, y) in streams.items()
        }


def state_at(fraction: float = 0.0, step: int = 0, **buffers: Tensor) -> StepState:
    """The state of a step."""
    return StepState(step, fraction, buffers)


def over_z(
    model: DensityModel, x: Tensor, quantity: Callable[[Encoded, Tensor], Tensor]
) -> Tensor:
    """E over z of quantity(encoded, noise), exact where it is at most cubic in the noise.

    The 2 D points +- sqrt(D) e_d have the moments of N(0, I) up to the third.
    """
    encoded = model.encode(x, noise_of(unlabeled=len(x)))
    identity = math.sqrt(model.latent_size) * torch.eye(model.latent_size, dtype=F64)
    values = [quantity(encoded, p.expand(len(x), -1)) for p in (*identity, *-identity)]
    return torch.stack(values).mean(0)


class Grid:
    """Sums over a fine grid of z (D = 2), which stand for integrals to about 1e-10."""

    def __init__(self, model: LinearGaussianMixture) -> None:
        axis = torch.linspace(-9, 9, 361, dtype=F64)
        self.z = torch.cartesian_prod(axis, axis)
        self.log_cell = 2 * (axis[1] - axis[0]).log()
        self.model = model

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, k, z) at every point of the grid, (B, K, points)."""
        m = self.model
        mean = self.z @ m.W.t() + m.V[:, None]  # (K, points, P)
        log_p_x = Normal(mean, m.sigma).log_prob(x[:, None, None]).sum(-1)
        log_p_z = Normal(0.0, 1.0).log_prob(self.z).sum(-1)
        return log_p_x + log_p_z + m.log_prior[:, None]

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x), (B,)."""
        return torch.logsumexp(self.log_joint(x).flatten(1), 1) + self.log_cell

    def bound(self, x: Tensor) -> Tensor:
        """U(x) = E_q(y, z|x)[log p(x, y, z) - log q(y, z|x)], (B,)."""
        mean, variance = self.model.class_q_z(x)
        q_z = Normal(mean[:, :, None], variance.sqrt()[:, :, None])
        log_q = q_z.log_prob(self.z).sum(-1) + self.model.q_y(x).logits[:, :, None]
        weight = (log_q + self.log_cell).exp()
        return (weight * (self.log_joint(x) - log_q)).sum((1, 2))

    def divergence(self, x: Tensor) -> Tensor:
        """KL(q(y, z|x) || p(y, z|x)), (B,)."""
        mean, variance = self.model.class_q_z(x)
        q_z = Normal(mean[:, :, None], variance.sqrt()[:, :, None])
        log_q = q_z.log_prob(self.z).sum(-1) + self.model.q_y(x).logits[:, :, None]
        log_posterior = self.log_joint(x) - self.log_evidence(x)[:, None, None]
        return ((log_q + self.log_cell).exp() * (log_q - log_posterior)).sum((1, 2))


def small_m2(
    family: Family, likelihood: LikelihoodSpec, event: tuple[int, ...] = (6,), classes: int = 4
) -> M2:
    """A random float64 M2 of MLPs, with a non-uniform prior."""
    log_prior = torch.linspace(-0.6, 0.5, classes)
    spec = M2Spec(MLP(hidden=7, latent=3), family, likelihood)
    return spec.build(event, log_prior, seed=1).double()


def some_images(rows: int, event: tuple[int, ...] = (6,), seed: int = 3) -> Tensor:
    """Grey x in [0, 1], the same at every call."""
    return torch.rand(rows, *event, generator=torch.Generator().manual_seed(seed), dtype=F64)


def one_hot(labels: list[int], classes: int) -> Tensor:
    """Labels as one-hot float64 rows."""
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).to(F64)


def best_q(objective: Objective, label: int = 3) -> tuple[Tensor, Tensor]:
    """q(y|x) (K,) at the optimum over the logits of one labeled x, and the optimal J, z fixed."""
    model = LinearGaussianMixture(classes=10)
    with torch.no_grad():
        model.x_to_logits.zero_()
        model.logits.copy_(0.1 * torch.eye(10, dtype=F64)[label])
    optimizer = torch.optim.LBFGS(
        [model.logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    x, y = some_x(1), one_hot([label], 10)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(model, streams_of(model, (x, y)), state_at()).loss
        loss.backward()
        return loss

    optimizer.step(closure)
    return model.q_y(x).probs[0].detach(), -closure().detach()
