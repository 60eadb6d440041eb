"""What each choice that makes a step fast is worth: the step with it, and without it.

`python -m benchmarks.choices` times forward, backward and optimizer of the paper's CNN on MNIST's
shape, all variants in turn again and again, for the exact sum over y and for Gumbel-Softmax.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks import textbook
from benchmarks.contestants import SEED, Bare, Ours, synthetic_rows
from benchmarks.speed import CASES
from benchmarks.timing import measure_in_turn, ratios, write
from semivae.convolutions import ConvEncoder, Unflatten
from semivae.label_draws import LabelRule
from semivae.labels import Enumerated, Relaxed
from semivae.upconv import UpConv2d

RESULTS = Path(__file__).parent / "results" / "choices.json"
SHIPPED = "as shipped"
CASE = CASES[0]
ROWS = 47 * textbook.BATCH  # so that every batch has one size, which a compiler may rely on


class Variant:
    """A bare step under a change, which is in force only while it runs."""

    def __init__(
        self,
        labels: LabelRule,
        bfloat16: bool = True,
        change: Callable[[], AbstractContextManager[Any]] = nullcontext,
        prepare: Callable[[Bare], None] = lambda bare: None,
    ) -> None:
        self.change = change
        self.bare = Bare(Ours(CASE, synthetic_rows(CASE, ROWS), labels, bfloat16))
        prepare(self.bare)

    def run(self, steps: int) -> int:
        """As the bare step."""
        with self.change():
            return self.bare.run(steps)


def pytorchs_transposed_convolution() -> AbstractContextManager[Any]:
    return patch.object(UpConv2d, "forward", nn.ConvTranspose2d.forward)


@contextmanager
def images_row_major() -> Iterator[None]:
    def unflatten(layer: Unflatten, h: Tensor) -> Tensor:
        return unflattened(layer, h).contiguous()

    unflattened = Unflatten.forward
    with (
        patch.object(ConvEncoder, "forward", nn.Sequential.forward),
        patch.object(Unflatten, "forward", unflatten),
        patch.object(UpConv2d, "forward", nn.ConvTranspose2d.forward),
    ):
        yield


def weights_row_major(bare: Bare) -> None:
    for parameter in bare.ours.model.parameters():
        parameter.data = parameter.data.contiguous()


def another_adam(foreach: bool) -> Callable[[Bare], None]:
    def prepare(bare: Bare) -> None:
        bare.optimizer = torch.optim.Adam(bare.ours.model.parameters(), lr=1e-3, foreach=foreach)

    return prepare


def compiled(bare: Bare) -> None:
    bare.step.compile()


def variants(labels: LabelRule) -> dict[str, Variant]:
    """The step as shipped, then with one choice undone or one more made."""
    return {
        SHIPPED: Variant(labels),
        "float32": Variant(labels, bfloat16=False),
        "PyTorch's transposed convolution": Variant(
            labels, change=pytorchs_transposed_convolution
        ),
        "float32, PyTorch's transposed convolution": Variant(
            labels, bfloat16=False, change=pytorchs_transposed_convolution
        ),
        "row-major images and weights, PyTorch's transposed convolution": Variant(
            labels, change=images_row_major, prepare=weights_row_major
        ),
        "Adam, foreach": Variant(labels, prepare=another_adam(foreach=True)),
        "Adam, a loop": Variant(labels, prepare=another_adam(foreach=False)),
    }


def seconds_to_compile(variant: Variant) -> float:
    """Until every input was seen once and twice: what is compiled anew for one counts."""
    start = time.perf_counter()
    variant.run(2 * len(variant.bare.inputs))
    return time.perf_counter() - start


def step_times(entrants: dict[str, Variant], repetitions: int) -> dict[str, float]:
    """The step time of each over that of the step as shipped, the median over repetitions."""
    rates = measure_in_turn(entrants, seconds=0.7, repetitions=repetitions)
    return {name: round(1 / faster, 3) for name, faster in ratios(rates, SHIPPED).items()}


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    torch.manual_seed(SEED)
    step_time: dict[str, dict[str, float]] = {}
    compilation: dict[str, float] = {}
    for name, labels in (("exact", Enumerated()), ("Gumbel-Softmax", Relaxed())):
        entrants = variants(labels)
        entrants["torch.compile, PyTorch's transposed convolution"] = with_compiler = Variant(
            labels, change=pytorchs_transposed_convolution, prepare=compiled
        )
        compilation[name] = round(seconds_to_compile(with_compiler), 1)
        step_time[name] = step_times(entrants, options.repetitions)
        for variant, ratio in step_time[name].items():
            print(f"{name:16} {variant:34} {ratio:5.2f} x the step time as shipped", flush=True)
    result = {
        "case": CASE.name,
        "step_time_over_shipped": step_time,
        "seconds_to_compile": compilation,
    }
    write(RESULTS, "python -m benchmarks.choices", result)


if __name__ == "__main__":
    main()
