"""The report page of a finished run, and the alarms that belong on it."""

import math
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from semivae import runs
from semivae.assessment import QUICK, Assessment, assess, drawn_rows
from semivae.cli.summary import objective, passes
from semivae.config import to_plain
from semivae.data.classes import UNLABELED
from semivae.measures import groups, taken
from semivae.nets import learned_values
from semivae.pages import percent
from semivae.pictures import pictured
from semivae.report import RunReport, render_run_report
from semivae.request import Request
from semivae.runs import Finished

FAR_FROM_CALIBRATED = 0.2
LOOKED_AT = 2000  # unlabeled rows, for the entropy of the classifier


def render(finished: Finished, warnings: Sequence[str]) -> str:
    """The text of `report.html`."""
    prepared, trained = finished.prepared, finished.trained
    data, facts = prepared.training_set, prepared.training_set.facts
    found = diagnose(finished)
    page = RunReport(
        title=f"{prepared.arrays.name} with {facts.n_labeled:,} labels",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data=prepared.request.data,
        recipe=prepared.request.recipe,
        objective=objective(trained.recipe),
        seed=prepared.request.seed,
        command=command(prepared.request),
        commit=runs.commit(),
        n_labeled=facts.n_labeled,
        n_unlabeled=facts.n_unlabeled,
        n_labels_used_to_choose=prepared.split.n_labels_used_to_choose,
        n_labels_that_chose_the_recipe=prepared.n_labels_that_chose_the_recipe,
        classes=data.classes,
        labels_per_class=np.bincount(data.y[data.y >= 0], minlength=facts.classes).tolist(),
        train_seconds=trained.train_seconds,
        examples_per_second=trained.examples_per_second,
        epochs=passes(trained.recipe),
        parameters=learned_values(trained.predictor.model),
        test=finished.test,
        supervised_only_accuracy=finished.supervised_only_accuracy,
        history=finished.history,
        sheets=list(pictured(finished).values()),
        config=to_plain(trained.recipe),
        warnings=warnings,
        diagnostics=groups(found),
        diagnosed=diagnosed(finished, found),
    )
    return render_run_report(page)


def diagnose(finished: Finished) -> Assessment:
    """Every diagnostic at little effort, on the test rows; else on training rows, unlabeled."""
    arrays, seed = finished.prepared.arrays, finished.prepared.request.seed
    predictor = finished.trained.predictor
    if arrays.has_test:
        return assess(predictor, *arrays.test, QUICK, seed)
    rows = drawn_rows(len(arrays.x), LOOKED_AT, seed)
    return assess(predictor, arrays.x[rows], np.full(len(rows), UNLABELED), QUICK, seed)


def diagnosed(finished: Finished, found: Assessment) -> str:
    """On which rows the diagnostics were taken, and how well."""
    rows, more = "training rows, their labels unread", ""
    if finished.test is not None:
        rows = "test rows"
        more = " The command semivae evaluate takes more of both, and puts them here."
    return f"On {taken(found, rows)}, a loose bound.{more}"


def command(request: Request) -> str:
    """The command that asks for the same again.

    >>> command(Request("my digits.npz", labels=20, settings=("objective.beta=2",), seed=3))
    "semivae fit 'my digits.npz' --labels 20 --set objective.beta=2 --seed 3"
    >>> command(Request("digits", holdout=0.2))
    'semivae fit digits --holdout 0.2 --seed 0'
    """
    words = ["semivae", "fit", request.data]
    words += [] if request.labels is None else ["--labels", str(request.labels)]
    words += ["--validation", str(request.validation)] if request.validation else []
    words += ["--holdout", f"{request.holdout:g}"] if request.holdout else []
    words += [] if request.recipe == "auto" else ["--recipe", request.recipe]
    words += [] if request.objective is None else ["--objective", request.objective]
    words += [word for setting in request.settings for word in ("--set", setting)]
    words += ["--seed", str(request.seed)]
    words += [] if request.epochs is None else ["--epochs", str(request.epochs)]
    words += [] if request.max_minutes is None else ["--max-minutes", f"{request.max_minutes:g}"]
    words += [] if request.baseline else ["--no-baseline"]
    return shlex.join(words)


def alarms(finished: Finished) -> list[str]:
    """What says that the training collapsed: guessing, or a classifier that is sure of nothing;
    and that its probabilities are far from what they say."""
    data, predictor = finished.prepared.training_set, finished.trained.predictor
    classes = len(data.classes)
    found = []
    if finished.test is None:
        known = data.y >= 0
        guessed = predictor.predict_proba(data.x[known]).argmax(1)
        accuracy, rows = float((guessed == data.y[known]).mean()), "labeled rows"
    else:
        accuracy, rows = finished.test.accuracy, "test rows"
    # A tenth of the way from guessing to all right.
    if accuracy < 1 / classes + 0.1 * (1 - 1 / classes):
        found.append(
            f"collapse: {percent(accuracy)} of the {rows} are right, and guessing gives "
            f"{percent(1 / classes)}; train longer or lower training.optimizer.peak"
        )
    if finished.test is not None and finished.test.ece > FAR_FROM_CALIBRATED:
        found.append(
            f"probabilities are not to be relied on: confidence and accuracy differ by "
            f"{percent(finished.test.ece)} on test rows (ECE)"
        )
    unlabeled = np.flatnonzero(data.y < 0)[:LOOKED_AT]
    if len(unlabeled):
        q = predictor.predict_proba(data.x[unlabeled]).astype(np.float64)
        entropy = float(-(q * np.log(np.maximum(q, 1e-30))).sum(1).mean())
        if entropy > 0.95 * math.log(classes):
            found.append(
                f"the classifier is sure of nothing: its entropy on unlabeled rows is "
                f"{entropy:.2f} of at most {math.log(classes):.2f} nats; train longer or raise "
                "objective.alpha"
            )
    return found
