"""M1 as a scikit-learn transformer: features that are learned without labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from semivae import rundir
from semivae.arguments import whole_number
from semivae.data.scaling import scaling_of
from semivae.facade import OnEpoch, PosteriorMean, drawn_seed
from semivae.fitting import train_m1
from semivae.models.deep_networks import M1MLP
from semivae.models.specs import M1Spec
from semivae.recipes import m1_likelihood, m1_training


class M1Transformer(ClassNamePrefixFeaturesOutMixin, PosteriorMean):  # type: ignore[misc]
    """The posterior mean of a variational autoencoder's z (Kingma 2014: M1), for any classifier.

    Parameters
    ----------
    n_components : int
        The size of z.
    hidden : int
        Units in each of the two hidden layers of encoder and decoder.
    epochs : int or None
        Passes over the rows; None: by their number.
    random_state : int, RandomState or None
        Decides initial weights, order and noise; the same whole number gives the same model.
    channels_last : bool or None
        Whether 4-D images are (N, H, W, C). None: told from the shape, an error where it cannot
        be.

    Attributes
    ----------
    history_ : one dict per epoch, every term by name, in nats per example
    n_features_in_ : values per example
    feature_names_in_ : the names of the columns, if X had any

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from semivae import M1Transformer
    >>> X = np.vstack([np.random.default_rng(0).normal(m, 1, (50, 4)) for m in (-3, 3)])
    >>> m1 = M1Transformer(n_components=2, hidden=16, epochs=60).fit(X)  # no label is needed
    >>> classifier = make_pipeline(m1, LogisticRegression()).fit(X, np.repeat([0, 1], 50))
    >>> bool(classifier.score(X, np.repeat([0, 1], 50)) > 0.9)
    True
    """

    def __init__(
        self,
        n_components: int = 50,
        hidden: int = 600,
        epochs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        channels_last: bool | None = None,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.epochs = epochs
        self.random_state = random_state
        self.channels_last = channels_last

    def fit(
        self, X: Any, y: Any = None, on_epoch: Callable[[dict[str, Any]], None] | None = None
    ) -> "M1Transformer":
        """Learns from all rows of X (n_samples, n_features) or images; y is not read. After each
        epoch `on_epoch` is called with its entry of `history_`."""
        x = self._noted_features(X)
        seed = drawn_seed(self.random_state)
        latent = whole_number("n_components", self.n_components, least=1)
        hidden = whole_number("hidden", self.hidden, least=1)
        training = m1_training(len(x))
        if self.epochs is not None:
            training = replace(training, epochs=whole_number("epochs", self.epochs, least=1))
        spec = M1Spec(M1MLP(hidden, latent), m1_likelihood(x.shape[1:], len(x)))
        hooks = OnEpoch(on_epoch)
        self.predictor_, logs = train_m1(x, scaling_of(x), spec, training, seed, hooks)
        self.history_ = [rundir.metrics_line(log) for log in logs]
        return self

    def sample(self, n_samples: int = 1, seed: int = 0) -> np.ndarray:
        """New rows in the units of X."""
        count = whole_number("n_samples", n_samples, least=1)
        return self._predictor().sample(np.zeros(count, np.int64), seed)

    @property
    def _n_features_out(self) -> int:
        return self._predictor().model.latent_size
