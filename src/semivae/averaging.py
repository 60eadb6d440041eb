"""The running mean of the weights, kept among the buffers of a run so that it resumes with it."""

import torch
from torch import Tensor, nn

AVERAGE, COUNT = "average/", "average_count"


@torch.no_grad()
def add_to_average(model: nn.Module, buffers: dict[str, Tensor]) -> None:
    """Adds the weights of this step to their running mean, which lies among the buffers."""
    count = buffers.get(COUNT, torch.zeros(())) + 1
    buffers[COUNT] = count
    for name, weight in model.named_parameters():
        mean = buffers.setdefault(AVERAGE + name, weight.clone())
        mean.lerp_(weight, 1 / float(count))


@torch.no_grad()
def take_average(model: nn.Module, buffers: dict[str, Tensor]) -> None:
    """Gives the model the mean of its weights, if there is one."""
    for name, weight in model.named_parameters():
        if AVERAGE + name in buffers:
            weight.copy_(buffers[AVERAGE + name])
