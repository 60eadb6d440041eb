"""Which rows keep their label: balanced draws by seed, hold-out rows, and the -1 convention.

A row without a label has y = -1. Everything here returns row numbers, so that a split can be
written down (`split.json`) and drawn again.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from semivae.data.classes import UNLABELED
from semivae.errors import InputError


@dataclass(frozen=True, eq=False)
class LabelSplit:
    """Row numbers of one draw of labels from N training rows, each array sorted.

    labeled: rows whose label the model is trained on.
    validation: further rows whose label may be used to choose something, never to train on. Their
        images are training images all the same, so they are in `unlabeled` as well.
    unlabeled: all rows that are not in `labeled`.
    seed: what the draw was made from.

    Raises InputError if `labeled` and `unlabeled` are not the rows 0 to N-1, each once, or a
    validation row is not unlabeled.
    """

    labeled: Int64[np.ndarray, " L"]
    validation: Int64[np.ndarray, " V"]
    unlabeled: Int64[np.ndarray, " U"]
    seed: int

    def __post_init__(self) -> None:
        rows = np.sort(np.concatenate([self.labeled, self.unlabeled]))
        if not np.array_equal(rows, np.arange(len(rows))):
            raise InputError(
                "a split needs each row either in labeled or in unlabeled, numbered from 0"
            )
        if not np.isin(self.validation, self.unlabeled).all() or _repeats(self.validation):
            raise InputError("a split needs distinct validation rows, none of them in labeled")

    @classmethod
    def of_rows(
        cls,
        n_rows: int,
        labeled: Int64[np.ndarray, " L"],
        validation: Int64[np.ndarray, " V"],
        seed: int,
    ) -> "LabelSplit":
        """The split of `n_rows` rows with these labeled and validation rows. Raises InputError."""
        unlabeled = np.setdiff1d(np.arange(n_rows, dtype=np.int64), labeled)
        return cls(np.sort(labeled), np.sort(validation), unlabeled, seed)

    @property
    def n_labels_used_to_choose(self) -> int:
        """How many labels may choose a setting or an epoch, beside those trained on."""
        return len(self.validation)

    def to_json(self) -> dict[str, int | list[int]]:
        """Plain values for `split.json`; the unlabeled rows are all others, so only N is kept."""
        return {
            "n_rows": len(self.labeled) + len(self.unlabeled),
            "labeled": self.labeled.tolist(),
            "validation": self.validation.tolist(),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, values: object) -> "LabelSplit":
        """The split that `to_json` described. Raises InputError if the values are no split."""
        if not isinstance(values, Mapping):
            raise InputError(f"a split is a JSON object, not {type(values).__name__}")
        n_rows, seed = (_count(values, key) for key in ("n_rows", "seed"))
        labeled, validation = (_rows(values, key, n_rows) for key in ("labeled", "validation"))
        return cls.of_rows(n_rows, labeled, validation, seed)


def balanced_split(
    y: Int[np.ndarray, " N"],
    n_labels: int,
    seed: int,
    n_validation: int = 0,
    classes: int | None = None,
    names: Sequence[str] = (),
) -> LabelSplit:
    """Draws `n_labels` rows to keep their label, as many of each class, and validation rows.

    y: labels from 0 to `classes` - 1; rows with -1 are never drawn. `classes` defaults to the
    largest label plus one; `names` are theirs in errors. What is left over after an equal share
    goes to classes by seed.

    The draws of one seed are nested: more labels keep the rows of fewer, and validation rows are
    further down the same order, so asking for them does not change the labeled ones.

    Raises InputError for fewer labels than classes, and for a class with too few rows.

    >>> split = balanced_split(np.array([0, 1] * 10), n_labels=4, seed=0)
    >>> len(split.labeled), len(split.unlabeled), int(np.array([0, 1] * 10)[split.labeled].sum())
    (4, 16, 2)
    """
    n_classes = int(y.max(initial=-1)) + 1 if classes is None else classes
    if n_classes < 1 or y.min(initial=0) < UNLABELED or y.max(initial=-1) >= n_classes:
        raise InputError(
            f"labels must be from 0 to {n_classes - 1}, or -1 for none: "
            f"these are from {y.min(initial=0)} to {y.max(initial=-1)}"
        )
    if n_labels < n_classes:
        raise InputError(
            f"{n_labels} is fewer labels than classes: give at least {n_classes}, one for each"
        )
    if n_validation < 0 or seed < 0:
        raise InputError(
            f"n_validation={n_validation} and seed={seed}: neither can be less than 0"
        )
    rng = np.random.default_rng(seed)
    n_labeled = _shares(n_labels, rng.permutation(n_classes))
    n_held = _shares(n_validation, rng.permutation(n_classes))
    labeled, validation = [], []
    for k in range(n_classes):
        rows = rng.permutation(np.flatnonzero(y == k))
        first, last = n_labeled[k], n_labeled[k] + n_held[k]
        if last > len(rows):
            raise InputError(
                f"class {names[k] if names else k} has {len(rows)} labeled rows, and {last} are "
                f"needed for {n_labels} labels and {n_validation} validation labels over "
                f"{n_classes} classes: ask for fewer or give more rows of that class"
            )
        labeled.append(rows[:first])
        validation.append(rows[first:last])
    return LabelSplit.of_rows(
        len(y),
        np.concatenate(labeled).astype(np.int64),
        np.concatenate(validation).astype(np.int64),
        seed,
    )


def holdout(
    labeled: Int64[np.ndarray, " L"], y: Int[np.ndarray, " N"], fraction: float, seed: int
) -> tuple[Int64[np.ndarray, " T"], Int64[np.ndarray, " V"]]:
    """Splits labeled rows into rows to train on and rows to choose by, both sorted.

    `fraction` of the rows are held out, to the nearest row and in the proportions of the classes;
    of each class at least one row stays in training, so with one label per class none is held out.

    Raises InputError for a fraction outside of [0, 1) and for a row without a label.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"fraction={fraction}: hold out at least 0 and less than 1")
    codes = y[labeled]
    if (codes == UNLABELED).any():
        raise InputError(f"row {labeled[codes == UNLABELED][0]} has no label to be held out by")
    rng = np.random.default_rng(seed)
    present, sizes = np.unique(codes, return_counts=True)
    quota = fraction * sizes
    held = np.minimum(np.floor(quota).astype(np.int64), sizes - 1)
    # Largest remainder; the order is drawn before sorting, so that the seed settles ties.
    order = rng.permutation(len(present))
    order = order[np.argsort(-(quota - np.floor(quota))[order], kind="stable")]
    missing = int(fraction * len(labeled) + 0.5) - int(held.sum())
    for k in order:
        if missing > 0 and held[k] < sizes[k] - 1:
            held[k] += 1
            missing -= 1
    groups = [rng.permutation(labeled[codes == k]) for k in present]
    validation = [group[:n] for group, n in zip(groups, held, strict=True)]
    train = [group[n:] for group, n in zip(groups, held, strict=True)]
    none = np.zeros(0, np.int64)
    return np.sort(np.concatenate([none, *train])), np.sort(np.concatenate([none, *validation]))


def as_unlabeled(
    y: Int[np.ndarray, " N"], labeled: Int64[np.ndarray, " L"]
) -> Int64[np.ndarray, " N"]:
    """A copy of y in which only the labeled rows keep their label; the others have -1."""
    hidden = np.full(len(y), UNLABELED, dtype=np.int64)
    hidden[labeled] = y[labeled]
    return hidden


def _shares(total: int, order: Int64[np.ndarray, " K"]) -> list[int]:
    """`total` over K classes, equal but for one more in the first classes of `order`."""
    share, rest = divmod(total, len(order))
    shares = np.full(len(order), share)
    shares[order[:rest]] += 1
    return [int(n) for n in shares]


def _repeats(rows: Int64[np.ndarray, " V"]) -> bool:
    return len(np.unique(rows)) < len(rows)


def _count(values: Mapping[object, object], key: str) -> int:
    value = values.get(key)
    if type(value) is not int or value < 0:
        raise InputError(f"the {key!r} of a split must be a whole number from 0, not {value!r}")
    return value


def _rows(values: Mapping[object, object], key: str, n_rows: int) -> Int64[np.ndarray, " L"]:
    rows = values.get(key)
    if not isinstance(rows, list) or any(type(row) is not int for row in rows):
        raise InputError(f"the {key!r} of a split must be a list of row numbers")
    if any(not 0 <= row < n_rows for row in rows):
        raise InputError(f"the {key!r} of a split has a row outside of 0 to {n_rows - 1}")
    if any(a >= b for a, b in itertools.pairwise(sorted(rows))):
        raise InputError(f"the {key!r} of a split names a row twice")
    return np.array(rows, dtype=np.int64)
