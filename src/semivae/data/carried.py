"""The data sets that scikit-learn carries: no file, no download.

They come without a test set, so a quarter of each is one here: stratified, with seed 0, the same
whatever the seed of a run.
"""

from typing import Any

import numpy as np

from semivae.data.published import Arrays


def digits() -> Arrays:
    """1,797 handwritten digits, images of 8 x 8 pixels from 0 to 16."""
    # Imported here and below: scikit-learn takes a second, and the other data sets do not need it.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = bunch.images.astype(np.uint8)[:, np.newaxis]
    return _split(bunch, x, pixel_max=16.0, name="digits")


def breast_cancer() -> Arrays:
    """A table: 569 tumours, 30 measures of their cells, malignant or benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    return _split(bunch, bunch.data, pixel_max=None, name="breast-cancer")


def wine() -> Arrays:
    """A table: 178 wines of 3 growers, 13 measures of their chemistry."""
    from sklearn.datasets import load_wine

    bunch = load_wine()
    return _split(bunch, bunch.data, pixel_max=None, name="wine")


def _split(bunch: Any, x: np.ndarray, pixel_max: float | None, name: str) -> Arrays:
    from sklearn.model_selection import train_test_split

    labels = bunch.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(
        x, labels, test_size=0.25, random_state=0, stratify=labels
    )
    classes = tuple(str(each) for each in bunch.target_names)
    return Arrays(x, y, x_test, y_test, classes, pixel_max, name)
