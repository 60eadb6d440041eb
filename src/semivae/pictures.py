"""What a model of images can show: samples of each class, one image in every class, and what the
dimensions of z do."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semivae.generation import analogies, reconstructions, traversals
from semivae.plots import Sheet
from semivae.predictor import Predictor
from semivae.runs import Finished

SAMPLES = 8  # of each class
DIMENSIONS = 8  # of z that are traversed
STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # in standard deviations of p(z)
LOOKED_AT = 1000  # rows that say which dimensions are used
MOST = 10  # classes in analogies: those of a hundred fill no page
SAMPLED, ANALOGIES, TRAVERSED = "samples", "analogies", "traversals"


class Originals(NamedTuple):
    """Rows as given, one of each of the first classes."""

    x: np.ndarray
    y: Int[np.ndarray, " R"]


def one_of_each(x: np.ndarray, y: Int[np.ndarray, " N"]) -> Originals:
    """The first row of each of the first classes that occur; y is -1 where unlabeled."""
    found, first = np.unique(y, return_index=True)
    first = first[found >= 0][:MOST]
    return Originals(x[first], y[first])


def pictured(finished: Finished) -> dict[str, Sheet]:
    """What the model of a run can show, beside test rows; without them beside labeled rows.

    Nothing for a table.
    """
    arrays, predictor = finished.prepared.arrays, finished.trained.predictor
    if arrays.x.ndim != 4:
        return {}
    seed = finished.prepared.request.seed
    if arrays.has_test:
        x_test, y_test = arrays.test
        return sheets(predictor, x_test, one_of_each(x_test, y_test), seed)
    data = finished.prepared.training_set
    return sheets(predictor, data.x, one_of_each(data.x, data.y), seed)


def sheets(
    predictor: Predictor, rows: np.ndarray, originals: Originals, seed: int
) -> dict[str, Sheet]:
    """Every picture by its name, pixels from 0 to 1.

    `rows` (N, C, H, W) as given say which dimensions of z are used: those whose posterior mean
    varies most over them.
    """
    names = predictor.classes
    k = len(names)
    sampled = predictor.sample(np.repeat(np.arange(k), SAMPLES), seed)
    (x,) = predictor.chunks(originals.x)
    used = predictor.transform(rows[:LOOKED_AT]).var(0).argsort()[::-1][:DIMENSIONS].tolist()
    middle = k // 2
    moved = traversals(predictor.model, middle, used, torch.tensor(STEPS))
    shown = torch.cat([x[:, None], reconstructions(predictor.model, x)[:, None]], 1)
    every_class = torch.cat([shown, analogies(predictor.model, x)[:, :MOST]], 1)
    drawn = predictor.scaling.apply(torch.from_numpy(sampled))
    return {
        SAMPLED: Sheet(
            f"Drawn from the model: {SAMPLES} images of each class",
            _pixels(drawn.unflatten(0, (k, SAMPLES))),
            names,
        ),
        ANALOGIES: Sheet(
            "One image: as given, as decoded, and its z in every class",
            _pixels(every_class),
            [names[y] for y in originals.y],
            ("x", "decoded", *names[:MOST]),
        ),
        TRAVERSED: Sheet(
            f"The dimensions of z that are used most, in class {names[middle]}",
            _pixels(moved),
            [f"z{d}" for d in used],
            [f"{step:+g}" if step else "0" for step in STEPS],
        ),
    }


def _pixels(x: Float[Tensor, "R n C H W"]) -> Float[np.ndarray, "R n C H W"]:
    """In the model's units pixels are from 0 to 1, and a decoder is free to leave them."""
    pixels: np.ndarray = x.clamp(0, 1).cpu().numpy()
    return pixels
