"""Random numbers keyed by what they are for: (seed, stream, purpose, step), never by what came
before.

A run therefore resumes at any step, and spreads over processes, with the same noise: it is drawn
for the global batch and each process takes its slice. Nothing draws from torch's global generator.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from semivae.processes import share


def key(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, the same on every machine.

    >>> key(0, "unlabeled", "z", 7) == key(0, "unlabeled", "z", 7) != key(0, "unlabeled", "z", 8)
    True
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """A generator on `device` that starts at `key(seed, *purpose)`."""
    return torch.Generator(device=device).manual_seed(key(seed, *purpose))


@dataclass(frozen=True)
class Noise:
    """The random numbers of one step, for this process's slice of each stream.

    `streams` names the streams in the order in which their examples are concatenated, each with
    its number of examples in all processes. Every draw has one row per example of this process,
    B in all. `corruption` is the standard deviation of what is added to x before q reads it.
    """

    seed: int
    step: int
    streams: tuple[tuple[str, int], ...]
    device: torch.device
    rank: int = 0
    processes: int = 1
    corruption: float = 0.0

    def of(self, stream: str) -> "Noise":
        """The same random numbers for one of the streams alone."""
        return replace(self, streams=tuple(part for part in self.streams if part[0] == stream))

    def seen(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B *X"]:
        """What q reads for x: x + corruption * n, n ~ N(0, I), or x itself at 0.

        The decoder explains x, so that the mean bound over n is a bound too (Im et al. 2017,
        Denoising Criterion for Variational Auto-Encoding Framework). ADGM's p(a|x, y, z) reads
        what q does: it may be any density of a, and the bound stays one.
        """
        if not self.corruption:
            return x
        return x + self.corruption * self.normal("corruption", *x.shape[1:]).to(x)

    def _draw(self, purpose: str, sampler: Callable[..., Tensor], *event: int) -> Tensor:
        parts = []
        for stream, rows in self.streams:
            source = generator(self.device, self.seed, stream, purpose, self.step)
            whole = sampler((rows, *event), generator=source, device=self.device)
            parts.append(whole[share(rows, self.rank, self.processes)])
        return torch.cat(parts)

    def normal(self, purpose: str, *event: int) -> Float[Tensor, "B *event"]:
        """N(0, 1)."""
        return self._draw(purpose, torch.randn, *event)

    def uniform(self, purpose: str, *event: int) -> Float[Tensor, "B *event"]:
        """U[0, 1)."""
        return self._draw(purpose, torch.rand, *event)

    def gumbel(self, purpose: str, *event: int) -> Float[Tensor, "B *event"]:
        """Gumbel(0, 1) = -log e, e ~ Exp(1): always finite, where -log(-log u) fails at u = 0."""
        return -self._draw(purpose, _exponential, *event).log()


def _exponential(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device
) -> Tensor:
    return torch.empty(shape, device=device).exponential_(generator=generator)
