"""plots.panels: means over seeds at their places, and what an axis shows."""

import io

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from semivae import plots
from semivae.errors import InputError
from semivae.plots.panels import Reading, maps, panels


def curve(panel: str, line: str, measure: str, seed: int, *values: float) -> list[Reading]:
    """Values at x = 1, 10, 100, ..."""
    return [Reading(panel, line, 10.0**i, measure, seed, v) for i, v in enumerate(values)]


def drawn(figure: matplotlib.figure.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plots.to_png(figure, dpi=60))).convert("RGB"))


TWO_SEEDS = [
    *curve("a", "M2", "nats", 0, 1.0, 2.0, 4.0),
    *curve("a", "M2", "nats", 1, 3.0, 4.0),
    *curve("a", "other", "nats", 0, 0.0, 5.0, 5.0),
    *curve("b", "M2", "nats", 0, 7.0),
    *curve("b", "M2", "percent", 0, 90.0),
]


def test_a_line_is_the_mean_of_the_seeds_that_are_there_at_evenly_spaced_levels() -> None:
    figure = panels(TWO_SEEDS, "title", "epoch")
    nats_a, nats_b, percent_a, percent_b = figure.axes
    thick = [line for line in nats_a.lines if line.get_linewidth() > 1]
    np.testing.assert_allclose(thick[0].get_xydata(), [[0, 2], [1, 3], [2, 4]])
    np.testing.assert_allclose(thick[1].get_xydata(), [[0, 0], [1, 5], [2, 5]])
    thin = [line for line in nats_a.lines if line.get_linewidth() < 1]
    np.testing.assert_array_equal(thin[1].get_ydata(), [3, 4, np.nan])
    assert len(thin) == 2, "a line of one seed is its own mean"
    assert [tick.get_text() for tick in nats_a.get_xticklabels()] == ["1", "10", "100"]
    assert [tick.get_text() for tick in nats_b.get_xticklabels()] == ["1"]
    assert not percent_a.lines and percent_b.lines
    drawn(figure)


def test_panels_say_what_they_show_once() -> None:
    figure = panels(TWO_SEEDS, "title", "epoch")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "b", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["nats", "", "percent", ""]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "epoch", "epoch"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["M2", "other"]


def test_a_line_keeps_its_look_in_every_panel_and_a_sixth_is_dashed() -> None:
    readings = [r for i in range(6) for r in curve("a", f"line {i}", "nats", 0, 1.0, 2.0)]
    readings += curve("b", "line 5", "nats", 0, 1.0)
    first, second = panels(readings, "title", "x").axes
    looks = [(line.get_color(), line.get_linestyle()) for line in first.lines]
    assert len(set(looks)) == 6
    assert looks[5] == (looks[0][0], "--")
    assert (second.lines[0].get_color(), second.lines[0].get_linestyle()) == looks[5]


def test_many_levels_have_few_ticks() -> None:
    readings = [Reading("a", "M2", float(x), "nats", 0, 1.0) for x in range(1, 51)]
    (ax,) = panels(readings, "title", "epoch").axes
    texts = [tick.get_text() for tick in ax.get_xticklabels()]
    assert texts == ["1", "10", "19", "28", "37", "46"]


def test_a_logarithmic_measure_leaves_out_zeros() -> None:
    figure = panels(TWO_SEEDS, "title", "epoch", logarithmic=("nats",))
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "log", "linear", "linear"]
    drawn(figure)


def test_panels_may_have_axes_of_their_own() -> None:
    far = [*curve("a", "M2", "percent", 0, 90.0, 95.0), *curve("b", "M2", "percent", 0, 1.0, 2.0)]
    first, second = panels(far, "title", "labels").axes
    assert first.get_ylim() == second.get_ylim()
    first, second = panels(far, "title", "labels", share_y=False).axes
    assert first.get_ylim()[0] > second.get_ylim()[1]


def test_a_level_of_thousands_is_written_out() -> None:
    readings = [Reading("a", "M2", x, "nats", 0, 1.0) for x in (0.125, 600.0, 1000.0, 30_000.0)]
    (ax,) = panels(readings, "title", "labels").axes
    texts = [tick.get_text() for tick in ax.get_xticklabels()]
    assert texts == ["0.125", "600", "1,000", "30,000"]


def test_the_legend_of_one_panel_lies_within_the_figure() -> None:
    readings = [r for i in range(7) for r in curve("a", f"a line, {i}, long", "nats", 0, 1.0)]
    figure = panels(readings, "title", "labels")
    drawn(figure)
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_a_map_has_a_row_per_line_and_a_column_per_level() -> None:
    readings = [reading for reading in TWO_SEEDS if reading.panel == "a"]
    readings += curve("a", "M2", "percent", 0, 90.0)
    figure = maps(readings, "title", "beta + gamma")
    nats, percent = figure.axes[:2]
    values = nats.images[0].get_array()
    np.testing.assert_allclose(values[0], [2, 3, 4])
    np.testing.assert_allclose(values[1], [0, 5, 5])
    assert [tick.get_text() for tick in nats.get_yticklabels()] == ["M2", "other"]
    assert [tick.get_text() for tick in percent.get_xticklabels()] == ["1", "10", "100"]
    assert percent.get_xlabel() == "beta + gamma"
    assert [text.get_text() for text in nats.texts] == ["2", "3", "4", "0", "5", "5"]
    assert [text.get_text() for text in percent.texts] == ["90"], "what is not there stays blank"
    drawn(figure)


def test_figures_of_nothing_are_an_error() -> None:
    with pytest.raises(InputError, match="no readings"):
        panels([], "title", "epoch")
    with pytest.raises(InputError, match="no readings"):
        maps([], "title", "epoch")
