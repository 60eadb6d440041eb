"""The scikit-learn facade: checks arrays at the door, then delegates."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import ClassifierMixin

from semivae import rundir
from semivae.arguments import whole_number
from semivae.checks import check_recipe
from semivae.data.classes import UNLABELED, encode_labels, known_labels, labels_named
from semivae.data.scaling import scaling_of
from semivae.errors import InputError
from semivae.facade import OnEpoch, PosteriorMean, drawn_seed
from semivae.files import make_folder, write_text
from semivae.fitting import train
from semivae.predictor import TrainingSet
from semivae.request import Request
from semivae.settings import recipe_of


class SemiVAEClassifier(ClassifierMixin, PosteriorMean):  # type: ignore[misc]
    """A classifier that also learns from rows without a label (y == -1), and can generate by
    class.

    Parameters
    ----------
    recipe : str
        Which recipe; "auto" picks by the data. `semivae recipes` lists them.
    alpha, beta, gamma, epsilon : float or None
        The paper's symbols: weight of log q(y|x), of the entropy penalty, of the mutual
        information, and the label smoothing. None: the recipe's. Of "auto" the first three are
        300 for many images, and its smoothness too: change them together, as only their
        ratios count.
    epochs : int or None
        Passes over the unlabeled rows; None: the recipe's. Of recipes with more stages, those of
        M2 on the codes: M1's own, and those of both together, are the recipe's.
    random_state : int, RandomState or None
        Decides initial weights, order and noise; the same whole number gives the same model. Of
        the others a number is drawn, kept as `seed_`.
    channels_last : bool or None
        Whether 4-D images are (N, H, W, C). None: told from the shape, an error where it cannot
        be.
    smoothness : float or None
        How much q(y|x) is kept from changing near each row, as a weight; 0: not at all. None: the
        recipe's, which for "auto" is 10 on images, and 300 on many.
    views : bool or None
        Whether images are mirrored at random and moved a little while it trains: True for
        photographs, False where that changes their class. None: the recipe's, which for "auto"
        is True for images of 3 channels.
    settings : sequence of str
        Further changes to the recipe, each KEY=VALUE, as "objective=equation_8" or
        "training.learning_rate=constant"; what has a parameter above goes over them.

    Attributes
    ----------
    classes_ : the class labels, in the order of the columns of `predict_proba`
    transduction_ : a label for each training row, the given one where there is one (not saved)
    history_ : one dict per epoch, every term by name, in nats per example
    seed_ : the whole number behind the initial weights, the order and the noise
    n_features_in_ : values per example
    feature_names_in_ : the names of the columns, if X had any

    Examples
    --------
    >>> import numpy as np
    >>> from semivae import SemiVAEClassifier
    >>> X = np.vstack([np.random.default_rng(0).normal(m, 1, (50, 4)) for m in (-3, 3)])
    >>> y = np.full(100, -1)
    >>> y[[0, 1, 50, 51]] = [0, 0, 1, 1]
    >>> clf = SemiVAEClassifier(epochs=40).fit(X, y)
    >>> bool(clf.score(X, np.repeat([0, 1], 50)) > 0.9)
    True
    """

    def __init__(
        self,
        recipe: str = "auto",
        alpha: float | None = None,
        beta: float | None = None,
        gamma: float | None = None,
        epsilon: float | None = None,
        epochs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        channels_last: bool | None = None,
        smoothness: float | None = None,
        views: bool | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        self.recipe = recipe
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.epsilon = epsilon
        self.epochs = epochs
        self.random_state = random_state
        self.channels_last = channels_last
        self.smoothness = smoothness
        self.views = views
        self.settings = settings

    def fit(
        self, X: Any, y: Any, on_epoch: Callable[[dict[str, Any]], None] | None = None
    ) -> "SemiVAEClassifier":
        """Learns from X (n_samples, n_features) or images and y (n_samples,), -1 where unlabeled.

        Images are (N, H, W), (N, C, H, W) or (N, H, W, C), uint8 or in a range that is mapped to
        [0, 1]. After each epoch `on_epoch` is called with its entry of `history_`, to show how far
        it is: `on_epoch=print`. Raises `InputError`, a `ValueError`, that names what is wrong with
        X or y.
        """
        x = self._noted_features(X)
        codes, classes = encode_labels(y)
        _check_lengths(x, codes)
        names = tuple(str(label) for label in classes)
        data = TrainingSet(x, codes, names, scaling_of(x))
        recipe = recipe_of(self.get_params(), data.facts)
        check_recipe(data, recipe)
        self.seed_ = drawn_seed(self.random_state)
        trained = train(data, recipe, self.seed_, OnEpoch(on_epoch))
        self.classes_ = classes
        self.predictor_ = trained.predictor
        self.recipe_ = recipe
        self.history_ = [rundir.metrics_line(log) for log in trained.history]
        guessed = self.predictor_.predict_proba(x).argmax(1)
        self.transduction_ = classes[np.where(codes == UNLABELED, guessed, codes)]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row (n_samples,)."""
        probabilities = self.predict_proba(X)
        labels: np.ndarray = self.classes_[probabilities.argmax(1)]
        return labels

    def predict_proba(self, X: Any) -> Float[np.ndarray, "N K"]:
        """q(y|x) (n_samples, n_classes), columns as in `classes_`."""
        return self._predictor().predict_proba(self._features(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy on the rows of X that have a label. Those without, marked as for `fit`, do not
        count, so that a fold of cross-validation may have some."""
        labels, known = known_labels(y)
        predicted = self.predict(X)
        _check_lengths(predicted, labels)
        texts = labels.dtype.kind == "U"
        if texts != (predicted.dtype.kind == "U"):
            raise InputError(
                f"y holds {'texts' if texts else 'numbers'} and the classes are "
                f"{self.classes_.tolist()}: give labels of that type"
            )
        right: np.ndarray = labels[known] == predicted[known]
        weights = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight)
        if weights.shape != labels.shape or not weights[known].sum() > 0:
            raise InputError(
                f"sample_weight has shape {weights.shape}: give {len(labels)} weights, one per "
                "row, of which those of labeled rows add up to more than 0"
            )
        return float(np.average(right, weights=weights[known]))

    def sample(self, n_samples: int = 1, y: Any = None, seed: int = 0) -> np.ndarray:
        """New rows in the units of X: of class `y`, of an array of classes, or of all in turn.
        Images are (n_samples, C, H, W). Each is the mean of p(x|z, y) at a z of the prior, without
        the noise of x, so that columns spread less than in X."""
        predictor = self._predictor()
        count = whole_number("n_samples", n_samples, least=1)
        wanted = np.asarray(np.resize(self.classes_, count) if y is None else y)
        if wanted.shape not in ((), (count,)):
            raise InputError(f"y has shape {wanted.shape}: give one class, or {count} of them")
        labels = np.broadcast_to(wanted, (count,)).tolist()
        codes = {label: code for code, label in enumerate(self.classes_.tolist())}
        unknown = [label for label in labels if label not in codes]
        if unknown:
            raise InputError(f"y={unknown[0]!r} is no class: choose from {list(codes)}")
        chosen = whole_number("seed", seed, least=0)
        return predictor.sample(np.array([codes[label] for label in labels]), chosen)

    def save(self, folder: str | Path) -> None:
        """Writes the model as a run directory, without pickle, into a new or empty folder."""
        path, predictor = Path(folder), self._predictor()
        make_folder(path)
        parameters = self.get_params() | {"random_state": self.seed_}
        settings = {
            "estimator": {name: _plain(value) for name, value in parameters.items()},
            "classes": self.classes_.tolist(),
            "feature_names": getattr(self, "feature_names_in_", np.array([])).tolist(),
        }
        config = rundir.RunConfig(
            self.recipe,
            self.recipe_,
            self.seed_,
            predictor.classes,
            predictor.event,
            predictor.scaling.to_json(),
            settings,
        )
        lines = [json.dumps(line) + "\n" for line in self.history_]
        write_text(path / rundir.METRICS, "".join(lines))
        rundir.save(path, config, predictor)

    @classmethod
    def load(cls, folder: str | Path) -> "SemiVAEClassifier":
        """A classifier from a run directory, written by `save` or by `semivae fit`, whose classes
        are numbers if all their names are whole numbers, and else texts. Its parameters are those
        of the run, so that a clone learns by the same recipe."""
        config, predictor = rundir.load(Path(folder))
        estimator = cls(**_parameters(config))
        estimator.classes_ = np.array(config.settings.get("classes", labels_named(config.classes)))
        estimator.seed_ = config.seed
        estimator.n_features_in_ = int(np.prod(config.event))
        estimator.predictor_ = predictor
        estimator.recipe_ = config.recipe
        estimator.history_ = rundir.read_metrics(Path(folder))
        if names := config.settings.get("feature_names"):
            estimator.feature_names_in_ = np.array(names, dtype=object)
        return estimator


def _parameters(config: rundir.RunConfig) -> dict[str, Any]:
    """Those that ask for the run again, as far as its record says."""
    if made := config.settings.get("estimator"):
        return {**made, "settings": tuple(made.get("settings", ()))}
    try:
        request = Request.from_json(config.settings)
    except (KeyError, TypeError):
        return {"recipe": config.recipe_name, "random_state": config.seed}
    return request.parameters(config.recipe)


def _check_lengths(x: np.ndarray, y: np.ndarray) -> None:
    if len(x) != len(y):
        raise InputError(f"X has {len(x)} rows and y has {len(y)}: give one label per row")


def _plain(value: Any) -> Any:
    """A parameter as a JSON value: grids hand in the numbers of NumPy."""
    return value.item() if isinstance(value, np.generic) else value
