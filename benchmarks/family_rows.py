"""The rows of benchmarks/family.py before they are run: what is held against what, and the trials
that choose the symbols."""

from dataclasses import replace
from typing import NamedTuple

from benchmarks.choose import Settings
from semivae.request import Request

VALIDATION, SEEDS = 2000, 3


class Row(NamedTuple):
    """A row before it is run: what it is held against, and how it is trained.

    The request has the epochs of the model on top, `trial_epochs` are those of a trial; `grid` has
    the settings that are tried, empty where the row is as published. target and published are in
    percent.
    """

    name: str
    model: str
    objective: str
    target: float | None
    published: str
    request: Request
    trial_epochs: int = 0
    grid: tuple[Settings, ...] = ()

    def asked(self, seed: int, settings: Settings, epochs: int | None = None) -> Request:
        """The request of a run or a trial."""
        base = self.request
        return replace(
            base,
            validation=VALIDATION,
            seed=seed,
            settings=(*base.settings, *settings),
            epochs=epochs or base.epochs,
            baseline=False,
        )

    def alone(self, seed: int, settings: Settings) -> Request:
        """What the same network is asked that learns no unlabeled row, under the same noise."""
        noise = "training.corruption="
        own = [f"baseline.{each.partition('.')[2]}" for each in settings if each.startswith(noise)]
        return self.asked(seed, (*settings, *own))


ONE_CYCLE: Settings = ("training.optimizer.peak=0.001", "training.learning_rate=one-cycle")
PRUNED: Settings = ("labels=pruned",)


def alpha_beta_gamma(*triples: tuple[float, str, float]) -> tuple[Settings, ...]:
    """Candidates for the symbols of Optimized-ELBO; beta may be a ramp."""
    return tuple(
        (f"objective.alpha={alpha:g}", f"objective.beta={beta}", f"objective.gamma={gamma:g}")
        for alpha, beta, gamma in triples
    )


KINGMA, EQ_8, OPTIMIZED = "Kingma's", "Eq 8", "Optimized-ELBO (3.6)"
M2_REQUEST = Request(
    "mnist", labels=100, recipe="kingma-m2", settings=(*PRUNED, *ONE_CYCLE), epochs=100
)
# Two hidden layers, as SDGM has, in batches as small as its.
DEEP: Settings = (
    "network=mlp", "network.hidden=500", "network.latent=50",
    "training.labeled_rows=100", "training.unlabeled_rows=100",
)  # fmt: skip
M1M2_REQUEST = Request("mnist", labels=100, recipe="m1m2", settings=PRUNED, epochs=200)
SDGM_REQUEST = Request(
    "mnist", labels=100, recipe="sdgm", settings=(*PRUNED, *ONE_CYCLE), epochs=60
)
# At once sharp and balanced, or soft until the decoder knows the classes: beta + gamma below 0 at
# first, and above 1 only later.
SOFT_FIRST = ("ramp(-15,0,0.5)", "ramp(-15,-5,1)")


def grid(labels: int) -> tuple[Settings, ...]:
    """Both streams weighing alike; or each by its rows, as Kingma has it, so that the decoder does
    not learn the few labeled rows by heart, with log q(y|x) weighing 5 per step."""
    alike = alpha_beta_gamma((50, "10", 10), *((50, beta, 10) for beta in SOFT_FIRST))
    by_rows = alpha_beta_gamma(*((300_000 / labels, beta, 10) for beta in SOFT_FIRST))
    return (*alike, *(("objective.weighting=dataset", *settings) for settings in by_rows))


def corrupted(*symbols: Settings) -> tuple[Settings, ...]:
    """Each under noise of these standard deviations, in grey values from 0 to 1, on what q
    reads."""
    noise = (0.0, 0.3, 0.5, 0.8)
    return tuple((*of, f"training.corruption={c:g}") for of in symbols for c in noise)


ROWS = (
    Row("m2-100-kingma", "M2", KINGMA, None, "88.03; 92.85 in 3,000 epochs", M2_REQUEST),
    Row(
        "m2-100-deep",
        "M2",
        EQ_8,
        None,
        "88.03; 92.85 in 3,000 epochs",
        replace(M2_REQUEST, objective="equation_8", settings=(*M2_REQUEST.settings, *DEEP)),
        trial_epochs=12,
        grid=corrupted(()),
    ),
    Row(
        "m2-100",
        "M2",
        OPTIMIZED,
        95.0,
        "88.03; 92.85 in 3,000 epochs",
        replace(M2_REQUEST, objective="optimized_elbo", settings=(*M2_REQUEST.settings, *DEEP)),
        trial_epochs=12,
        grid=corrupted(*alpha_beta_gamma((50, SOFT_FIRST[0], 10))),
    ),
    Row(
        "m1m2-100-kingma",
        "M1+M2",
        KINGMA,
        None,
        "96.67; 97.20",
        replace(M1M2_REQUEST, objective="kingma_2014"),
    ),
    Row(
        "m1m2-100",
        "M1+M2",
        OPTIMIZED,
        97.5,
        "96.67; 97.20",
        replace(M1M2_REQUEST, objective="optimized_elbo"),
        trial_epochs=20,
        grid=grid(100),
    ),
    Row(
        "m1m2-1000",
        "M1+M2",
        OPTIMIZED,
        98.0,
        "97.60",
        replace(M1M2_REQUEST, labels=1000, objective="optimized_elbo"),
        trial_epochs=20,
        grid=grid(1000),
    ),
    Row("sdgm-100-published", "SDGM", EQ_8, None, "about 99 in 1,000 epochs", SDGM_REQUEST),
    Row(
        "sdgm-100",
        "SDGM",
        OPTIMIZED,
        98.5,
        "about 99 in 1,000 epochs; ADGM 99.04",
        replace(SDGM_REQUEST, objective="optimized_elbo"),
        trial_epochs=8,
        grid=grid(100),
    ),
)
