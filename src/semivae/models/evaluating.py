"""What is asked of a model that is evaluated, and the mode in which it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical

from semivae.models.densities import DensityModel


@runtime_checkable
class EvaluatedModel(DensityModel, Protocol):
    """Any member of the family that is a module: no layer of it has a name here."""

    @property
    def latent_size(self) -> int:
        """D, the size of z."""

    def features(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """`Encoded.h` with what the model samples once per example at its mean."""

    def predictive(self, h: Float[Tensor, "B F"]) -> Categorical:
        """q(y|x) as it is predicted, batch (B,), for h as `features` gives it."""

    def eval(self) -> Any:
        """Eval mode."""

    def modules(self) -> Iterator[nn.Module]:
        """The module and all its parts."""


@contextmanager
def evaluating(model: nn.Module | EvaluatedModel) -> Iterator[None]:
    """Eval mode without gradients inside; each module's own mode comes back after."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
