"""The named streams of one step, encoded once, and their bounds, each computed once."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Categorical

from semivae.bounds import Baselines, Bound, bound
from semivae.label_draws import LabelRule
from semivae.models.densities import DensityModel, Encoded
from semivae.noise import Noise

LABELED = "labeled"
UNLABELED = "unlabeled"


class Rows(NamedTuple):
    """What one stream brings to a step: x (B, *X) and, where it is observed, y one-hot (B, K)."""

    x: Tensor
    y: Tensor | None


class StepState(NamedTuple):
    """What a term may know of the training around it.

    `fraction` of training done, 0 to 1; `buffers` what terms must remember, by name: they are in
    the checkpoint, and a term changes one only by returning it in its `updates`.
    """

    step: int
    fraction: float
    buffers: dict[str, Tensor]


def baseline_name(stream: str, part: str) -> str:
    """The buffer that centres a part of the bound of a stream."""
    return f"{stream}/{part}/baseline"


class Streams:
    """Every stream of a step after one concatenated pass through the trunk."""

    def __init__(
        self, model: DensityModel, batch: dict[str, Rows], noise: Noise, latent: int
    ) -> None:
        self.model, self.noise, self.latent = model, noise, latent
        self.rows = batch
        joined = model.encode(torch.cat([rows.x for rows in batch.values()]), noise)
        self._encoded = _split(joined, batch)
        self.bounds: dict[tuple[str, LabelRule], Bound] = {}

    def __getitem__(self, stream: str) -> Encoded:
        return self._encoded[stream]

    def part_of_mean(self, stream: str, values: Tensor) -> Tensor:
        """The mean of values (B, ...) over the rows of a stream, if there is one process.

        With several it is this process's part of it: the mean of the parts over processes is the
        mean over all rows, whoever has more of them.
        """
        rows = dict(self.noise.streams)[stream]
        return values.sum(0) / (rows / self.noise.processes)

    def bound(self, stream: str, rule: LabelRule, state: StepState) -> Bound:
        """B(x; pi) of a stream under a label rule, computed at the first call.

        A rule with a memory is centred by the baselines among the buffers of `state`.
        """
        if (stream, rule) not in self.bounds:
            encoded, noise = self[stream], self.noise.of(stream)
            draws = rule(encoded.q_y.logits, encoded.y, noise)
            z_noise = noise.normal("z", self.latent).to(encoded.per_example.dtype)
            baselines = Baselines(
                *(state.buffers.get(baseline_name(stream, part)) for part in Baselines._fields)
            )
            self.bounds[stream, rule] = bound(self.model, encoded, draws, z_noise, baselines)
        return self.bounds[stream, rule]


def _split(joined: Encoded, batch: dict[str, Rows]) -> dict[str, Encoded]:
    sizes = [rows.x.shape[0] for rows in batch.values()]
    parts = zip(
        batch,
        joined.x.split(sizes),
        joined.h.split(sizes),
        joined.q_y.logits.split(sizes),
        joined.per_example.split(sizes),
        strict=True,
    )
    return {
        name: Encoded(x, h, Categorical(logits=log_q, validate_args=False), batch[name].y, extra)
        for name, x, h, log_q, extra in parts
    }
