"""What `benchmarks.choose` tries: the candidates of each side, as values."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from semivae.fitting import Hooks, Trained, train
from semivae.paper.sides import NO_VIEWS
from semivae.predictor import TrainingSet
from semivae.recipe import Recipe

SPLIT = 100
Settings = tuple[str, ...]
Run = Callable[[TrainingSet, Recipe, int, Hooks], Trained]


class Task(NamedTuple):
    """What settings are tried on: a data set, how many labels train and how many score, and the
    seed that draws them, which no run has."""

    data: str
    labels: int
    validation: int
    split: int = SPLIT


MNIST, CIFAR10 = Task("mnist", 1000, 2000), Task("cifar10", 1000, 5000)
FEW_LABELS = MNIST._replace(labels=100)
# With few labels one split says little: which they are moves the accuracy by several points.
FEW_LABELS_SPLITS = tuple(FEW_LABELS._replace(split=SPLIT + i) for i in range(3))
# With 50 one of these went wrong under our default, two under the classifier alone
# (auto-tried.jsonl): two digits half exchanged.
FEWER_LABELS_SPLITS = tuple(each._replace(labels=50) for each in FEW_LABELS_SPLITS)


class Side(NamedTuple):
    """A recipe, its objective if it is not the recipe's own, what it is tried on, the settings to
    try, and what trains: the recipe or its supervised-only baseline."""

    recipe: str
    objective: str | None
    tasks: tuple[Task, ...]
    grid: list[Settings]
    run: Run = train


class Plan(NamedTuple):
    """How long a trial trains (None: its recipe or settings say so), and the two sides, M2 first;
    None: of what both share nothing is left to choose."""

    epochs: int | None
    m2: Side | None
    optimized: Side


def alpha_sigma(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for M2."""
    return [
        (f"objective.alpha={alpha:g}", f"likelihood.sigma={sigma:g}") for alpha, sigma in pairs
    ]


def alpha_epochs(*triples: tuple[float, int, float]) -> list[Settings]:
    """Candidates for M2 at sigma = 1: alpha, epochs, the last share over which weights are
    averaged."""
    return [
        (
            f"objective.alpha={alpha:g}",
            "likelihood.sigma=1",
            f"training.epochs={epochs}",
            f"training.average={average:g}",
        )
        for alpha, epochs, average in triples
    ]


def before_smoothness(epochs: int, settings: Iterable[Settings], data: str) -> list[Settings]:
    """Candidates of when our default recipe had neither smoothness nor views, and more passes."""
    base = ("smoothness.weight=0", f"training.epochs={epochs}", *NO_VIEWS.get(data, ()))
    return [(*base, *each) for each in settings]


def beta_gamma(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for Optimized-ELBO."""
    return [(f"objective.beta={beta:g}", f"objective.gamma={gamma:g}") for beta, gamma in pairs]


def peak_corruption(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for either side: the highest learning rate, the noise on what q reads."""
    return [
        (f"training.optimizer.peak={peak:g}", f"training.corruption={corruption:g}")
        for peak, corruption in pairs
    ]


def smoothness(*pairs: tuple[float, float]) -> list[Settings]:
    """Candidates for either side: weight and radius of the smoothness."""
    return [
        (f"smoothness.weight={weight:g}", f"smoothness.radius={radius:g}")
        for weight, radius in pairs
    ]


def alpha_beta_gamma(*triples: tuple[float, float | str, float]) -> list[Settings]:
    """Candidates for Optimized-ELBO; a text is a schedule."""
    return [
        (f"objective.alpha={alpha:g}", f"objective.beta={beta}", f"objective.gamma={gamma:g}")
        for alpha, beta, gamma in triples
    ]


PLANS = {
    "mnist": Plan(
        4,
        Side(
            "paper-m2",
            None,
            (MNIST,),
            alpha_sigma((30, 0.25), (100, 0.25), (300, 0.25), (30, 0.5), (100, 0.5), (300, 0.5)),
        ),
        Side(
            "paper-optimized",
            None,
            (MNIST,),
            beta_gamma((3, 3), (10, 10), (30, 30), (100, 100), (300, 300), (30, 100)),
        ),
    ),
    # Earlier rounds, in the log too: four epochs, then two with (alpha, sigma) = (10, 1), (30, 1),
    # (10, 0.5), (30, 0.5), (30, 0.25), (100, 0.25). M2 is best early and falls from then on, so
    # that this round chooses how long to train and to average.
    "cifar10": Plan(
        None,
        Side(
            "paper-m2",
            None,
            (CIFAR10,),
            alpha_epochs((10, 1, 0.25), (20, 1, 0.5), (30, 1, 0.5), (7, 2, 0.5), (10, 2, 0.75)),
        ),
        Side(
            "paper-optimized",
            None,
            (CIFAR10,),
            beta_gamma((1, 3), (1, 10), (3, 3), (3, 10), (1, 30)),
        ),
    ),
    # Earlier rounds, in the log too: on MNIST with 1,000 labels under Gumbel-Softmax, 6 epochs at
    # a peak of 0.001, alpha, then beta and gamma.
    "auto": Plan(
        None,
        Side(
            "auto",
            "equation_8",
            (MNIST, FEW_LABELS),
            before_smoothness(
                10,
                (
                    ("objective.alpha=10", *settings)
                    for settings in peak_corruption(
                        (0.001, 0), (0.003, 0), (0.005, 0), (0.003, 0.3), (0.003, 0.5)
                    )
                ),
                "mnist",
            ),
        ),
        Side(
            "auto",
            None,
            (MNIST, FEW_LABELS),
            alpha_beta_gamma(
                (10, 10, 10), (10, 3, 3), (10, 30, 30), (50, 10, 10), (50, "ramp(-15,0,0.5)", 10)
            ),
        ),
    ),
    # How smooth our default recipe is, in as much time as it had: fewer passes, since each takes
    # longer. That it is smooth at all was seen in trials by hand (auto-tried.jsonl), beside those
    # of `auto`; a radius of 0.1 and (50, "ramp(-15,0,0.5)", 10) were planned and not tried.
    "auto-smooth": Plan(
        None,
        Side(
            "auto",
            "equation_8",
            (MNIST, *FEW_LABELS_SPLITS),
            [
                ("objective.alpha=10", "training.epochs=6", *settings)
                for settings in smoothness((10, 0.045), (10, 0.07))
            ],
        ),
        Side(
            "auto",
            None,
            (MNIST, *FEW_LABELS_SPLITS),
            alpha_beta_gamma((10, 10, 10), (10, 1, 1)),
        ),
    ),
    # Sharp at once as chosen above, or little by little, also where few labels went wrong. That
    # needs a bound that counts less, which otherwise makes q(y|x) as sharp as its decoder is.
    "auto-soft": Plan(
        None,
        None,
        Side(
            "auto",
            None,
            (MNIST, *FEW_LABELS_SPLITS, *FEWER_LABELS_SPLITS),
            [
                ("training.epochs=6", *smooth, *symbols)
                for smooth, symbols in zip(
                    smoothness((10, 0.07), (300, 0.07)),
                    alpha_beta_gamma((10, 10, 10), (300, "ramp(-300,300,0.5)", 300)),
                    strict=True,
                )
            ],
        ),
    ),
    # M2 collapses on CIFAR-10 at the learning rate of `auto`; ours keeps it whatever comes here.
    "auto-cifar10": Plan(
        None,
        Side(
            "auto",
            "equation_8",
            (CIFAR10,),
            before_smoothness(
                12,
                (
                    ("objective.alpha=10", *settings)
                    for settings in peak_corruption((0.001, 0), (0.003, 0), (0.003, 0.3))
                ),
                "cifar10",
            ),
        ),
        Side(
            "auto",
            None,
            (CIFAR10,),
            before_smoothness(
                12,
                (
                    (*settings, "objective.alpha=10", "objective.beta=10", "objective.gamma=10")
                    for settings in peak_corruption((0.003, 0), (0.003, 0.3))
                ),
                "cifar10",
            ),
        ),
    ),
}

# Passes over the 1,000 labels, 8 steps each. The results table takes the best without noise, as
# neither side has any; label-counts the best of all.
SUPERVISED: list[Settings] = [
    (f"baseline.epochs={passes}",) for passes in (10, 20, 40, 80, 188, 400)
] + [(f"baseline.epochs={passes}", "baseline.corruption=0.3") for passes in (20, 40, 80, 188, 400)]
