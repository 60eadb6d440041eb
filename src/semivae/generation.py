"""Pictures (or rows of a table) from a model: samples of a class, reconstructions, analogies and
traversals of z; tensors only.

Everything runs in eval mode (the mode the model was in comes back) and without gradients. What
comes out is the mean of p(x|z, y), in the model's units: `Scaling.undo` gives it those of the
data.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from semivae.label_draws import one_pair_each
from semivae.models.base import DeepGenerativeModel
from semivae.models.evaluating import evaluating


def sample_class(
    model: DeepGenerativeModel, y: Int[Tensor, "N"], generator: torch.Generator
) -> Float[Tensor, "N *X"]:
    """The mean of p(x|z, y) at z ~ p(z), temperature 1: one picture for each class number of y.

    Row i of z depends on `generator` alone, so the same generator shows the same z in other
    classes. Variables between z and x (z1 of M1+M2, a of SDGM) are drawn after z.
    """
    with evaluating(model):
        label = one_hot(y, model.classes).to(model.log_prior)
        p_z = model.p_z(label)
        noise = torch.randn(p_z.mean.shape, generator=generator, device=generator.device)
        z = p_z.mean + p_z.stddev * noise.to(model.log_prior)
        return model.generate(z, label, generator)


def reconstructions(model: DeepGenerativeModel, x: Float[Tensor, "N *X"]) -> Float[Tensor, "N *X"]:
    """Each row as decoded from what encodes it: z as in `analogies`, at the likeliest y."""
    with evaluating(model):
        z, likeliest = _encoding(model, x)
        return model.decode(z, likeliest)


def analogies(model: DeepGenerativeModel, x: Float[Tensor, "N *X"]) -> Float[Tensor, "N K *X"]:
    """Each row in every class: z is the mean of q(z|x), or of q(z|x, y) at the likeliest y; other
    variables are at their means."""
    with evaluating(model):
        z, _ = _encoding(model, x)
        every_class = torch.eye(model.classes, dtype=z.dtype, device=z.device).repeat(len(x), 1)
        decoded = model.decode(z.repeat_interleave(model.classes, 0), every_class)
        return decoded.view(len(x), model.classes, *decoded.shape[1:])


def _encoding(
    model: DeepGenerativeModel, x: Float[Tensor, "N *X"]
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N K"]]:
    """The mean of z of each row, and its likeliest y."""
    h = model.features(x)
    log_q = model.predictive(h).logits
    likeliest = one_hot(log_q.argmax(1), model.classes).to(log_q)
    return model.q_z(h, one_pair_each(log_q, likeliest)).mean, likeliest


def traversals(
    model: DeepGenerativeModel,
    y: int,
    dimensions: Sequence[int],
    values: Float[Tensor, "V"],
) -> Float[Tensor, "T V *X"]:
    """A line for each of T dimensions of z at these values, in standard deviations of p(z), all
    others and what lies between z and x at their means; y is a class number."""
    with evaluating(model):
        label = torch.eye(model.classes).to(model.log_prior)[y]
        label = label.expand(len(dimensions) * len(values), -1)
        p_z = model.p_z(label)
        lines = torch.tensor(list(dimensions), device=label.device)
        directions = one_hot(lines, model.latent_size).to(model.log_prior)
        steps = values.to(directions)[:, None] * directions[:, None]
        decoded = model.decode(p_z.mean + steps.flatten(0, 1) * p_z.stddev, label)
        return decoded.view(len(dimensions), len(values), *decoded.shape[1:])
