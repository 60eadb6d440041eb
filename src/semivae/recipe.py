"""A recipe: all that configures a run except its data and seed, as one value; and one with a name,
with what it reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from semivae.label_draws import LabelRule
from semivae.models.specs import (
    AnyNetwork,
    Family,
    LikelihoodSpec,
    ModelSpec,
)
from semivae.nets import Shape
from semivae.objective_specs import ObjectiveSpec
from semivae.smoothness import Smoothness
from semivae.training import Training


@dataclass(frozen=True)
class Recipe:
    """Everything that configures a run except its data and seed: hashable plain values.

    `training` is the semi-supervised run, `baseline` the supervised-only one on the same network,
    whose epochs are passes over the labeled rows. `pretraining` is a first stage, on all rows and
    no label, of the M1 below an M1+M2, which is then frozen; None: one stage, all of the model.
    `refining` is a last stage after these two, of M1 and M2 together under the joint bound.
    `probe` training rows are measured after each epoch of `training` (`probing.Probe`); 0: none.
    They change the log and not the model. `smoothness` counts beside the objective.
    """

    network: AnyNetwork
    family: Family
    likelihood: LikelihoodSpec
    labels: LabelRule
    objective: ObjectiveSpec
    training: Training
    baseline: Training
    pretraining: Training | None = None
    refining: Training | None = None
    probe: int = 0
    smoothness: Smoothness = Smoothness()  # noqa: RUF009  (a frozen value)

    def __post_init__(self) -> None:
        if self.probe < 0:
            raise ValueError(f"probe={self.probe}: give a number of rows, or 0 for none")
        if self.refining and not self.pretraining:
            raise ValueError("refining comes after a pretraining: choose the recipe m1m2")
        if self.pretraining and self.training.corruption:
            of_x = "pretraining.corruption" + (self.refining is not None) * " or refining's"
            raise ValueError(
                f"training.corruption={self.training.corruption:g} is noise on x, and after a "
                f"pretraining M2 reads codes: set {of_x}"
            )
        if self.pretraining and not self.refining and self.smoothness.weight != 0.0:
            raise ValueError(
                f"smoothness.weight={self.smoothness.weight} is of q(y|x) near x, and after a "
                "pretraining M2 reads codes: choose the recipe m1m2-refined or m1m2-joint"
            )

    @property
    def model(self) -> ModelSpec:
        """The model's specification."""
        return self.family.spec(self.network, self.likelihood)

    @property
    def epochs(self) -> tuple[int, ...]:
        """Passes over the rows in each stage."""
        stages = (self.pretraining, self.training, self.refining)
        return tuple(stage.epochs for stage in stages if stage)


class DataFacts(NamedTuple):
    """What a recipe may know of the data: the shape of an example and the counts of rows."""

    event: Shape
    n_labeled: int
    n_unlabeled: int
    classes: int


class Reached(NamedTuple):
    """What a recipe reached on a test set: mean and standard error over seeds, in percent.

    `minutes` of training per run, one thread; `command` shows it, from the run files in `source`.
    `settings` are those that the runs had in place of the recipe's, as `semivae fit --set` takes
    them; so many labels of the same training rows were `used_to_choose` them.
    """

    data: str
    labels: int
    accuracy: float
    standard_error: float
    seeds: int
    minutes: float
    command: str
    source: str
    settings: tuple[str, ...] = ()
    used_to_choose: int = 0


class NamedRecipe(NamedTuple):
    """A recipe as users choose it; `reached` is empty where nothing was measured yet.

    `chosen_on`: how many labels of which data sets chose what the recipe does. What it reaches
    there says less than what it reaches elsewhere.
    """

    summary: str
    build: Callable[[DataFacts], Recipe]
    reached: tuple[Reached, ...] = ()
    chosen_on: Mapping[str, int] = {}
