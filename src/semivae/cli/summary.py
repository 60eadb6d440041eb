"""What `semivae fit` says before a run and after it, for a person."""

from pathlib import Path

from semivae import rundir
from semivae.pages import duration, percent
from semivae.recipe import DataFacts, Recipe
from semivae.request import Prepared
from semivae.runs import Finished


def passes(recipe: Recipe) -> str:
    """The epochs of each stage: "30 + 12" for an M1 and the M2 on its codes."""
    return " + ".join(f"{epochs:,}" for epochs in recipe.epochs)


def rows_by_epoch(recipe: Recipe, facts: DataFacts) -> list[int]:
    """Rows in each epoch in turn: the M1 below an M1+M2 reads all of them, without labels."""
    below = recipe.pretraining.epochs if recipe.pretraining else 0
    every, own = facts.n_labeled + facts.n_unlabeled, facts.n_unlabeled or facts.n_labeled
    return [every] * below + [own] * (sum(recipe.epochs) - below)


def objective(recipe: Recipe) -> str:
    """The objective by name, and whether it stands alone."""
    smooth = ", smooth" if recipe.smoothness.weight != 0.0 else ""
    views = ", images mirrored" * recipe.training.views.flips
    views += ", images moved" * (recipe.training.views.shifts > 0)
    return rundir.objective_name(recipe) + smooth + views


def intention(prepared: Prepared, folder: Path) -> str:
    """What is about to be trained, in one line."""
    facts, request = prepared.training_set.facts, prepared.request
    alone = (
        f", then {prepared.recipe.baseline.epochs:,} on the labels alone (not with --no-baseline)"
        if request.baseline
        else ""
    )
    return (
        f"{prepared.arrays.name}: {facts.n_labeled:,} labels, {facts.n_unlabeled:,} unlabeled "
        f"rows, {facts.classes} classes; recipe {request.recipe}, objective "
        f"{objective(prepared.recipe)}, {passes(prepared.recipe)} epochs{alone}; "
        f"into {folder}"
    )


def reached(finished: Finished, report: Path) -> str:
    """What the run reached, for a person."""
    facts, trained, test = finished.prepared.training_set.facts, finished.trained, finished.test
    if test is None:
        lines = [("test accuracy", "not known: the data have no test set")]
    else:
        low, high = (100 * end for end in test.accuracy_interval)
        interval = f"95 % interval {low:.1f} to {high:.1f} %, {test.n:,} rows"
        lines = [("test accuracy", f"{percent(test.accuracy)}   ({interval})")]
    if finished.supervised_only_accuracy is not None:
        lines.append(
            (
                "supervised only",
                f"{percent(finished.supervised_only_accuracy)}   (same network, labels alone)",
            )
        )
    if finished.validation_accuracy is not None:
        rows = len(finished.prepared.split.validation)
        lines.append(
            ("validation", f"{percent(finished.validation_accuracy)}   ({rows:,} labels)")
        )
    chosen = finished.prepared.split.n_labels_used_to_choose
    before = finished.prepared.n_labels_that_chose_the_recipe
    lines += [
        ("labels", f"{facts.n_labeled:,}, and {chosen or 'no'} more that may choose something"),
        *([("recipe", f"chosen on {before:,} labels of these data")] if before else []),
        ("unlabeled rows", f"{facts.n_unlabeled:,}"),
        (
            "training",
            f"{duration(trained.train_seconds)}, {passes(trained.recipe)} epochs, "
            f"{trained.examples_per_second:,.0f} unlabeled rows per second"
            + (
                f"; the probe took {duration(trained.probe_seconds)} more"
                if trained.probe_seconds
                else ""
            ),
        ),
        ("report", str(report)),
    ]
    return "\n".join(f"{name:17}{value}" for name, value in lines)
