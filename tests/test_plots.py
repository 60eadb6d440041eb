"""plots.py: what each figure says and draws, from 2 to 100 classes, without global state."""

import io
import subprocess
import sys
from math import isnan, sqrt

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.text import Text
from PIL import Image

from semivae import plots
from semivae.errors import InputError
from semivae.evaluation import Reliability
from semivae.plots import Dots, EstimatorPoint, ResultRow, Sheet


def texts(figure: matplotlib.figure.Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def drawn(figure: matplotlib.figure.Figure) -> np.ndarray:
    """Pixels (H, W, 3): layout and text warnings only come out when a figure is drawn."""
    return np.asarray(Image.open(io.BytesIO(plots.to_png(figure, dpi=60))).convert("RGB"))


def row(model: str, paper: float | None, *accuracies: float, dataset: str = "MNIST") -> ResultRow:
    return ResultRow(dataset, model, paper, accuracies, 100, 0, 50, 2.0, "")


HISTORY = [
    {"epoch": 1, "step": 4, "seconds": 1.0, "learning_rate": 1e-3, "loss": 9, "labeled/elbo": -5},
    {"epoch": 2, "step": 8, "seconds": 2.0, "learning_rate": 1e-3, "loss": 7.0},
    {"epoch": 3, "step": 12, "loss": float("nan"), "labeled/elbo": -3.0, "unlabeled/elbo": -4},
]  # fmt: skip


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, semivae.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys; from semivae import plots; "
        "plots.to_png(plots.curves([{'epoch': 1, 'loss': 2.0}])); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_png_is_a_png_and_the_same_for_the_same_figure():
    first, second = (plots.to_png(plots.curves(HISTORY)) for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert first == second


def test_curves_draw_one_panel_per_term_and_no_bookkeeping():
    figure = plots.curves(HISTORY)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["loss", "labeled/elbo", "unlabeled/elbo"]
    assert plots.term_names(HISTORY) == titles
    loss, labeled, unlabeled = (ax.lines[0].get_xydata() for ax in figure.axes)
    np.testing.assert_array_equal(loss, [[1, 9], [2, 7], [3, np.nan]])
    np.testing.assert_array_equal(labeled, [[1, -5], [3, -3]])  # epoch 2 did not log it
    np.testing.assert_array_equal(unlabeled, [[3, -4]])
    assert {"last 7", "last -3", "last -4"} <= set(texts(figure))
    drawn(figure)


def test_the_probe_has_curves_of_its_own():
    history = [
        {**record, "probe_seconds": 1.0, "probe/accuracy": 0.5 + 0.1 * n, "probe/nll": 1.0}
        for n, record in enumerate(HISTORY)
    ]
    assert plots.term_names(history) == plots.term_names(HISTORY)
    assert plots.probe_names(history) == ["probe/accuracy", "probe/nll"]
    assert plots.probe_names(HISTORY) == []
    figure = plots.probe_curves(history)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["probe/accuracy", "probe/nll"]
    points = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[1, 0.5], [2, 0.6], [3, 0.7]])
    with pytest.raises(InputError, match="history"):
        plots.probe_curves(HISTORY)
    drawn(figure)


def test_curves_keep_only_the_panels_they_use():
    history = [{"epoch": 1, **{f"labeled/term_{i}": float(i) for i in range(7)}}]
    assert len(plots.curves(history).axes) == 7


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "step": 3}], [{"loss": 1.0}]])
def test_curves_of_nothing_are_an_error(history):
    with pytest.raises(InputError, match="history"):
        plots.curves(history)


def test_confusion_title_names_the_accuracy_and_the_largest_error():
    figure = plots.confusion_matrix(np.array([[8, 2], [0, 10]]), ["cat", "dog"])
    title = figure.get_suptitle()
    assert "90.0 % of 20 rows right" in title
    assert "cat for dog, 2 of its 10 rows" in title
    cells = [t.get_text() for t in figure.axes[0].texts]
    assert cells == ["8", "2", "10"]  # a zero is left blank


@pytest.mark.parametrize(("n", "numbered"), [(2, True), (20, True), (21, False), (100, False)])
def test_confusion_prints_numbers_up_to_20_classes(n, numbered):
    names = [f"a rather long name {i}" for i in range(n)]
    figure = plots.confusion_matrix(np.full((n, n), 3), names)
    assert len(figure.axes[0].texts) == (n * n if numbered else 0)
    assert len(figure.axes[0].get_yticks()) == (n if n <= 50 else 50)
    assert drawn(figure).shape[0] < 1000


def test_confusion_of_no_rows_and_of_misnamed_classes_are_errors():
    with pytest.raises(InputError, match="without rows"):
        plots.confusion_matrix(np.zeros((2, 2), dtype=int), ["a", "b"])
    with pytest.raises(InputError, match="1 class names for 2"):
        plots.confusion_matrix(np.eye(2, dtype=int), ["a"])


def test_class_names_are_text_and_not_mathematics():
    # "$a" alone would be an error of matplotlib's mathematics, and the glyph is not in its font.
    figure = plots.confusion_matrix(np.eye(2, dtype=int), ["$a_{$", "猫"])
    assert "$a_{$" in texts(figure)
    drawn(figure)


def test_reliability_says_by_how_much_confidence_exceeds_accuracy():
    bins = Reliability(np.array([0, 10]), np.array([np.nan, 0.7]), np.array([np.nan, 0.5]))
    figure = plots.reliability_diagram(bins)
    assert "20.0 points above accuracy" in figure.get_suptitle()
    assert "ECE 0.200 over 10 rows" in figure.get_suptitle()
    points = figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(points, [[0.7, 0.5]])
    assert [bar.get_height() for bar in figure.axes[1].patches] == [0, 1]
    drawn(figure)


def test_a_sheet_puts_each_row_under_its_name():
    images = np.zeros((2, 3, 1, 4, 4))
    images[1] = 1.5  # clipped to white
    figure = plots.image_sheet(Sheet("Two", images, ["dark", "light"]))
    ax = figure.axes[0]
    sheet = ax.images[0].get_array()
    assert sheet.shape == (2 * 4 + 1, 3 * 4 + 2, 3)
    assert (sheet[:4, :4] == 0).all()
    assert (sheet[5:] == 1).all()
    assert (sheet[4] == 1).all()  # the gap
    assert [t.get_text() for t in ax.get_yticklabels()] == ["dark", "light"]
    np.testing.assert_allclose(ax.get_yticks(), [1.5, 6.5])
    assert figure.get_suptitle() == "Two" and len(ax.get_xticks()) == 0


def test_a_sheet_keeps_colours_and_the_place_of_each_pixel():
    images = np.random.default_rng(0).random((2, 2, 3, 5, 6))
    sheet = plots.image_sheet(Sheet("", images, ["a", "b"])).axes[0].images[0].get_array()
    np.testing.assert_array_equal(sheet[6:11, 7:13], images[1, 1].transpose(1, 2, 0))
    close = plots.tiles(images, gap=0)
    np.testing.assert_array_equal(close[5:10, 6:12], images[1, 1].transpose(1, 2, 0))


def test_a_sheet_of_a_hundred_classes_draws():
    names = [f"aquarium fish {i}" for i in range(100)]
    sheet = Sheet("Fish", np.full((100, 8, 3, 8, 8), 0.5), names)
    assert drawn(plots.image_sheet(sheet)).shape[0] > 1000


def test_sheets_stand_side_by_side_under_their_own_titles():
    images = np.zeros((3, 4, 1, 6, 6))
    left = Sheet("M2", images, ["a", "b", "c"], ["one", "two", "three", "four"])
    right = Sheet("Other", images[:2], ["d", "e"])
    figure = plots.image_sheets("Both", [left, right])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["M2", "Other"]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == list(left.columns)
    np.testing.assert_allclose(figure.axes[0].get_xticks(), 2.5 + 7 * np.arange(4))
    drawn(figure)


def test_dots_show_each_seed_its_mean_and_the_reference():
    panels = [
        Dots("with", {"M2": [1.0, 3.0], "Other": [2.0]}, 2.5),
        Dots("without", {"M2": [], "Other": [4.0]}, None),
    ]
    figure = plots.dots("Measures", panels)
    left, right = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["with", "without"]
    marks = [part for part in left.collections if isinstance(part, PathCollection)]
    seeds = [mark.get_offsets().tolist() for mark in marks]
    assert seeds == [[[0, 1], [0, 3]], [[1, 2]]]
    (bar,) = left.containers
    (low, high) = bar.lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == (1.0, 3.0)  # 2 and its standard error, sqrt(2) / sqrt(2)
    assert [line.get_ydata()[0] for line in left.lines if line.get_linestyle() == "--"] == [2.5]
    assert not right.containers
    drawn(figure)
    with pytest.raises(InputError, match="no measures"):
        plots.dots("Nothing", [])


@pytest.mark.parametrize(
    ("images", "columns", "message"),
    [
        (np.zeros((1, 1, 2, 4, 4)), (), "2 channels"),
        (np.full((1, 1, 1, 4, 4), np.nan), (), "not finite"),
        (np.zeros((1, 0, 1, 4, 4)), (), "empty"),
        (np.zeros((2, 1, 1, 4, 4)), (), "1 names of rows and 0 of columns for 2 x 1"),
        (np.zeros((1, 1, 1, 4, 4)), ("x", "y"), "1 names of rows and 2 of columns for 1 x 1"),
    ],
)
def test_a_sheet_refuses_what_is_no_image_and_has_no_name(images, columns, message):
    with pytest.raises(InputError, match=message):
        Sheet("", images, ["a"], columns)


def test_result_row_mean_and_standard_error_by_hand():
    result = row("M2", 95.3, 95.0, 96.0, 97.0, 98.0)
    assert result.mean == pytest.approx(96.5)
    assert result.standard_error == pytest.approx(sqrt(5 / 3) / 2)
    assert isnan(row("M2", 95.3, 95.0).standard_error)
    assert isnan(row("M2", 95.3).mean)


def test_bars_show_both_numbers_the_error_and_every_seed():
    rows = [
        row("M2", 95.3, 95.0, 96.0, 97.0),
        row("supervised only", None, 90.0),
        row("M2", 40.2, 38.0, dataset="CIFAR-10"),
        row("Optimized-ELBO", 42.2, dataset="CIFAR-10"),
    ]
    figure = plots.results_bars(rows)
    assert "reaches the printed number in 1 of 2 rows" in figure.get_suptitle()
    mnist, cifar = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["MNIST", "CIFAR-10"]
    ends = [bar.get_x() + bar.get_width() for bar in mnist.patches]
    np.testing.assert_allclose(ends, [95.3, 96.0, 90.0])  # no paper bar for the baseline
    seeds = [c for c in mnist.collections if c.get_label() == "one seed"]
    np.testing.assert_allclose(seeds[0].get_offsets()[:, 0], [95, 96, 97])
    said = texts(figure)
    assert "96.00 ± 0.58  (n = 3)" in said
    assert "90.00  (n = 1)" in said
    assert "not run" in said
    assert "test accuracy, % (the axis starts at 80)" in said
    assert cifar.get_xlim() == (0, 100)
    drawn(figure)


def test_bars_of_nothing_are_an_error():
    with pytest.raises(InputError, match="no result rows"):
        plots.results_bars([])


def a_point(kind: str, label: str, bias: float, resolution: float, sd: float) -> EstimatorPoint:
    return EstimatorPoint("logits", kind, label, bias, resolution, sd)


def test_estimators_of_a_kind_are_joined_and_an_unseen_bias_is_an_open_mark():
    points = [
        a_point("soft", "2", 0.5, 0.1, 1.0),
        a_point("soft", "1", 0.02, 0.1, 3.0),
        a_point("hard", "2", 0.01, 0.2, 4.0),
        a_point("hard", "1", 0.02, 0.2, 4.0),
        EstimatorPoint("decoder", "soft", "2", 0.0, 0.0, 0.0),
    ]
    figure = plots.estimator_planes(points)
    logits, decoder = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["logits", "decoder"]
    soft, hard = logits.get_lines()
    np.testing.assert_allclose(soft.get_xydata(), [[0.5, 1.0], [0.1, 3.0]])
    np.testing.assert_allclose(hard.get_xydata(), [[0.2, 4.0], [0.2, 4.0]])
    open_marks = [(mark.get_facecolor()[0, :3] == 1).all() for mark in logits.collections]
    assert open_marks == [False, True, True, True]
    said = texts(figure)
    assert "2, 1" in said and "bias of the mean gradient" in said
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["soft", "hard"]
    assert logits.get_xscale() == logits.get_yscale() == "log"
    assert (decoder.get_lines()[0].get_xydata() > 0).all()
    drawn(figure)


def test_a_third_panel_begins_a_line():
    points = [EstimatorPoint(panel, "soft", "", 0.1, 0.01, 1.0) for panel in "abc"]
    figure = plots.estimator_planes(points)
    assert len(figure.axes) == 3
    drawn(figure)


def test_estimators_of_nothing_are_an_error():
    with pytest.raises(InputError, match="no estimators"):
        plots.estimator_planes([])
