"""Two streams of batches from arrays that stay as given; a step's rows are a function of its
number."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from semivae.data.scaling import Scaling
from semivae.noise import key


class SemiSupervisedBatches:
    """The labeled and the unlabeled rows of a training set, in an order keyed by `seed`.

    x (N, *X) stays as given (uint8, memory-mapped ...); y (N,) holds class numbers, -1 where
    unlabeled. An epoch is one pass over the unlabeled rows, or over the labeled ones if there are
    none; it is cut into equal batches of at most `unlabeled_rows`, so that each row is seen once
    and no batch is tiny. The labeled stream cycles through reshuffled passes, `labeled_rows` (at
    most all of them) a step.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: Int[np.ndarray, "N"],
        classes: int,
        scaling: Scaling,
        labeled_rows: int,
        unlabeled_rows: int,
        seed: int,
    ) -> None:
        self.x, self.y, self.classes, self.scaling = x, y, classes, scaling
        self.labeled = np.flatnonzero(y >= 0)
        self.unlabeled = np.flatnonzero(y < 0)
        self.labeled_rows = min(labeled_rows, len(self.labeled))
        self.unlabeled_rows = unlabeled_rows
        self.seed = seed
        self._passes: dict[str, tuple[int, np.ndarray]] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the unlabeled rows (the labeled ones if there are none)."""
        if len(self.unlabeled):
            return -(-len(self.unlabeled) // self.unlabeled_rows)
        return -(-len(self.labeled) // self.labeled_rows)

    @property
    def fewest_unlabeled(self) -> int:
        """Rows of the unlabeled stream in the smallest step of an epoch; 0 if there are none."""
        return len(self.unlabeled) // self.steps_per_epoch

    def labeled_at(self, step: int) -> Int[np.ndarray, "Bl"]:
        """The rows of the labeled stream at a step: a window on an endless sequence of passes."""
        n = len(self.labeled)
        start = step * self.labeled_rows
        positions = np.arange(start, start + self.labeled_rows)
        parts = [
            self._pass("labeled", number, n)[positions[positions // n == number] % n]
            for number in range(start // n, int(positions[-1]) // n + 1)
        ]
        rows: np.ndarray = self.labeled[np.concatenate(parts)]
        return rows

    def unlabeled_at(self, step: int) -> Int[np.ndarray, "Bu"]:
        """The rows of the unlabeled stream at a step: a share of this epoch's permutation."""
        n = len(self.unlabeled)
        epoch, batch = divmod(step, self.steps_per_epoch)
        first = batch * n // self.steps_per_epoch
        last = (batch + 1) * n // self.steps_per_epoch
        rows: np.ndarray = self.unlabeled[self._pass("unlabeled", epoch, n)[first:last]]
        return rows

    def x_at(self, rows: Int[np.ndarray, "B"], device: torch.device) -> Tensor:
        """x of these rows on the device, scaled there."""
        return self.scaling.apply(torch.from_numpy(np.ascontiguousarray(self.x[rows])).to(device))

    def y_at(self, rows: Int[np.ndarray, "B"], device: torch.device) -> Tensor:
        """The labels of these rows as one-hot (B, K)."""
        y = torch.from_numpy(self.y[rows]).to(device).long()
        return torch.nn.functional.one_hot(y, self.classes).float()

    def _pass(self, stream: str, number: int, n: int) -> np.ndarray:
        kept = self._passes.get(stream)
        if kept is None or kept[0] != number:
            order = np.random.default_rng(key(self.seed, "order", stream, number)).permutation(n)
            self._passes[stream] = kept = (number, order)
        return kept[1]
