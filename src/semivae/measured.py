"""What chose our recipes, and what they reached: the numbers of benchmarks/results that the code
itself states."""

from collections.abc import Mapping

from semivae.recipe import Reached

Settings = tuple[str, ...]

# 1,000 labels trained each trial of the choice, and 2,000 (MNIST) or 5,000 (CIFAR-10) scored it.
# Those of MNIST chose our default recipe too; on those of CIFAR-10 it was looked at, M2's learning
# rate under it was chosen, and later views of images, with the passes of labels alone in them.
LABELS_USED_TO_CHOOSE: Mapping[str, int] = {"mnist": 3000, "cifar10": 6000}
# Our defaults with smoothness were tried with 100 labels of splits 101 to 106 too, 2,100 each, and
# with 50, whose rows are among these; on CIFAR-10 also with 1,000 of splits 101 and 102, and with
# 4,000 of split 100.
LABELS_USED_TO_SMOOTH: Mapping[str, int] = {"mnist": 15_600, "cifar10": 21_000}
# The paper's recipes stand as they suit MNIST.
CHOSE_PAPER: Mapping[str, int] = {"mnist": LABELS_USED_TO_CHOOSE["mnist"]}
# 100 labels of split 100 trained each trial by hand, and 2,000 scored it.
CHOSE_REFINED: Mapping[str, int] = {"mnist": 2100}
# Those of few rows were chosen on three splits of the digits, together most of its training rows.
CHOSE_AUTO: Mapping[str, int] = {**LABELS_USED_TO_SMOOTH, "digits": 1347}


def _table(
    data: str,
    accuracy: float,
    standard_error: float,
    minutes: float,
    settings: Settings = (),
    seeds: int = 3,
) -> Reached:
    """A row of the results table, whose rows have 1,000 labels."""
    return Reached(
        data,
        labels=1000,
        accuracy=accuracy,
        standard_error=standard_error,
        seeds=seeds,
        minutes=minutes,
        command="semivae reproduce results-table",
        source="benchmarks/results/results-table",
        settings=settings,
        used_to_choose=LABELS_USED_TO_CHOOSE[data] if settings else 0,
    )


# What the paper's two recipes have on CIFAR-10 in place of what suits MNIST.
_CIFAR10 = (
    "training.epochs=1",
    "objective.alpha=10",
    "likelihood.sigma=1",
    "training.average=0.25",
)
_CIFAR10_OPTIMIZED = (*_CIFAR10, "objective.beta=1", "objective.gamma=3")


def _family(
    row: str,
    labels: int,
    accuracy: float,
    standard_error: float,
    minutes: float,
    settings: Settings,
) -> Reached:
    """A row of the family, over seeds 0 to 2 of MNIST; as many labels as train it trained each
    trial of its settings, and 2,000 scored it."""
    return Reached(
        "mnist",
        labels,
        accuracy,
        standard_error,
        seeds=3,
        minutes=minutes,
        command=f"python -m benchmarks.family run {row}",
        source="benchmarks/results/family",
        settings=settings,
        used_to_choose=2000 + labels,
    )


# What the rows of the family have in place of what was published, as their trials chose.
_SOFT_FIRST = (
    "objective=optimized_elbo",
    "objective.alpha=50",
    "objective.beta=ramp(-15,0,0.5)",
    "objective.gamma=10",
    "labels=pruned",
    "training.learning_rate=one-cycle",
)
_SMALL_BATCHES = ("training.labeled_rows=100", "training.unlabeled_rows=100")
_SMOOTH = (*_SOFT_FIRST, "smoothness.weight=10", "training.optimizer.peak=0.003")

REACHED: Mapping[str, tuple[Reached, ...]] = {
    "auto": (
        _table("mnist", 98.69, 0.02, minutes=5.5),
        _table("cifar10", 47.56, 0.80, minutes=11.4),
    ),
    "paper-m2": (
        _table("mnist", 97.42, 0.04, minutes=11.1),
        _table("cifar10", 37.20, 0.72, minutes=0.8, settings=_CIFAR10, seeds=10),
    ),
    "paper-optimized": (
        _table("mnist", 97.90, 0.05, minutes=7.6),
        _table("cifar10", 38.23, 0.60, minutes=0.8, settings=_CIFAR10_OPTIMIZED, seeds=10),
    ),
    "kingma-m2": (
        _family(
            "m2-100",
            labels=100,
            accuracy=96.92,
            standard_error=0.28,
            minutes=29.8,
            settings=(
                *_SOFT_FIRST,
                *_SMALL_BATCHES,
                "network=mlp",
                "network.hidden=500",
                "network.latent=50",
                "training.corruption=0.5",
                "training.optimizer.peak=0.001",
            ),
        ),
    ),
    "m1m2": (
        Reached(
            "mnist",
            labels=1000,
            accuracy=93.91,
            standard_error=0.08,
            seeds=5,
            minutes=8.6,
            command="semivae reproduce label-counts",
            source="benchmarks/results/label-counts/runs",
            settings=("training.epochs=12",),
        ),
    ),
    "m1m2-joint": (
        _family(
            "m1m2-1000-smooth",
            labels=1000,
            accuracy=98.08,
            standard_error=0.06,
            minutes=24.5,
            settings=(
                *_SMOOTH,
                *_SMALL_BATCHES,
                "smoothness.radius=0.045",
                "training.epochs=40",
            ),
        ),
    ),
    "sdgm": (
        _family(
            "sdgm-100-smooth",
            labels=100,
            accuracy=98.03,
            standard_error=0.34,
            minutes=41.3,
            settings=(*_SMOOTH, "smoothness.radius=0.07", "training.epochs=30"),
        ),
    ),
}
