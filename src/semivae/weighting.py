"""How the streams of an objective weigh against each other (sections 2.5 and 3.6)."""

from typing import NamedTuple


class StreamWeights(NamedTuple):
    """w_L and w_U of `J = w_L mean_L[...] + w_U mean_U[...]`."""

    labeled: float
    unlabeled: float


BALANCED = StreamWeights(1.0, 1.0)


def balanced(n_labeled: int, n_unlabeled: int) -> StreamWeights:
    """Expectations over each set, as Eq 8 is written: 1 and 1, whatever N_l and N_u."""
    return StreamWeights(1.0, 1.0)


def dataset(n_labeled: int, n_unlabeled: int) -> StreamWeights:
    """The mean over all N examples, as in Kingma's code: N_l / N and N_u / N."""
    total = n_labeled + n_unlabeled
    return StreamWeights(n_labeled / total, n_unlabeled / total)


def sums(n_labeled: int, n_unlabeled: int) -> StreamWeights:
    """Sums over both sets, as section 3.6 is printed: N_l and N_u.

    alpha stands inside the labeled sum here; 3.6 prints it on an expectation, so that the literal
    reading takes alpha / N_l.
    """
    return StreamWeights(float(n_labeled), float(n_unlabeled))


def kingma_alpha(n_labeled: int, n_unlabeled: int) -> float:
    """alpha = 0.1 N / N_l per labeled example: the meaning of "alpha = 0.1 N" in Kingma's code."""
    return 0.1 * (n_labeled + n_unlabeled) / n_labeled
