"""The runs of the ablation: one symbol of Optimized-ELBO moved at a time, and two grids."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from semivae.paper.asking import seeds_of
from semivae.paper.experiments import Run, probe_of, quick_look
from semivae.paper.sides import LABELS, OPTIMIZED, literal
from semivae.request import Request

ROWS, EPOCHS, VALIDATION = LABELS + 10_000, 8, 5000
KEYS: Mapping[str, str] = {
    "alpha": "objective.alpha",
    "beta": "objective.beta",
    "gamma": "objective.gamma",
    "epsilon": "objective.epsilon",
    "tau": "labels.tau",
    "sigma": "likelihood.sigma",
}


@dataclass(frozen=True)
class SymbolLevels:
    """The symbols of Optimized-ELBO; the defaults are those of the paper's results table."""

    alpha: float = 30.0
    beta: float = 10.0
    gamma: float = 10.0
    epsilon: float = 1e-3
    tau: float = 2 / 3
    sigma: float = 0.5

    def request(self, seed: int, quick: bool) -> Request:
        """The run; equal symbols make one request, whichever panel asks."""
        changes = [f"{KEYS[name]}={value!r}" for name, value in asdict(self).items()]
        request = literal("mnist", OPTIMIZED, *changes, probe_of(quick))
        full = replace(request, rows=ROWS, validation=VALIDATION, epochs=EPOCHS, seed=seed)
        return quick_look(full, epochs=2) if quick else full


LEVELS: Mapping[str, tuple[float, ...]] = {
    "alpha": (0.0, 3.0, 10.0, 30.0, 100.0),
    "beta": (-10.0, 0.0, 3.0, 10.0, 30.0),
    "gamma": (0.0, 1.0, 3.0, 10.0, 30.0),
    "epsilon": (0.0, 0.001, 0.01, 0.1, 0.3),
    "tau": (0.1, 0.3, 2 / 3, 1.0, 2.0),
}
TOTALS = (0.0, 0.5, 0.8, 1.0, 1.2, 2.0, 20.0)
GAMMAS = (0.0, 1.0, 10.0)
AS_CHOSEN = "alpha = 30, sigma = 0.5"
# At a large sigma log p(x|z, y) hardly depends on y, and without alpha the labels hold back less:
# what is left is the weight of the entropy, whose sign turns at beta + gamma = 1.
WEAK = "alpha = 0, sigma = 4"
GRIDS: Mapping[str, SymbolLevels] = {
    AS_CHOSEN: SymbolLevels(),
    WEAK: SymbolLevels(alpha=0.0, sigma=4.0),
}
# Cross-entropy to the hard label, at weight 30, leaves smoothing little: it moves without it too.
SMOOTHING_ALONE = "epsilon, alpha = 0"


class Alone(NamedTuple):
    """A panel in which one symbol moves: which, and where the others stand."""

    symbol: str
    others: SymbolLevels


PANELS: Mapping[str, Alone] = {
    **{name: Alone(name, SymbolLevels()) for name in LEVELS},
    SMOOTHING_ALONE: Alone("epsilon", SymbolLevels(alpha=0.0)),
}
# In a quick look: where a verdict is taken, and an end.
QUICK_LEVELS, QUICK_TOTALS, QUICK_GAMMAS = (0, 1, 4), (0.0, 1.0, 2.0, 20.0), (0.0, 10.0)


def plan(seeds: int | None, quick: bool) -> list[Run]:
    """Every symbol's levels with the others in their place, then both grids, seed by seed; a
    quick look takes some of them."""
    runs = []
    totals, gammas = (QUICK_TOTALS, QUICK_GAMMAS) if quick else (TOTALS, GAMMAS)
    for seed in seeds_of(seeds, quick):
        for panel, (symbol, others) in PANELS.items():
            levels = LEVELS[symbol]
            for level in [levels[i] for i in QUICK_LEVELS] if quick else levels:
                moved = replace(others, **{symbol: level})
                runs.append(Run(panel, OPTIMIZED, moved.request(seed, quick)))
        for panel, symbols in GRIDS.items():
            for gamma in gammas:
                line = [replace(symbols, beta=total - gamma, gamma=gamma) for total in totals]
                runs += [
                    Run(panel, f"gamma = {gamma:g}", point.request(seed, quick)) for point in line
                ]
    return runs
