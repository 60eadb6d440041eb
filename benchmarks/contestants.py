"""Who is timed: our training loop and prediction, on rows that every contestant shares."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch.utils.data import TensorDataset

from benchmarks import textbook
from semivae.data.batches import SemiSupervisedBatches
from semivae.data.scaling import pixels
from semivae.label_draws import LabelRule
from semivae.models.networks import Network
from semivae.models.specs import Bernoulli, Factorized, M2Spec
from semivae.objectives import equation_8
from semivae.optimizers import Adam
from semivae.predictor import Predictor
from semivae.streams import StepState
from semivae.training import Step, Training, autocast, fit, step_input

SEED = 0
N_LABELED, LABELS_PER_CLASS = 1_000, 10  # at least


class Case(NamedTuple):
    """A network on a shape of data, as the textbook writes it and as we do."""

    name: str
    image: textbook.Shape
    classes: int
    textbook: Callable[[textbook.Shape, int], textbook.Networks]
    network: Network
    rows: int = 60_000  # unlabeled ones; as many are predicted in one call


class Contestant(Protocol):
    """A training loop that can be stopped and continued."""

    def run(self, steps: int) -> int:
        """Train for so many steps; returns the number of unlabeled rows consumed."""


class Rows(NamedTuple):
    """What every contestant trains on, as a reader of image files returns it."""

    labeled_x: torch.Tensor  # (N_l, C, H, W), uint8
    labeled_y: torch.Tensor  # (N_l,), int64
    unlabeled_x: torch.Tensor  # (N_u, C, H, W), uint8

    def as_floats(self) -> tuple[TensorDataset, TensorDataset]:
        """As in a tutorial: the whole data set becomes float once, outside what is timed."""
        return (
            TensorDataset(self.labeled_x / 255.0, self.labeled_y),
            TensorDataset(self.unlabeled_x / 255.0),
        )


def synthetic_rows(case: Case, n_unlabeled: int) -> Rows:
    """A pattern per class, half covered by noise; classes are balanced."""
    generator = torch.Generator().manual_seed(SEED)

    def noise(n: int) -> torch.Tensor:
        return torch.randint(128, (n, *case.image), dtype=torch.uint8, generator=generator)

    patterns = noise(case.classes)
    n_labeled = max(N_LABELED, LABELS_PER_CLASS * case.classes)
    labeled_y, unlabeled_y = (torch.arange(n) % case.classes for n in (n_labeled, n_unlabeled))
    return Rows(
        patterns[labeled_y] + noise(n_labeled),
        labeled_y,
        patterns[unlabeled_y] + noise(n_unlabeled),
    )


class Ours:
    """The bound of semivae on the same network, through its own training loop."""

    def __init__(self, case: Case, rows: Rows, labels: LabelRule, bfloat16: bool) -> None:
        self.objective = equation_8(alpha=textbook.ALPHA, labels=labels)
        self.training = Training(epochs=1, optimizer=Adam(1e-3), bfloat16=bfloat16)
        unlabeled = torch.full((len(rows.unlabeled_x),), -1)
        self.batches = SemiSupervisedBatches(
            torch.cat([rows.labeled_x, rows.unlabeled_x]).numpy(),
            torch.cat([rows.labeled_y, unlabeled]).numpy(),
            case.classes,
            pixels(255.0),
            self.training.labeled_rows,
            self.training.unlabeled_rows,
            SEED,
        )
        spec = M2Spec(case.network, Factorized(), Bernoulli())
        self.model = spec.build(case.image, torch.zeros(case.classes), SEED)

    def run(self, steps: int) -> int:
        """Starts the loop anew on the same weights, so that its set-up is in the time."""
        fit(self.model, self.objective, self.batches, self.training, SEED, stop_after=steps)
        return sum(len(self.batches.unlabeled_at(step)) for step in range(steps))


class Bare:
    """Forward, backward and optimizer alone, on the weights of `ours`: what is beyond them in our
    loop (batches, checks, logging, setting up) is its overhead."""

    def __init__(self, ours: Ours) -> None:
        self.ours = ours
        self.step = Step(ours.model, ours.objective)
        self.optimizer = ours.training.optimizer.build(ours.model.parameters())
        self.inputs = [
            step_input(ours.batches, ours.objective.streams, SEED, step, torch.device("cpu"))
            for step in range(8)
        ]
        self.buffers = ours.objective.initial_buffers(ours.model)

    def run(self, steps: int) -> int:
        """Trains on a few batches that were made before, again and again."""
        precision = autocast(self.ours.training.bfloat16, torch.device("cpu"))
        self.ours.model.train()
        for step in range(steps):
            batch, noise = self.inputs[step % len(self.inputs)]
            with precision:
                loss = self.step(batch, noise, StepState(step, 0.0, self.buffers)).loss
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return sum(
            len(self.inputs[step % len(self.inputs)][0]["unlabeled"].x) for step in range(steps)
        )


class TextbookPrediction:
    """q(y|x) of all rows, once per step."""

    def __init__(self, case: Case, rows: Rows) -> None:
        self.network = textbook.M2(case.textbook(case.image, case.classes), case.classes)
        self.images = rows.unlabeled_x / 255.0

    def run(self, steps: int) -> int:
        """The number of rows predicted."""
        for _ in range(steps):
            textbook.predict_proba(self.network, self.images)
        return steps * len(self.images)


class OurPrediction:
    """The same by our predictor, from the bytes of the images."""

    def __init__(self, case: Case, rows: Rows, bfloat16: bool) -> None:
        model = M2Spec(case.network, Factorized(), Bernoulli()).build(
            case.image, torch.zeros(case.classes), SEED
        )
        names = tuple(map(str, range(case.classes)))
        self.predictor = Predictor(model, pixels(255.0), names, case.image, bfloat16)
        self.images = rows.unlabeled_x.numpy()

    def run(self, steps: int) -> int:
        """The number of rows predicted."""
        for _ in range(steps):
            self.predictor.predict_proba(self.images)
        return steps * len(self.images)
