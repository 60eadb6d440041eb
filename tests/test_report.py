"""report.py: what the pages say, in which order; nothing in them can run or be fetched."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from semivae import report
from semivae.errors import InputError
from semivae.evaluation import classification_report
from semivae.measures import Group, Measure
from semivae.plots import ResultRow, Sheet
from semivae.report import RunReport, Source

# 20 test rows, 18 right: rows 0 to 9 are of class 0, and two of them are taken for class 1.
_Y = np.repeat([0, 1], 10)
_PREDICTED = np.where(np.arange(20) < 2, 1, _Y)
TEST = classification_report(np.where(np.eye(2)[_PREDICTED] == 1, 0.8, 0.2), _Y)

RUN = RunReport(
    title="semivae on two moons",
    created="2025-11-22T12:00:00+00:00",
    data="moons",
    recipe="paper-m2",
    objective="equation_8",
    seed=3,
    command="semivae fit moons.npz --labels 7 --seed 3",
    commit="0123abcd",
    n_labeled=7,
    n_unlabeled=12_345,
    n_labels_used_to_choose=0,
    n_labels_that_chose_the_recipe=0,
    classes=("cat", "dog"),
    labels_per_class=(4, 3),
    train_seconds=192.2,
    examples_per_second=2480.4,
    epochs="30 + 2",
    parameters=5_220_341,
    test=TEST,
    supervised_only_accuracy=0.85,
    history=[
        {"epoch": 1, "step": 9, "loss": 3.0, "labeled/elbo": -2.0},
        {"epoch": 2, "step": 18, "loss": 2.0},
    ],
    sheets=[Sheet("Drawn from the model", np.full((2, 3, 1, 8, 8), 0.5), ("cat", "dog"))],
    config={"objective": {"alpha": 50.0, "views": None}, "hidden": (500, 400)},
    warnings=["Fewer than 5 labels per class."],
)

ROWS = [
    ResultRow("MNIST", "M2", 95.3, (96.0, 97.0), 1000, 50, 12, 2.5, "a | b\nc"),
    ResultRow("MNIST", "supervised only, same network", None, (90.0,), 1000, 0, 12, 0.4, ""),
    ResultRow("CIFAR-10", "Optimized-ELBO", 42.2, (), 4000, 0, 12, 9.0, ""),
]


def text(page: str) -> str:
    """What a reader sees: no tags, no style, white space folded."""
    body = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(body.split())


def table_page(**changes: object) -> str:
    arguments = {
        "title": "The paper's table",
        "created": "2025-11-22",
        "verdicts": {"MNIST": "Above the paper."},
        "protocol": {"Augmentation": "none"},
        "sources": [Source("semivae reproduce results-table", None, "results/table.json")],
    }
    return report.render_results_table(ROWS, **{**arguments, **changes})


def test_headline_gives_accuracy_interval_baseline_and_labels():
    assert report.headline(RUN) == (
        "With 7 labels, 90.0 % of the 20 test rows are classified correctly (95 % interval"
        " 69.9 to 97.2 %): 5.0 points more than the 85.0 % that the same network reaches on the"
        " labels alone."
    )


def test_headline_does_not_hide_a_loss_or_a_draw():
    assert "3.0 points less than the 93.0 %" in report.headline(
        replace(RUN, supervised_only_accuracy=0.93)
    )
    assert "no more than the 90.0 %" in report.headline(replace(RUN, supervised_only_accuracy=0.9))
    assert "No supervised-only baseline" in report.headline(
        replace(RUN, supervised_only_accuracy=None)
    )


def test_page_is_in_the_order_of_the_brief():
    said = text(report.render_run_report(RUN))
    order = [
        report.headline(RUN),
        "Fewer than 5 labels per class.",
        "Labels given",
        "Training, term by term",
        "Which classes are confused",
        "Can the probabilities be trusted?",
        "What the model thinks each class looks like",
        "Configuration",
        "How to reproduce",
    ]
    places = [said.index(part) for part in order]
    assert places == sorted(places)


def test_page_says_every_number_with_its_unit():
    said = text(report.render_run_report(RUN))
    for part in [
        f"negative log-likelihood {TEST.nll:.3f} nats per row",
        f"macro-F1 {100 * TEST.macro_f1:.1f} %",
        f"Brier score (0 to 2) {TEST.brier:.4f}",
        "unlabeled rows 12,345",
        "training time 3 min 12 s",
        "epochs 30 + 2",
        "speed 2,480 unlabeled rows/s",
        "parameters 5,220,341",
        "cat 4 labels recall 80.0 %",
        "dog 3 labels recall 100.0 %",
        "objective.alpha 50.0",
        "objective.views none",
        "hidden 500, 400",
        "semivae fit moons.npz --labels 7 --seed 3",
        "commit 0123abcd",
        "seed 3",
    ]:
        assert part in said, part


GROUPS = (
    Group(
        "The classifier",
        450,
        (
            Measure("ece", 0.0123, "share", "0 is calibrated"),
            Measure("classifier_entropy", 0.12345, "nats", "0 is sure"),
        ),
    ),
    Group("Where the KL goes", 300, (Measure("log_p_xy", None, "nats", "at least"),)),
)


def test_page_has_every_diagnostic_with_its_value_and_meaning():
    run = replace(RUN, diagnostics=GROUPS, diagnosed="On 450 test rows.")
    said = text(report.render_run_report(run))
    for part in [
        "Diagnostics of the finished model On 450 test rows.",
        "The classifier, 450 rows ece 1.2 % 0 is calibrated",
        "classifier_entropy 0.123 nats 0 is sure",
        "Where the KL goes, 300 rows log_p_xy – at least",
    ]:
        assert part in said, part
    assert "Diagnostics of the finished" not in text(report.render_run_report(RUN))


def test_diagnostics_that_are_taken_later_replace_those_of_the_page():
    page = report.render_run_report(replace(RUN, diagnostics=GROUPS, diagnosed="On 450 rows."))
    later = report.with_diagnostics(page, GROUPS[:1], "On all rows.")
    assert "On all rows." in text(later) and "On 450 rows." not in text(later)
    assert later.count("Diagnostics of the finished model") == 1
    again = report.with_diagnostics(later, GROUPS, "On 450 rows.")
    assert text(again) == text(page)
    empty = report.with_diagnostics(report.render_run_report(RUN), GROUPS, "On 450 rows.")
    assert text(empty) == text(page)
    with pytest.raises(InputError, match="no place for diagnostics"):
        report.with_diagnostics("<html></html>", GROUPS, "")


def test_page_has_the_curves_of_a_probe_if_there_was_one():
    history = [{**record, "probe/inference_gap": 0.5} for record in RUN.history]
    page = report.render_run_report(replace(RUN, history=history))
    assert "The probe, after each epoch" in text(page)
    assert page.count("<img") == 5
    assert "The probe" not in text(report.render_run_report(RUN))


def test_page_says_what_was_used_to_choose_and_that_the_test_set_was_read_once():
    said = text(report.render_run_report(RUN))
    assert "No label was used to choose hyperparameters, epochs or weights in this run." in said
    assert "The recipe" not in said
    assert "The test set was read once, at the end." in said
    said = text(report.render_run_report(replace(RUN, n_labels_used_to_choose=5)))
    assert "5 labels were used to choose" in said
    assert "labels used to choose 5" in said
    said = text(report.render_run_report(replace(RUN, n_labels_that_chose_the_recipe=15_600)))
    assert f"The recipe {RUN.recipe} was chosen on 15,600 training labels of this data." in said


def test_page_without_a_test_set_says_so_and_claims_nothing():
    page = report.render_run_report(replace(RUN, test=None, supervised_only_accuracy=None))
    said = text(page)
    assert "No test set was given, so no accuracy is known." in said
    for absent in ["read once", "interval", "recall", "confused", "trusted", "macro-F1"]:
        assert absent not in said
    assert page.count("<img") == 2  # curves, samples


def test_page_without_samples_history_commit_or_warnings_says_so():
    bare = replace(RUN, sheets=[], history=[], commit=None, warnings=[])
    page = report.render_run_report(bare)
    said = text(page)
    assert "No pictures were drawn" in said
    assert "No epoch was logged." in said
    assert "unknown: not run from a git checkout" in said
    assert 'class="warnings"' not in page
    assert page.count("<img") == 2  # confusion, reliability


def test_what_users_write_is_escaped():
    evil = "<script>alert('x')</script>"
    run = replace(
        RUN, title=evil, classes=(evil, "dog"), warnings=[evil], command=evil, config={evil: evil}
    )
    page = report.render_run_report(run)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 7  # title twice, class, warning, command, key, value
    page = table_page(title=evil, verdicts={"MNIST": evil}, protocol={evil: evil})
    assert "<script" not in page


@pytest.mark.parametrize("render", [lambda: report.render_run_report(RUN), table_page])
def test_page_is_one_file(render):
    page = render()
    assert page.startswith("<!doctype html>")
    for fetched in ["http://", "https://", "<link", "<script", "<iframe", "url(", "@import"]:
        assert fetched not in page
    pictures = re.findall(r'<img[^>]* src="data:image/png;base64,([^"]+)" alt="[^"]+"', page)
    assert len(pictures) == page.count("<img") > 0
    assert all(base64.b64decode(p, validate=True).startswith(b"\x89PNG") for p in pictures)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert 'name="viewport"' in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels_per_class": (4, 4)}, "sum to n_labeled = 7"),
        ({"labels_per_class": (7,)}, "one per class"),
        ({"classes": ("a", "b", "c"), "labels_per_class": (4, 3, 0)}, "a test of 2 classes"),
        ({"test": None}, "without a test set"),
    ],
)
def test_a_run_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(RUN, **change)


def test_markdown_table_by_hand():
    lines = report.results_markdown(ROWS).splitlines()
    assert lines[0].startswith("| Data set | Model | Paper, % | Ours, % | Seeds |")
    assert lines[1] == "| --- | --- |" + " ---: |" * 9 + " --- |"
    assert lines[2] == (
        r"| MNIST | M2 | 95.3 | 96.50 ± 0.50 | 2 | +1.20 | – | 1,000 | 50 | 12 | 2.5 | a \| b c |"
    )
    assert lines[3].startswith("| MNIST | supervised only, same network | – | 90.00 | 1 | – |")
    assert lines[4].startswith("| CIFAR-10 | Optimized-ELBO | 42.2 | – | 0 | – | – | 4,000 | 0 |")
    assert len(lines) == 5


def test_results_page_has_rows_verdict_protocol_and_sources():
    said = text(table_page())
    for part in [
        "MNIST M2 95.3 96.50 ± 0.50 2 +1.20 – 1,000 50 12 2.5",
        "MNIST. Above the paper.",
        "Augmentation none",
        "semivae reproduce results-table",
        "commit unknown · results in results/table.json",
    ]:
        assert part in said, part


def test_a_gap_below_the_paper_is_printed_with_its_sign():
    worse = replace(ROWS[0], accuracies=(95.0,))
    assert "| −0.30 |" in report.results_markdown([worse])


def test_verdict_on_an_unknown_data_set_is_refused():
    with pytest.raises(InputError, match="SVHN"):
        table_page(verdicts={"SVHN": "?"})
