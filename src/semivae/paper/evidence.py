"""A verdict on a claim, and the numbers it rests on as tables."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from semivae.markdown import table
from semivae.paper.spreads import ONE_SEED, SAME, Gain

HOLDS, PARTLY, MIXED = "holds", "holds in part", "mixed"
UNSHOWN, FAILS, OPEN = "not shown", "does not hold", "not decided"
ALL = (HOLDS, PARTLY, MIXED, UNSHOWN, FAILS, OPEN)


class Evidence(NamedTuple):
    """Numbers behind a verdict: what the table is of, its columns after the first, which names the
    lines, and the cells of each line by its name."""

    title: str
    columns: tuple[str, ...]
    lines: Mapping[str, tuple[str, ...]]

    @property
    def markdown(self) -> str:
        """As a table."""
        rows = [(name, *cells) for name, cells in self.lines.items()]
        return table((self.title, *self.columns), rows, right=range(1, 1 + len(self.columns)))


class Finding(NamedTuple):
    """A verdict, one of `ALL`, what it rests on in words, and the numbers."""

    verdict: str
    words: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def markdown(self) -> str:
        """The words, then the tables."""
        return "\n".join([f"{self.words}\n", *(of.markdown for of in self.evidence)])


NOTHING = Finding(OPEN, "Not measured to its end yet.")


def together(verdicts: Iterable[str], wanted: str) -> str:
    """One verdict of several comparisons.

    All as wanted: it holds; some and none to the contrary: in part; some of each: mixed; none of
    either: not shown; none as wanted and some to the contrary: it does not hold. Open without any,
    and with one seed alone.
    """
    found = list(verdicts)
    if not found or ONE_SEED in found:
        return OPEN
    hits, none = found.count(wanted), found.count(SAME)
    against = len(found) - hits - none
    if hits:
        return MIXED if against else PARTLY if none else HOLDS
    return FAILS if against else UNSHOWN


def compared(gains: Mapping[str, Gain], wanted: str, words: str, *evidence: Evidence) -> Finding:
    """The verdict of several differences, by name; open without any."""
    if not gains:
        return NOTHING
    return Finding(together((of.verdict for of in gains.values()), wanted), words, evidence)


def differences(title: str, gains: Mapping[str, Gain], digits: int) -> Evidence:
    """Differences over paired seeds, by name; the title says of what, in which unit."""
    lines = {name: (of.text(digits), of.verdict, str(of.seeds)) for name, of in gains.items()}
    return Evidence(title, ("difference", "verdict", "seeds"), lines)


def judged(of: Gain, digits: int) -> str:
    """A difference with its verdict as one cell."""
    return f"{of.text(digits)} ({of.verdict})"
