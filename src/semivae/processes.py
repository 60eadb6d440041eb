"""A mean over the processes of a run, with gradient: the identity where there is one process."""

import torch.distributed as dist
from torch import Tensor


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of `value` over processes, differentiable in each, so that a batch statistic is
    global."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(value)
    return total / dist.get_world_size()
