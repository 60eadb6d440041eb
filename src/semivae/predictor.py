"""Rows to learn from, and a trained model that reads rows like them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.bounds import bound
from semivae.data.scaling import Scaling
from semivae.diagnostics.encodings import encode_set
from semivae.errors import InputError
from semivae.generation import sample_class
from semivae.label_draws import every_pair
from semivae.models.base import DeepGenerativeModel
from semivae.models.m1m2 import M1M2
from semivae.noise import Noise, generator
from semivae.recipe import DataFacts
from semivae.training import Training, autocast

CHUNK = 512


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """x (N, *X) as given, y (N,) class numbers with -1 where unlabeled, the classes, the scaling
    of x."""

    x: np.ndarray
    y: Int[np.ndarray, " N"]
    classes: tuple[str, ...]
    scaling: Scaling

    @property
    def facts(self) -> DataFacts:
        """Shape and counts."""
        labeled = int((self.y >= 0).sum())
        return DataFacts(self.x.shape[1:], labeled, len(self.y) - labeled, len(self.classes))


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained model with what it needs to read x as given; memory is flat in the number of
    rows.

    With `bfloat16`, q(y|x) of images is computed as it was trained, in about half the time: on
    MNIST 3 in 10,000 labels change, and a row's probabilities depend on its company by up to 2e-4.
    All else is float32.
    """

    model: DeepGenerativeModel
    scaling: Scaling
    classes: tuple[str, ...]
    event: tuple[int, ...]
    bfloat16: bool

    def chunks(self, x: np.ndarray) -> Iterator[Tensor]:
        """x scaled and on the model's device, `CHUNK` rows at a time, the model in eval mode."""
        if x.shape[1:] != self.event:
            raise InputError(f"X has rows of shape {x.shape[1:]}; this model reads {self.event}")
        self.model.eval()
        device = self.model.log_prior.device
        for start in range(0, len(x), CHUNK):
            part = np.array(x[start : start + CHUNK])  # a copy: x may be read-only
            yield self.scaling.apply(torch.from_numpy(part).to(device))

    @torch.inference_mode()
    def predict_proba(self, x: np.ndarray) -> Float[np.ndarray, "N K"]:
        """q(y|x); columns in the order of `classes`."""
        image = len(self.event) == 3  # the row of a table costs little, and is read to the digit
        with autocast(self.bfloat16 and image, self.model.log_prior.device):
            return self._by_chunks(x, self.model.predict_proba)

    @torch.inference_mode()
    def transform(self, x: np.ndarray) -> Float[np.ndarray, "N D"]:
        """The posterior mean of z: mu(x), or sum_k q(k|x) mu(x, k) where q(z|x, y) sees y."""
        return self._by_chunks(x, lambda part: encode_set(self.model, [part]).posterior_mean)

    @torch.inference_mode()
    def score_samples(self, x: np.ndarray) -> Float[np.ndarray, " N"]:
        """The lower bound U(x) on log p(x) (Eq 5), in nats per example, with fixed noise."""

        def bounds(part: Tensor) -> Tensor:
            # One draw for all rows: a row's score does not depend on its company.
            noise = Noise(0, 0, (("score", 1),), part.device)
            encoded = self.model.encode(part, noise)
            z_noise = noise.normal("z", self.model.latent_size).expand(len(part), -1)
            return bound(self.model, encoded, every_pair(encoded.q_y.logits), z_noise).value

        return self._by_chunks(x, bounds)

    def _by_chunks(self, x: np.ndarray, of: Callable[[Tensor], Tensor]) -> np.ndarray:
        """`of` of every chunk, one row per row of x, as float32.

        Written into one array: a small result kept after each chunk would pin the memory that the
        chunk's temporaries leave, and the process would grow with the number of rows.
        """
        found: np.ndarray | None = None
        start = 0
        for part in self.chunks(x):
            values = of(part).float().cpu().numpy()
            if found is None:
                found = np.empty((len(x), *values.shape[1:]), values.dtype)
            found[start : start + len(values)] = values
            start += len(values)
        assert found is not None, "X has rows"
        return found

    @torch.inference_mode()
    def codes(self, x: np.ndarray) -> Float[np.ndarray, "N 2 D"]:
        """Mean and log variance of q(z1|x) of an M1+M2."""
        assert isinstance(self.model, M1M2)
        return self._by_chunks(x, self.model.m1.codes)

    def sample(self, y: Int[np.ndarray, " N"], seed: int) -> Float[np.ndarray, "N *X"]:
        """One x per class number in y, z from the prior at temperature 1, in x's own units."""
        device = self.model.log_prior.device
        source = generator(device, seed, "sample")
        x = sample_class(self.model, torch.from_numpy(y).to(device), source)
        return self.scaling.undo(x).cpu().numpy()


def predictor_of(model: DeepGenerativeModel, data: TrainingSet, training: Training) -> Predictor:
    """The model with what it needs to read rows like those it is trained on."""
    return Predictor(model, data.scaling, data.classes, data.x.shape[1:], training.bfloat16)
