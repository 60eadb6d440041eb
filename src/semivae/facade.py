"""What the scikit-learn facades share: arrays are checked at the door, and a fitted predictor
answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from semivae.arguments import whole_number
from semivae.assessment import log_p_x
from semivae.data.arrays import check_features
from semivae.data.scaling import warn_of_other_units
from semivae.errors import InputError
from semivae.fitting import Hooks
from semivae.models.base import DeepGenerativeModel
from semivae.predictor import Predictor
from semivae.rundir import metrics_line
from semivae.training import EpochLog, Snapshot


class PosteriorMean(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose `fit` leaves a `Predictor` in `predictor_`; it transforms by z."""

    channels_last: bool | None

    def transform(self, X: Any) -> Float[np.ndarray, "N D"]:
        """The posterior mean of z (n_samples, latent size)."""
        return self._predictor().transform(self._features(X))

    def score_samples(self, X: Any) -> Float[np.ndarray, " N"]:
        """The lower bound on log p(x) of each row (n_samples,), in nats, with a fixed seed.

        x is the row as the model sees it: pixels from 0 to 1, columns standardized as the rows of
        `fit` were, so that values of two fits do not compare. That of "auto" for images is not
        normalised (`likelihoods.GreyBernoulli`)."""
        return self._predictor().score_samples(self._features(X))

    def log_p_x(self, X: Any, n_samples: int = 500, seed: int = 0) -> Float[np.ndarray, " N"]:
        """log p(x) of each row (N,) in nats, x as in `score_samples`, importance-weighted with so
        many draws of z and exact in y: at least `score_samples` in the mean, nearer with more
        draws, and as much slower. Noise is by seed and place among the rows: alone a row has
        another value, within the error of that many draws."""
        samples = whole_number("n_samples", n_samples, least=1)
        return log_p_x(self._predictor(), self._features(X), samples, seed)

    def _predictor(self) -> Predictor:
        check_is_fitted(self, "predictor_")
        predictor: Predictor = self.predictor_
        return predictor

    def _noted_features(self, X: Any) -> np.ndarray:
        """X checked, its number and names of columns noted."""
        x = self._checked(X, reset=True)
        self.n_features_in_ = int(np.prod(x.shape[1:]))
        return x

    def _features(self, X: Any) -> np.ndarray:
        """X checked, its columns compared with those noted."""
        check_is_fitted(self, "predictor_")
        x, predictor = self._checked(X, reset=False), self._predictor()
        if x.ndim > 2 and x.shape[1:] == predictor.event:
            warn_of_other_units(x, predictor.scaling)
        return x

    def _checked(self, X: Any, *, reset: bool) -> np.ndarray:
        x = check_features(X, channels_last=self.channels_last)
        try:
            validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=x.ndim == 2)
        except ValueError as error:
            raise InputError(str(error)) from error
        return x

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # the model computes in float32
        return tags


class OnEpoch(Hooks):
    """Calls a function, if there is one, with the metrics of each epoch."""

    def __init__(self, on_epoch: Callable[[dict[str, Any]], None] | None) -> None:
        self.tell = on_epoch

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        if self.tell is not None:
            self.tell(metrics_line(log))


def drawn_seed(random_state: Any) -> int:
    """A whole number itself; of None, NumPy's own generator, or a `RandomState`, its next one."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(2**31 - 1))
    return whole_number("random_state", random_state, least=0)
