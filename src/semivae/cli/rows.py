"""The rows that a command reads beside a run: what a user names, or the run's own test set."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semivae.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from semivae.predictor import Predictor
    from semivae.rundir import RunConfig


TEST_ROWS = "test rows"


class Labeled(NamedTuple):
    """Rows with a label: the data they are of, and what they are called there."""

    data: str
    x: "np.ndarray"
    y: "np.ndarray"
    called: str


def labeled(
    given: str | None,
    run: Path,
    config: "RunConfig",
    predictor: "Predictor",
    data_dir: Path | None,
) -> Labeled:
    """Those of what is given, or of the run's own test set: also where its own data are given,
    whose other labels taught it."""
    from semivae.data.datasets import load_labeled

    if given is None or Path(given).resolve() == Path(config.settings.get("data", "")).resolve():
        return _own_test_set(run, config, data_dir)
    x, y = load_labeled(given, config.classes, data_dir)
    check_rows(given, x, run, predictor)
    return Labeled(given, x, y, "labeled rows")


def check_rows(given: str, x: "np.ndarray", run: Path, predictor: "Predictor") -> None:
    """Raises InputError where the given rows are of another shape than the run reads; warns of
    pixels that seem to be in other units."""
    from semivae.data.scaling import warn_of_other_units

    if x.shape[1:] != predictor.event:
        raise InputError(
            f"{given} has rows of shape {x.shape[1:]}, and {run} reads {predictor.event}"
        )
    if x.ndim > 2:
        try:
            warn_of_other_units(x, predictor.scaling)
        except InputError as error:
            raise InputError(f"{given}: {error}") from error


def _own_test_set(run: Path, config: "RunConfig", data_dir: Path | None) -> Labeled:
    from semivae.data.datasets import load
    from semivae.runs import request_of

    others = f"name labeled rows, as in semivae evaluate {run} FILE.npz"
    try:
        request = request_of(config, run)
    except InputError as error:
        raise InputError(f"{error}; {others}") from error
    arrays = load(request.data, data_dir)
    if not arrays.has_test:
        raise InputError(f"{run}: its data, {request.data}, have no test set; {others}")
    if arrays.classes != config.classes or arrays.x.shape[1:] != config.event:
        raise InputError(f"{run}: {request.data} is no longer what the run was trained on")
    return Labeled(arrays.name, *arrays.test, TEST_ROWS)
