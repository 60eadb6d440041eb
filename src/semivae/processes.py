"""What the processes of one run share: who writes, which rows are whose, and means over all of
them.

Everything here is the identity where there is one process. torch is imported where it is needed,
so that the command line may ask who writes without waiting for it.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def launched() -> int:
    """How many processes the launcher of this one started, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process writes files and prints: the first of those that a launcher started."""
    return launched() == 1 or int(os.environ.get("RANK", "0")) == 0


def is_first_here() -> bool:
    """Whether this is the first of the processes on its own machine."""
    return launched() == 1 or int(os.environ.get("LOCAL_RANK", "0")) == 0


def share(rows: int, rank: int, processes: int) -> slice:
    """The rows of a global batch that are this process's; shares differ by one row at most.

    >>> [share(5, rank, 2) for rank in (0, 1)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(rows * rank // processes, rows * (rank + 1) // processes)


def mean_over_processes(value: "Tensor") -> "Tensor":
    """The mean of `value` over processes, differentiable in each, so that a batch statistic is
    global."""
    count = _count()
    if count == 1:
        return value
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(value)
    return total / count


def least(value: int) -> int:
    """The smallest `value` of all processes: what each has measured, agreed on."""
    if _count() == 1:
        return value
    import torch
    import torch.distributed as dist

    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    agreed = torch.tensor(value, device=device)
    dist.all_reduce(agreed, dist.ReduceOp.MIN)
    return int(agreed)


def _count() -> int:
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
