"""A judge of generated images, and what it says of them: class consistency and diversity.

The judge is a plain supervised CNN, trained on every labeled training row of a data set. It has
more labels than any model it judges, on purpose: it scores what they draw, and teaches nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from semivae import rundir
from semivae.data.published import Arrays
from semivae.evaluation import accuracy
from semivae.fitting import Hooks, train_supervised
from semivae.noise import key
from semivae.optimizers import Adam, OneCycle
from semivae.predictor import Predictor, TrainingSet
from semivae.recipes import paper_m2
from semivae.training import Training

SEED = key(0, "judge")  # of weights and order, that of no run


def judge(arrays: Arrays, epochs: int, folder: Path, hooks: Hooks) -> Predictor:
    """The judge of a data set: from `folder` if it is there, else trained and saved there.

    The network of section 2.10 under cross-entropy: one-cycle Adam, in float32, the last weights.
    """
    labeled = arrays.y >= 0
    rows = TrainingSet(arrays.x[labeled], arrays.y[labeled], arrays.classes, arrays.scaling)
    training = Training(epochs, Adam(1e-3), OneCycle(), bfloat16=False)
    recipe = replace(paper_m2(rows.facts), training=training, baseline=training)
    settings = {"data": arrays.name, "labels": len(rows.y)}
    event, scaling = arrays.x.shape[1:], arrays.scaling.to_json()
    config = rundir.RunConfig("paper-m2", recipe, SEED, arrays.classes, event, scaling, settings)
    # The configuration is written last: where it is, the weights are.
    if (folder / rundir.CONFIG).exists():
        there = rundir.load_config(folder)
        if replace(there, preprocessing=scaling) == config:  # older files do not say it
            return rundir.load(folder)[1]
    trained = train_supervised(rows, recipe, SEED, hooks).predictor
    folder.mkdir(parents=True, exist_ok=True)
    rundir.save(folder, config, trained)
    return trained


class Judgement(NamedTuple):
    """What a judge says of n images of each of K classes.

    consistency: the share that it takes for their class; in_features, in_pixels: the mean
    Euclidean distance between two of a class, in its last hidden layer and in pixels from 0 to 1.
    """

    consistency: Float[np.ndarray, " K"]
    in_features: Float[np.ndarray, " K"]
    in_pixels: Float[np.ndarray, " K"]


def judged(by: Predictor, images: Sequence[np.ndarray]) -> Judgement:
    """The judgement of images (n, C, H, W) in the units of the data, the k-th of class k."""
    consistency, in_features, in_pixels = [], [], []
    for k, x in enumerate(images):
        probs = by.predict_proba(x)
        consistency.append(accuracy(probs, np.full(len(x), k)))
        with torch.inference_mode():
            parts = list(by.chunks(x))
            features = torch.cat([by.model.features(part) for part in parts])
        in_features.append(mean_distance(features.cpu().numpy()))
        in_pixels.append(mean_distance(torch.cat(parts).flatten(1).cpu().numpy()))
    return Judgement(*(np.array(values) for values in (consistency, in_features, in_pixels)))


def mean_distance(points: Float[np.ndarray, "n F"]) -> float:
    """The mean Euclidean distance over all pairs of at least two points.

    >>> mean_distance(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))
    3.3333333333333335
    """
    distances = torch.pdist(torch.from_numpy(points).double())
    return float(distances.mean())
