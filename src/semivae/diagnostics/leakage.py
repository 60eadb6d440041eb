"""How much of the class is left in z: what a linear classifier reads from codes, beside x itself.

References: Alain and Bengio 2016, linear classifier probes; Barber and Agakov 2003, the bound on
mutual information.
"""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from semivae.errors import InputError
from semivae.noise import key

ITERATIONS = 500  # of L-BFGS: what more of them change is within the draw of the halves


class LinearProbe(NamedTuple):
    """What logistic regression, fitted on one half of the rows, says of the classes of the other.

    - `accuracy_from_means`, `accuracy_from_z`, `accuracy_from_x`: the share it gets right, 0 to 1,
      from the mean of q(z|x), from a draw of it, and from x itself;
    - `chance`: the share of the class that was the most frequent when it was fitted;
    - `information_from_z`: H(y) - E[-log p(y|z)] in nats, for draws of z and at least 0: a lower
      bound on I(y; z) up to the draw of the rows. H(y) is that of the scored rows;
    - `fitted`, `scored`: how many rows each half has.

    Means can tell a class that draws do not: where q(z|x) is nearly p(z), their tiny differences
    are a function of x that the decoder never sees.
    """

    accuracy_from_means: float
    accuracy_from_z: float
    accuracy_from_x: float
    chance: float
    information_from_z: float
    fitted: int
    scored: int


def linear_probe(
    means: Float[np.ndarray, "N D"],
    z: Float[np.ndarray, "N D"],
    x: Float[np.ndarray, "N F"],
    y: Int[np.ndarray, " N"],
    seed: int,
) -> LinearProbe:
    """The probe of the means and draws of q(z|x), and of x as the model sees it.

    The two halves are drawn by `seed`, each class in halves. Raises `InputError` for a class with
    fewer than 2 rows, or a single class.
    """
    classes, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        raise InputError(
            f"classes with {counts.tolist()} rows: a probe needs 2 classes and 2 rows of each"
        )
    fitted, scored = train_test_split(
        np.arange(len(y)),
        test_size=0.5,
        stratify=y,
        random_state=key(seed, "linear probe") % 2**32,
    )
    shares = np.bincount(y[scored], minlength=len(classes)) / len(scored)
    known = shares[shares > 0]
    entropy = -float((known * np.log(known)).sum())

    def fit(features: Float[np.ndarray, "N F"]) -> LogisticRegression:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return LogisticRegression(max_iter=ITERATIONS).fit(features[fitted], y[fitted])

    from_z = fit(z)
    unexplained = log_loss(y[scored], from_z.predict_proba(z[scored]), labels=from_z.classes_)
    return LinearProbe(
        accuracy_from_means=float(fit(means).score(means[scored], y[scored])),
        accuracy_from_z=float(from_z.score(z[scored], y[scored])),
        accuracy_from_x=float(fit(x).score(x[scored], y[scored])),
        chance=float(shares[np.bincount(y[fitted]).argmax()]),
        information_from_z=max(0.0, entropy - float(unexplained)),
        fitted=len(fitted),
        scored=len(scored),
    )
