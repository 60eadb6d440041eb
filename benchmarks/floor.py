"""The floor of a step: the least time that its own products and the optimizer's bytes take here.

Operations are those that PyTorch counts (`torch.utils.flop_counter`), over the best rate that each
of them reaches, alone, on its own shapes, in any layout, precision, number of threads and matrix
setting. Bytes are those of the optimizer, which no arithmetic hides, over the bandwidth. Left out
are activations, losses and batching.
"""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

ADAM_BYTES = 28  # per float32 parameter: reads it, its gradient and two moments, writes three back


class Operand(NamedTuple):
    """A tensor argument without its content."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self, dtype: torch.dtype, channels_last: bool) -> Tensor:
        """Random content; a matrix keeps its strides, an image gets the layout asked for."""
        if len(self.shape) == 4:
            layout = torch.channels_last if channels_last else torch.contiguous_format
            return torch.randn(self.shape).to(dtype).contiguous(memory_format=layout)
        return torch.randn(self.shape).to(dtype).as_strided(self.shape, self.stride)


class Operation(NamedTuple):
    """A call of a counted operation: equal calls are one key."""

    function: Any
    arguments: tuple[Any, ...]
    flops: int

    def images(self) -> bool:
        """Whether a layout can be chosen."""
        return any(isinstance(each, Operand) and len(each.shape) == 4 for each in self.arguments)


class Recorder(TorchDispatchMode):
    """Collects the counted operations that run under it, with how often each did."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[Operation] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        # Under inference mode a composite arrives whole: it is taken apart, as autograd does.
        with self:
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        out = func(*args, **(kwargs or {}))
        if (packet := func._overloadpacket) in flop_registry:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            arguments = tuple(_frozen(argument) for argument in args)
            # The variant that writes into a tensor given is timed as the one that returns it.
            self.calls[Operation(func._overloadpacket.default, arguments, flops)] += 1
        return out


def _frozen(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return Operand(tuple(argument.shape), tuple(argument.stride()))
    return tuple(argument) if isinstance(argument, list) else argument


class Setting(NamedTuple):
    """A way to run an operation."""

    threads: int
    matmul: str  # of torch.set_float32_matmul_precision
    dtype: torch.dtype
    channels_last: bool


def settings(operation: Operation, most_threads: int) -> list[Setting]:
    """Every way worth a trial."""
    kinds = (("highest", torch.float32), ("medium", torch.float32), ("highest", torch.bfloat16))
    layouts = (True, False) if operation.images() else (False,)
    return [
        Setting(threads, matmul, dtype, layout)
        for threads, (matmul, dtype), layout in itertools.product(
            range(1, most_threads + 1), kinds, layouts
        )
    ]


class Cost(NamedTuple):
    """What an operation takes at best, and how."""

    seconds: float
    setting: Setting


def cheapest(operation: Operation, most_threads: int, repetitions: int = 4) -> Cost:
    """The fastest way to run the operation: the least time over settings and repetitions."""
    return min(
        (
            Cost(_seconds(operation, setting, repetitions), setting)
            for setting in settings(operation, most_threads)
        ),
        key=lambda cost: cost.seconds,
    )


@contextmanager
def _applied(setting: Setting) -> Iterator[None]:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(setting.threads)
    torch.set_float32_matmul_precision(setting.matmul)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_float32_matmul_precision(before[1])


def _seconds(operation: Operation, setting: Setting, repetitions: int) -> float:
    arguments = [
        each.tensor(setting.dtype, setting.channels_last) if isinstance(each, Operand) else each
        for each in operation.arguments
    ]
    times = []
    with _applied(setting), torch.no_grad():
        for _ in range(repetitions):
            start = time.perf_counter()
            operation.function(*arguments)
            times.append(time.perf_counter() - start)
    return min(times)


def bandwidth(megabytes: int = 256, repetitions: int = 7) -> float:
    """Bytes per second of a copy, reading and writing counted."""
    source = torch.ones(megabytes << 18)
    target = torch.empty_like(source)
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * (megabytes << 20) / statistics.median(times[1:])


class Floor(NamedTuple):
    """The least time of a step, in seconds, and what it is made of."""

    flops: int
    arithmetic: float
    optimizer: float
    costs: dict[Operation, tuple[int, Cost]]  # calls and best cost of one

    @property
    def seconds(self) -> float:
        """Arithmetic and the optimizer's bytes, one after the other."""
        return self.arithmetic + self.optimizer


def floor(step: Callable[[], object], parameters: int, threads: int, rate: float) -> Floor:
    """The floor of `step`, which is run once and may train a model of so many parameters (0: no
    optimizer); `rate` is the bandwidth in bytes per second."""
    with Recorder() as recorder:
        step()
    costs = {
        operation: (calls, cheapest(operation, threads))
        for operation, calls in recorder.calls.items()
    }
    return Floor(
        flops=sum(calls * operation.flops for operation, (calls, _) in costs.items()),
        arithmetic=sum(calls * cost.seconds for calls, cost in costs.values()),
        optimizer=ADAM_BYTES * parameters / rate,
        costs=costs,
    )
