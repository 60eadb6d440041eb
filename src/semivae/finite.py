"""Means over an epoch, and an error where a number is not finite."""

import torch
from torch import Tensor, nn

from semivae.processes import mean_over_processes
from semivae.sums import Loss


class NonFiniteError(ArithmeticError):
    """A term of the objective stopped being a number; training stopped before the weights did."""


def check_gradient(model: nn.Module, step: int) -> None:
    """Raises `NonFiniteError` before a gradient that is not finite reaches the weights."""
    gradients = [w.grad for w in model.parameters() if w.grad is not None]
    if not bool(torch.nn.utils.get_total_norm(gradients).isfinite()):
        raise NonFiniteError(
            f"the gradient is not finite at step {step}, though every term is; the weights are "
            "those of the step before: lower the learning rate or set training.clip_norm"
        )


class Means:
    """Means of the loss and the terms over an epoch; one that is not finite is an error."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.total: Tensor | None = None
        self.count = 0

    def add(self, result: Loss, step: int) -> None:
        """Adds one step's values; raises `NonFiniteError` if one is not finite."""
        self.names = [*result.terms, "loss"]
        values = torch.stack([*result.terms.values(), result.loss.detach()])
        if not bool(values.isfinite().all()):
            bad = [f"{n} = {v:g}" for n, v in zip(self.names, values.tolist(), strict=True)]
            bad = [
                text for text, ok in zip(bad, values.isfinite().tolist(), strict=True) if not ok
            ]
            raise NonFiniteError(
                f"not finite at step {step}: {', '.join(bad)}; the weights are those of the step "
                "before: lower the learning rate or set training.clip_norm"
            )
        self.total = values if self.total is None else self.total + values
        self.count += 1

    def values(self) -> tuple[float, dict[str, float]]:
        """The mean loss and the mean of each term, over all processes."""
        assert self.total is not None
        mean = mean_over_processes(self.total / self.count)
        means = dict(zip(self.names, mean.tolist(), strict=True))
        return means.pop("loss"), means
