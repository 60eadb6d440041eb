"""Results to read: the page of one run, and the paper's table beside ours, as HTML and Markdown.

Each `render_*` returns the text of a self-contained page; writing it is the caller's. Everything
that came from a user (class names, commands, warnings) is escaped by the templates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from semivae import plots
from semivae.errors import InputError
from semivae.evaluation import ClassificationReport
from semivae.markdown import table
from semivae.measures import Group
from semivae.pages import percent, picture, render
from semivae.plots import ResultRow, Sheet


@dataclass(frozen=True, eq=False)  # eq: comparing arrays has no single truth value
class RunReport:
    """Everything the page of one run says. Accuracies are shares, 0 to 1."""

    title: str
    created: str
    """When, as ISO 8601."""
    data: str
    recipe: str
    objective: str
    seed: int
    command: str
    commit: str | None
    n_labeled: int
    n_unlabeled: int
    n_labels_used_to_choose: int
    """Labels that chose anything in this run: hyperparameters, epochs, weights."""
    n_labels_that_chose_the_recipe: int
    classes: Sequence[str]
    labels_per_class: Sequence[int]
    train_seconds: float
    examples_per_second: float
    """Unlabeled rows per second."""
    epochs: str
    """Passes over the rows, stage by stage."""
    parameters: int
    test: ClassificationReport | None
    """None if no test set was given: the page says so."""
    supervised_only_accuracy: float | None
    """The same network on the labels alone, same test set; None if it was not trained."""
    history: Sequence[Mapping[str, object]]
    """The lines of metrics.jsonl."""
    sheets: Sequence[Sheet]
    """Pictures drawn from the model; empty: none were."""
    config: Mapping[str, object]
    warnings: Sequence[str] = ()
    diagnostics: Sequence[Group] = ()
    """Empty: none were taken."""
    diagnosed: str = ""
    """On which rows, and with how many samples."""

    def __post_init__(self) -> None:
        n = len(self.classes)
        if len(self.labels_per_class) != n or sum(self.labels_per_class) != self.n_labeled:
            raise InputError(
                f"labels_per_class {list(self.labels_per_class)}: give {n} counts, one per class,"
                f" that sum to n_labeled = {self.n_labeled}"
            )
        if self.test is not None and len(self.test.confusion) != n:
            raise InputError(f"a test of {len(self.test.confusion)} classes, but {n} class names")
        if self.test is None and self.supervised_only_accuracy is not None:
            raise InputError("a supervised-only accuracy without a test set: give both or neither")


@dataclass(frozen=True)
class Source:
    """Where numbers come from: the command, the commit it ran at (None: unknown), its results."""

    command: str
    commit: str | None
    path: str


def headline(run: RunReport) -> str:
    """The one sentence to remember: accuracy, its interval, the baseline, the number of labels."""
    labels = f"{run.n_labeled:,} label{'' if run.n_labeled == 1 else 's'}"
    if run.test is None:
        return (
            f"Trained on {labels} and {run.n_unlabeled:,} unlabeled rows. No test set was given,"
            " so no accuracy is known."
        )
    low, high = run.test.accuracy_interval
    start = (
        f"With {labels}, {percent(run.test.accuracy)} of the {run.test.n:,} test rows are"
        f" classified correctly (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    )
    if run.supervised_only_accuracy is None:
        return f"{start}. No supervised-only baseline was trained to compare with."
    gain = round(100 * (run.test.accuracy - run.supervised_only_accuracy), 1)
    verdict = f"{abs(gain):.1f} points {'more' if gain > 0 else 'less'}" if gain else "no more"
    return (
        f"{start}: {verdict} than the {percent(run.supervised_only_accuracy)} that the same"
        " network reaches on the labels alone."
    )


def choosing(run: RunReport) -> str:
    """How many labels chose hyperparameters, epochs or weights; when the test set was read."""
    n, before = run.n_labels_used_to_choose, run.n_labels_that_chose_the_recipe
    used = f"{n:,} label{'' if n == 1 else 's'}" if n else "No label"
    first = (
        f"{used} {'were' if n > 1 else 'was'} used to choose hyperparameters, epochs or weights "
        "in this run."
    )
    if before:
        first += f" The recipe {run.recipe} was chosen on {before:,} training labels of this data."
    return first + (" The test set was read once, at the end." if run.test is not None else "")


def flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and printed values.

    >>> list(flat({"objective": {"beta": 2.0, "views": None}, "hidden": (500, 500)}))
    [('objective.beta', '2.0'), ('objective.views', 'none'), ('hidden', '500, 500')]
    """
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value:
            yield f"{prefix}{key}", ", ".join(str(item) for item in value)
        else:
            yield (
                f"{prefix}{key}",
                "none" if value is None or value in ({}, [], ()) else str(value),
            )


def render_run_report(run: RunReport) -> str:
    """The page of one run, `report.html`: result, warnings, labels, training, errors, pictures."""
    test = run.test
    context = {
        "title": run.title,
        "created": run.created,
        "run": run,
        "headline": headline(run),
        "choosing": choosing(run),
        "config": list(flat(run.config)),
        "curves": picture(plots.curves(run.history)) if plots.term_names(run.history) else None,
        "probe": picture(plots.probe_curves(run.history))
        if plots.probe_names(run.history)
        else None,
        "confusion": test and picture(plots.confusion_matrix(test.confusion, run.classes)),
        "reliability": test and picture(plots.reliability_diagram(test.reliability)),
        "sheets": [(sheet.title, picture(plots.image_sheet(sheet))) for sheet in run.sheets],
    }
    return render("report.html.j2", context)


def with_diagnostics(page: str, groups: Sequence[Group], diagnosed: str) -> str:
    """The page of a run, `report.html`, with these diagnostics in place of those it has.

    Raises `InputError` for a page that has no place for them.
    """
    begin, end = "<!-- diagnostics -->\n", "<!-- end of diagnostics -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise InputError("the page has no place for diagnostics: an older version wrote it")
    context = {"groups": groups, "diagnosed": diagnosed}
    return f"{before}{begin}{render('diagnostics.html.j2', context)}{end}{after}"


_TEXT_COLUMNS = ("Data set", "Model", "Note")
_COLUMNS = (
    *_TEXT_COLUMNS[:2],
    "Paper, %",
    "Ours, %",
    "Seeds",
    "Difference, points",
    "Improvement over M2, points (paper)",
    "Labels",
    "Labels used to choose",
    "Epochs",
    "Minutes per run",
    _TEXT_COLUMNS[2],
)


def _cells(row: ResultRow) -> tuple[str, ...]:
    """One row of the table as text, in the order of _COLUMNS."""
    ours = f"{row.mean:.2f}" if row.accuracies else "–"
    if isfinite(row.standard_error):
        ours += f" ± {row.standard_error:.2f}"
    known = row.paper is not None and row.accuracies
    return (
        row.dataset,
        row.model,
        "–" if row.paper is None else f"{row.paper:.1f}",
        ours,
        str(len(row.accuracies)),
        f"{row.mean - row.paper:+.2f}".replace("-", "−")
        if known and row.paper is not None
        else "–",
        row.improvement.replace("-", "−"),
        f"{row.n_labeled:,}",
        f"{row.n_labels_used_to_choose:,}",
        f"{row.epochs:,}",
        f"{row.minutes_per_run:.1f}" if isfinite(row.minutes_per_run) else "–",
        row.note,
    )


def results_markdown(rows: Sequence[ResultRow]) -> str:
    """The results table in Markdown, ending in a newline; numbers are aligned right."""
    numbers = [i for i, column in enumerate(_COLUMNS) if column not in _TEXT_COLUMNS]
    return table(_COLUMNS, map(_cells, rows), numbers)


def render_results_table(
    rows: Sequence[ResultRow],
    *,
    title: str,
    created: str,
    verdicts: Mapping[str, str],
    protocol: Mapping[str, str],
    sources: Sequence[Source],
) -> str:
    """The page of the paper's table: rows, their picture, a verdict per data set, the protocol.

    verdicts: data set -> paragraph; protocol: what was held fixed, name -> value.
    """
    unknown = set(verdicts) - {row.dataset for row in rows}
    if unknown:
        raise InputError(f"verdicts on {sorted(unknown)}, which no row is about: fix the name")
    context = {
        "title": title,
        "created": created,
        "columns": _COLUMNS,
        "numeric": [column for column in _COLUMNS if column not in _TEXT_COLUMNS],
        "table": [_cells(row) for row in rows],
        "bars": picture(plots.results_bars(rows)),
        "verdicts": list(verdicts.items()),
        "protocol": list(protocol.items()),
        "sources": list(sources),
    }
    return render("results_table.html.j2", context)
