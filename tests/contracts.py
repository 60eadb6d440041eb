"""Laws that every model, likelihood and term keeps; a new one is one more parameter of the tests
that call these."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.distributions import Distribution

from semivae.bounds import bound, labeled_elbos
from semivae.information import kl
from semivae.label_draws import LabelDraws, LabelRule, every_pair
from semivae.labels import Enumerated, Observed
from semivae.likelihoods import Likelihood
from semivae.models.base import DeepGenerativeModel
from semivae.models.densities import DensityModel, Encoded
from semivae.noise import Noise
from semivae.streams import UNLABELED, Rows, StepState, Streams
from semivae.sums import Term, TermValue

CPU = torch.device("cpu")
F64 = torch.float64


@dataclass(frozen=True)
class ReorderedNoise(Noise):
    """The same noise with the rows of a stream and, where drawn per class, the columns in another
    order."""

    stream: str = ""
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()

    def _draw(self, purpose: str, sampler: Callable[..., Tensor], *event: int) -> Tensor:
        whole = super()._draw(purpose, sampler, *event)
        if self.columns and purpose == "y":
            whole = whole[:, list(self.columns)]
        parts = whole.split([n for _, n in self.streams])
        moved = [
            part[list(self.rows)] if name == self.stream else part
            for (name, _), part in zip(self.streams, parts, strict=True)
        ]
        return torch.cat(moved)


class ReorderedClasses:
    """A model that calls class `order[j]` of another model class j."""

    def __init__(self, model: DensityModel, order: list[int]) -> None:
        self.model, self.order = model, order
        self.back = torch.tensor(order).argsort()
        self.q_z_sees_y, self.latent_size = model.q_z_sees_y, model.latent_size

    def _draws(self, draws: LabelDraws) -> LabelDraws:
        return draws._replace(y=draws.y[:, self.back], log_pi=draws.log_pi[:, self.back])

    def encode(self, x: Tensor, noise: Noise) -> Encoded:
        encoded = self.model.encode(x, noise)
        return encoded._replace(q_y=self._categorical(encoded.q_y))

    def classify(self, x: Tensor, noise: Noise) -> torch.distributions.Categorical:
        return self._categorical(self.model.classify(x, noise))

    def redraw(self, encoded: Encoded, noise: Noise, number: int) -> Encoded:
        again = self.model.redraw(encoded, noise, number)
        return again if again is encoded else again._replace(q_y=self._categorical(again.q_y))

    def _categorical(self, q: torch.distributions.Categorical) -> torch.distributions.Categorical:
        return torch.distributions.Categorical(logits=q.logits[..., self.order])

    def q_z(self, h: Tensor, draws: LabelDraws) -> Distribution:
        return self.model.q_z(h, self._draws(draws))

    def p_y(self) -> torch.distributions.Categorical:
        return self._categorical(self.model.p_y())

    def p_z(self, y: Tensor) -> Distribution:
        return self.model.p_z(y[:, self.back])

    def log_likelihood(self, encoded: Encoded, z: Tensor, draws: LabelDraws) -> Tensor:
        return self.model.log_likelihood(encoded, z, self._draws(draws))


def close(a: Tensor, b: Tensor, what: str) -> None:
    """Fails with a sentence unless the float64 tensors agree to rounding error."""
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=lambda text: f"{what}: {text}")


def check_model(model: torch.nn.Module, x: Tensor) -> None:
    """The laws of a model on x (B, *X), B not K: shapes, gradients, permutations, identities,
    storage."""
    model, x = copy.deepcopy(model).double(), x.double()
    B, K, D = len(x), model.classes, model.latent_size
    assert B != K, "give a number of rows that is not the number of classes: reshapes must differ"
    noise = Noise(0, 0, ((UNLABELED, B),), CPU)
    z_noise = torch.randn(B, D, generator=torch.Generator().manual_seed(1), dtype=F64)
    y = torch.eye(K, dtype=F64)[torch.arange(B) % K]
    _check_shapes(model, x, noise, z_noise)
    _check_gradients(model, x, y, noise, z_noise)
    _check_identities(model, x, noise, z_noise)
    _check_rows(model, x, y, noise, z_noise)
    _check_storage(model, x, noise, z_noise)


def _bounds(model: DensityModel, x: Tensor, y: Tensor, noise: Noise, z_noise: Tensor) -> Tensor:
    """Labeled and unlabeled bound, log q(y|x) and the class-wise ELBOs, a row per example."""
    encoded = model.encode(x, noise)
    log_q = encoded.q_y.logits
    parts = [bound(model, encoded, rule(log_q, y, noise), z_noise) for rule in DETERMINISTIC]
    columns = [part.value for part in parts] + [(log_q * y).sum(1)]
    return torch.cat([torch.stack(columns, 1), labeled_elbos(model, encoded, z_noise)], 1)


DETERMINISTIC: tuple[LabelRule, ...] = (Observed(), Enumerated())


def _check_shapes(model: DensityModel, x: Tensor, noise: Noise, z_noise: Tensor) -> None:
    B, K, D = len(x), model.classes, model.latent_size
    encoded = model.encode(x, noise)
    assert encoded.x.shape == x.shape, "the decoder's target has the shape of x"
    assert encoded.h.shape[0] == B and encoded.h.dim() == 2
    assert encoded.q_y.batch_shape == (B,) and encoded.q_y.logits.shape == (B, K)
    assert encoded.per_example.shape == (B,)
    close(encoded.q_y.logits.logsumexp(1), torch.zeros(B, dtype=F64), "q(y|x) is normalised")
    assert model.p_y().batch_shape == () and model.p_y().probs.shape == (K,)
    noisy = replace(noise, corruption=0.5)
    apart, shown = model.encode(x, noisy), model.encode(noisy.seen(x), noise)
    close(apart.x, encoded.x, "the target is x, whatever q reads")
    close(apart.h, shown.h, "q reads what it is shown")
    close(apart.q_y.logits, shown.q_y.logits, "q(y|x) reads what it is shown")
    close(model.classify(x, noisy).logits, apart.q_y.logits, "classify gives the q_y of encode")
    draws = every_pair(encoded.q_y.logits)
    q_z = model.q_z(encoded.h, draws)
    rows = K * B if model.q_z_sees_y else B
    assert q_z.batch_shape == (rows,) and q_z.event_shape == (D,)
    p_z = model.p_z(draws.y)
    assert p_z.batch_shape == (K * B,) and p_z.event_shape == (D,)
    z = q_z.at(z_noise[draws.row] if model.q_z_sees_y else z_noise)
    assert z.shape == (rows, D)
    log_p = model.log_likelihood(encoded, z, draws)
    assert log_p.shape == (K * B,) and log_p.isfinite().all()
    probs = model.predict_proba(x)
    close(probs.sum(1), torch.ones(B, dtype=F64), "rows of predict_proba sum to 1")
    close(model.predictive(model.features(x)).probs, probs, "predict_proba is of predictive")
    _check_draws(model, encoded, noise)
    if model.redraw(encoded, noise, 1) is encoded:
        close(probs, encoded.q_y.logits.exp(), "predict_proba is q(y|x)")
    if isinstance(model, DeepGenerativeModel):
        _check_generation(model, x)


def _check_draws(model: DensityModel, encoded: Encoded, noise: Noise) -> None:
    """Draw 0 is that of `encode`; another has the same target and, if anything is drawn, another
    weight."""
    first, second = (model.redraw(encoded, noise, number) for number in (0, 1))
    for a, b in ((first.h, encoded.h), (first.per_example, encoded.per_example)):
        close(a, b, "redraw 0 is what encode drew")
    close(first.q_y.logits, encoded.q_y.logits, "redraw 0 is what encode drew")
    assert torch.equal(second.x, encoded.x), "the target is drawn once"
    if second is not encoded:
        assert (second.per_example != encoded.per_example).all()


def _check_generation(model: DeepGenerativeModel, x: Tensor) -> None:
    """One finite image per row, a function of z, y and the generator, and of a row alone."""
    N, source = len(x), torch.Generator()
    z = torch.randn(N, model.latent_size, generator=source.manual_seed(2), dtype=F64)
    y = torch.eye(model.classes, dtype=F64)[torch.arange(N) % model.classes]
    images = model.decode(z, y)
    assert images.shape == x.shape and images.isfinite().all()
    close(model.decode(z[1:2], y[1:2]), images[1:2], "a row of decode is its own")
    once, again = (model.generate(z, y, source.manual_seed(3)) for _ in range(2))
    assert once.shape == x.shape and torch.equal(once, again)


def _check_gradients(
    model: torch.nn.Module, x: Tensor, y: Tensor, noise: Noise, z_noise: Tensor
) -> None:
    model.zero_grad()
    _bounds(model, x, y, noise, z_noise)[:, :3].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
        assert parameter.grad.any(), f"the gradient of {name} is zero"


def _check_identities(model: DensityModel, x: Tensor, noise: Noise, z_noise: Tensor) -> None:
    encoded = model.encode(x, noise)
    log_q, K = encoded.q_y.logits, model.classes
    elbos = labeled_elbos(model, encoded, z_noise)
    for k in range(K):
        label = torch.eye(K, dtype=F64)[k].expand(len(x), -1)
        one = bound(model, encoded, Observed()(log_q, label, noise), z_noise)
        close(elbos[:, k], one.value, f"column {k} of labeled_elbos is ELBO(x, {k})")
        assert (one.latent_kl >= 0).all()
    unlabeled = bound(model, encoded, Enumerated()(log_q, None, noise), z_noise)
    expected = (log_q.exp() * elbos).sum(1) - (log_q.exp() * log_q).sum(1)
    close(unlabeled.value, expected, "Eq 14: U = sum_k q_k ELBO(x, k) + H(q)")
    evidence = elbos.logsumexp(1)
    gap = kl(log_q, elbos.log_softmax(1))
    close(unlabeled.value, evidence - gap, "U = LSE_k ELBO(x, k) - KL(q || softmax_k ELBO(x, k))")
    assert (unlabeled.value <= evidence + 1e-9).all()


def _check_rows(
    model: torch.nn.Module, x: Tensor, y: Tensor, noise: Noise, z_noise: Tensor
) -> None:
    model.train()
    trained = _bounds(model, x, y, noise, z_noise)
    model.eval()
    close(_bounds(model, x, y, noise, z_noise), trained, "eval() gives what train() gives")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(2)).tolist()
    moved = ReorderedNoise(0, 0, noise.streams, CPU, stream=UNLABELED, rows=tuple(order))
    reordered = _bounds(model, x[order], y[order], moved, z_noise[order])
    close(reordered, trained[order], "reordering the batch reorders the results")


def _check_storage(model: torch.nn.Module, x: Tensor, noise: Noise, z_noise: Tensor) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.add_(1.0)
    y = torch.eye(model.classes, dtype=F64)[torch.zeros(len(x), dtype=torch.long)]
    expected = _bounds(model, x, y, noise, z_noise)
    assert not torch.equal(_bounds(other, x, y, noise, z_noise), expected)
    other.load_state_dict(model.state_dict())
    assert torch.equal(_bounds(other, x, y, noise, z_noise), expected), "state_dict holds it all"


def check_likelihood(
    likelihood: Likelihood, event: tuple[int, ...], in_range: Callable[[Tensor], Tensor]
) -> None:
    """The laws of a likelihood for x of shape `event`; `in_range` says which pixels x may hold."""
    draw = torch.Generator().manual_seed(4)
    output = torch.randn(7, *event, generator=draw).requires_grad_()
    p_x = likelihood(output)
    assert p_x.batch_shape == (7,) and p_x.event_shape == event
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sample = p_x.sample()
    log_p = p_x.log_prob(sample)
    assert log_p.shape == (7,) and log_p.isfinite().all() and log_p.dtype == torch.float32
    assert in_range(sample).all() and in_range(p_x.mean).all()
    grey = torch.rand(7, *event, generator=draw)
    target = likelihood.target(grey, Noise(0, 0, ((UNLABELED, 7),), CPU))
    assert target.shape == grey.shape and target.dtype == grey.dtype and in_range(target).all()
    p_x.log_prob(target).sum().backward()
    for name, tensor in (("the output", output), *likelihood.named_parameters()):
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any(), name
    coarse = likelihood(output.detach().bfloat16()).log_prob(target)
    assert coarse.dtype == torch.float32, "losses are float32 or better under autocast"
    torch.testing.assert_close(
        coarse, p_x.log_prob(target), rtol=0.02, atol=0.02 * output[0].numel()
    )


def check_term(
    term: Term, model: torch.nn.Module, batch: dict[str, Rows], reaches: set[str]
) -> None:
    """The laws of a term on the streams of a batch; `reaches` names the parts of the model it
    trains."""
    noise = Noise(0, 3, tuple((name, len(rows.x)) for name, rows in batch.items()), CPU)
    buffers = term.initial_buffers(model)
    before = copy.deepcopy(buffers)

    def call(
        model: DensityModel, noise: Noise, batch: dict[str, Rows], buffers: dict[str, Tensor]
    ) -> TermValue:
        streams = Streams(model, batch, noise, model.latent_size)
        return term(model, streams, StepState(3, 0.5, buffers))

    result = call(model, noise, batch, buffers)
    B = len(batch[term.stream].x)
    assert result.value.shape in ((B,), ()), "a term has a value per example or one per batch"
    assert result.value.isfinite().all()
    assert result.value.dtype in (torch.float32, torch.float64)
    assert not term.name.endswith("_kl") or (result.value >= 0).all(), "a KL is at least 0"

    assert result.updates.keys() == buffers.keys(), "what is remembered is what is updated"
    for name, new in result.updates.items():
        assert new.shape == buffers[name].shape and not new.requires_grad
        same = torch.allclose(buffers[name], before[name], rtol=0, atol=0, equal_nan=True)
        assert same, f"{name} was changed in place"
    again = call(model, noise, batch, buffers)
    assert torch.equal(again.value, result.value), "the same arguments give the same value"

    model.zero_grad()
    if result.value.requires_grad:
        result.value.sum().backward()
    reached = {
        name.split(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert reached == reaches, f"{term.key} trains {reached}, not {reaches}"

    order = torch.randperm(B, generator=torch.Generator().manual_seed(2)).tolist()
    moved_rows = {
        **batch,
        term.stream: Rows(*(part if part is None else part[order] for part in batch[term.stream])),
    }
    reordered = ReorderedNoise(0, 3, noise.streams, CPU, stream=term.stream, rows=tuple(order))
    moved = call(model, reordered, moved_rows, buffers).value
    close(moved, result.value[order] if result.value.dim() else result.value, "rows reordered")

    K = model.classes
    classes = torch.randperm(K, generator=torch.Generator().manual_seed(6)).tolist()
    renamed = ReorderedClasses(model, classes)
    relabeled = {
        name: Rows(rows.x, None if rows.y is None else rows.y[:, classes])
        for name, rows in batch.items()
    }
    columns = ReorderedNoise(0, 3, noise.streams, CPU, columns=tuple(classes))
    value = call(renamed, columns, relabeled, term.initial_buffers(renamed)).value
    close(value, result.value, "renaming the classes changes nothing")
