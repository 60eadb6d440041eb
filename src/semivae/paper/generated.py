"""What one trained model generates: measures beside those of real images, and pictures, kept with
the result of its run."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from semivae.assessment import drawn_rows, few_pairs
from semivae.config import to_plain
from semivae.data.published import Arrays
from semivae.diagnostics.evidence import evidence
from semivae.evaluation import accuracy
from semivae.files import write_bytes
from semivae.fitting import Hooks
from semivae.noise import key
from semivae.paper.boundary import Boundary, boundary
from semivae.paper.judge import Judgement, judge, judged
from semivae.paper.results import RunResult
from semivae.pictures import pictured
from semivae.plots import Sheet, tiles
from semivae.predictor import Predictor
from semivae.recipe import Recipe
from semivae.runs import Finished


@dataclass(frozen=True)
class GenerationEffort:
    """How much is measured: images of each class; test rows, and paths between two of them, for
    log p(x) with so many importance samples of z; and for how many epochs the judge is trained."""

    images: int
    rows: int
    paths: int
    samples: int
    judge_epochs: int


@dataclass(frozen=True)
class Generated:
    """What one model generates; shares of images, nats per example.

    consistency: the share of samples that the judge takes for their class, real_consistency that
    of as many test images; feature_distance and pixel_distance: the mean distance within classes
    of samples, real_ that of these test images; log_p_x, with its standard error over rows.
    judge_accuracy: of the judge on the whole test set, in share. boundary: how dense the data are
    where the model's classifier is least sure.
    """

    likelihood: str
    images: int
    consistency: float
    real_consistency: float
    feature_distance: float
    real_feature_distance: float
    pixel_distance: float
    real_pixel_distance: float
    log_p_x: float
    log_p_x_error: float
    judge_accuracy: float
    boundary: Boundary

    @property
    def feature_diversity(self) -> float:
        """How diverse samples are in the judge's features: 1 as the test images, 0 not at all."""
        return self.feature_distance / self.real_feature_distance

    @property
    def pixel_diversity(self) -> float:
        """How diverse samples are in pixels: 1 as the test images, 0 not at all."""
        return self.pixel_distance / self.real_pixel_distance


@dataclass(frozen=True)
class Generation:
    """The examination of a run: measures, by a judge kept in a folder, and pictures."""

    effort: GenerationEffort
    judge: Path

    def done(self, examined: Mapping[str, Any]) -> bool:
        """Whether these are the measures of today, of this effort."""
        today = {measure.name for measure in fields(Generated)}
        same = examined.get("measures", {}).keys() == today
        return same and bool(examined.get("effort") == asdict(self.effort))

    def __call__(self, finished: Finished, folder: Path) -> dict[str, Any]:
        """Measures, and draws into the folder."""
        arrays = finished.prepared.arrays
        by = judge(arrays, self.effort.judge_epochs, self.judge, Hooks())
        seed = finished.prepared.request.seed
        of = measured(
            finished.trained.predictor, finished.trained.recipe, arrays, by, self.effort, seed
        )
        pictures = pictured(finished)
        folder.mkdir(exist_ok=True)
        for name, sheet in pictures.items():
            write_bytes(folder / f"{name}.png", _png(sheet))
        return {
            "effort": asdict(self.effort),
            "measures": asdict(of),
            "pictures": {name: _names(sheet) for name, sheet in pictures.items()},
        }


def measured(
    predictor: Predictor,
    recipe: Recipe,
    arrays: Arrays,
    by: Predictor,
    effort: GenerationEffort,
    seed: int,
) -> Generated:
    """Every measure of a model of these data, which have a test set."""
    x, y = arrays.test
    classes = range(len(arrays.classes))
    real = real_images(x, y, effort.images)
    drawn = [
        predictor.sample(np.full(len(real[k]), k), key(seed, "generation", k)).clip(
            0, arrays.pixel_max
        )
        for k in classes
    ]
    ours, theirs = judged(by, drawn), judged(by, real)
    rows = x[drawn_rows(len(x), effort.rows, seed=0)]  # the same for every run
    found = evidence(predictor.model, few_pairs(predictor, rows), effort.samples, seed)
    return Generated(
        likelihood=likelihood_of(recipe),
        images=len(real[0]),
        log_p_x=found.mean,
        log_p_x_error=found.standard_error,
        judge_accuracy=accuracy(by.predict_proba(x), y),
        boundary=boundary(
            predictor, rows, found.log_p_x.cpu().numpy(), effort.paths, effort.samples, seed=0
        ),
        **compared(ours, theirs),
    )


def compared(ours: Judgement, real: Judgement) -> dict[str, float]:
    """The judgement of samples beside that of as many real images: fields of `Generated`."""
    return {
        "consistency": float(ours.consistency.mean()),
        "real_consistency": float(real.consistency.mean()),
        "feature_distance": float(ours.in_features.mean()),
        "real_feature_distance": float(real.in_features.mean()),
        "pixel_distance": float(ours.in_pixels.mean()),
        "real_pixel_distance": float(real.in_pixels.mean()),
    }


def real_images(x: np.ndarray, y: Int[np.ndarray, " N"], most: int) -> list[np.ndarray]:
    """As many images of every class, at most so many and those of the rarest class."""
    count = min(most, int(np.bincount(y).min()))
    return [x[np.flatnonzero(y == k)[:count]] for k in range(int(y.max()) + 1)]


def likelihood_of(recipe: Recipe) -> str:
    """The likelihood with its symbol: densities under different ones are not comparable."""
    plain = to_plain(recipe)["likelihood"]
    symbols = [f"{name} = {value:g}" for name, value in plain.items() if name != "kind"]
    return ", ".join([plain["kind"], *symbols])


def read(result: RunResult) -> Generated:
    """What was measured of a run."""
    measures = result.examined["measures"]
    at = measures["boundary"]
    found = Boundary(**(at | {"profile": tuple(at["profile"])}))
    return Generated(**(measures | {"boundary": found}))


def drawn(result: RunResult, folder: Path) -> dict[str, Sheet]:
    """The pictures of a run, from its folder."""
    return {
        name: _sheet((folder / f"{name}.png").read_bytes(), names)
        for name, names in result.examined["pictures"].items()
    }


def _png(sheet: Sheet) -> bytes:
    """The images of a sheet side by side, a pixel of theirs a pixel: data and picture in one."""
    pixels = np.rint(255 * tiles(sheet.images, gap=0)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _names(sheet: Sheet) -> dict[str, Any]:
    shape = list(sheet.images.shape)
    return {
        "title": sheet.title, "shape": shape,
        "rows": list(sheet.rows), "columns": list(sheet.columns),
    }  # fmt: skip


def _sheet(content: bytes, names: Mapping[str, Any]) -> Sheet:
    rows, n, channels, height, width = names["shape"]
    pixels = np.asarray(Image.open(io.BytesIO(content))).reshape(rows, height, n, width, channels)
    images: Float[np.ndarray, "R n C H W"] = pixels.transpose(0, 2, 4, 1, 3) / 255
    return Sheet(names["title"], images, names["rows"], names["columns"])
