"""`semivae evaluate`, `sample` and `recipes`: what they say of a run, and how they refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Cli

from semivae import SemiVAEClassifier, rundir
from semivae.cli.sample import grid
from semivae.data.datasets import load
from semivae.measures import MEANINGS
from semivae.recipes import RECIPES


def test_evaluate_prints_every_measure(cli: Cli, trained: Path) -> None:
    ended = cli("evaluate", trained, "--samples", 3, "--rows", 30)
    assert ended.code == 0
    for words in (
        "on the 450 test rows of digits",
        "95 % interval",
        "macro F1",
        "confusion, true class by predicted class",
        "(3 importance samples, 30 test rows, seed 0; under bernoulli, which is not normalised)",
        *MEANINGS,
        *(meaning.split("{")[0] for _, meaning in MEANINGS.values()),
    ):
        assert words in ended.out, words
    assert "log p(x), rows: 30/30" in ended.err


def test_an_evaluation_goes_into_the_report(cli: Cli, trained: Path) -> None:
    """Unless it is less than what is there, or the page cannot be written."""
    shutil.copytree(trained, "copy")
    page = Path("copy/report.html")
    page.write_text(
        "<p>before</p><!-- diagnostics -->\nold<!-- end of diagnostics --><p>after</p>"
    )
    before = page.read_text()
    for less in (("--samples", 2, "--rows", 100), ("--samples", 20, "--rows", 50)):
        cli("evaluate", "copy", *less)
        assert page.read_text() == before, "less than a run ends with"
    ended = cli("evaluate", "copy", "--samples", 20, "--rows", 100)
    assert "put into copy/report.html" in ended.err
    text = page.read_text()
    assert text.startswith("<p>before</p>") and text.endswith("<p>after</p>")
    assert "old" not in text and "log p(x) with 20 importance samples." in text
    assert all(f"<code>{name}</code>" in text for name in MEANINGS)
    page.write_text("mine")
    ended = cli("evaluate", "copy", "--samples", 20, "--rows", 100)
    assert ended.code == 0 and "copy/report.html stays as it was" in ended.err
    assert page.read_text() == "mine"


def test_evaluate_as_json_depends_on_the_seed_alone(cli: Cli, trained: Path) -> None:
    options = ("evaluate", trained, "--samples", 2, "--rows", 20, "--json")
    first, again, other = cli(*options).json, cli(*options).json, cli(*options, "--seed", 1).json
    assert first == again
    assert first["log_p_x"]["mean"] != other["log_p_x"]["mean"]
    assert first["accuracy"] == other["accuracy"]
    assert first["n"] == np.sum(first["confusion"]) == 450
    assert {"macro_f1", "nll", "brier", "ece", "surgery", "active_units"} <= set(first)
    assert set(first["accuracy_on_these_rows"]) == {"discriminative", "generative"}
    said = (first["log_p_x"]["importance_samples"], first["log_p_x"]["rows"])
    assert said == (2, 20)
    assert (first["log_p_x"]["likelihood"], first["log_p_x"]["normalized"]) == ("bernoulli", False)
    cuts = first["surgery"]
    assert first["diagnostics"].keys() == first["diagnostics_rows"].keys() == MEANINGS.keys()
    assert first["diagnostics"]["log_p_x"] == first["log_p_x"]["mean"]
    assert first["diagnostics"]["nll"] == first["nll"]
    assert first["diagnostics_rows"]["inference_gap"] == 20
    assert all(isinstance(value, int | float) for value in first["diagnostics"].values())
    parts = cuts["index_code_information"] + cuts["marginal_latent_kl"]
    assert cuts["latent_kl"] == pytest.approx(parts)


def test_evaluate_agrees_with_the_run(cli: Cli) -> None:
    fitted = cli("fit", "digits", "--labels", 20, "--epochs", 1, "--no-baseline", "--json").json
    evaluated = cli("evaluate", fitted["run"], "--samples", 1, "--rows", 1, "--json").json
    assert evaluated["accuracy"] == fitted["test_accuracy"]
    assert evaluated["log_p_x"]["standard_error"] is None


def test_other_labeled_rows_are_evaluated_and_leave_the_report_alone(
    cli: Cli, trained: Path
) -> None:
    """Rows without a label do not count; of a file with a test set, that is taken."""
    shutil.copytree(trained, "copy")
    page = Path("copy/report.html")
    page.write_text("<!-- diagnostics -->\nold<!-- end of diagnostics -->")
    x, y = load("digits").test
    some = np.arange(len(y)) % 3 == 0
    np.savez("new.npz", X=x, y=np.where(some, y, -1))
    options = ("--samples", 20, "--rows", 100, "--json")
    found = cli("evaluate", "copy", "new.npz", *options)
    right = SemiVAEClassifier.load(trained).predict(x[some]) == y[some]
    assert found.json["accuracy"] == right.mean() and found.json["n"] == some.sum() == 150
    assert found.json["data"] == "new.npz" and "on 100 labeled rows ..." in found.err
    assert page.read_text() == "<!-- diagnostics -->\nold<!-- end of diagnostics -->"
    ended = cli("evaluate", "copy", "new.npz", "--samples", 1, "--rows", 1)
    assert "copy on the 150 labeled rows of new.npz" in ended.out
    np.savez("tests.npz", X_test=x, y_test=y.astype(str))
    whole = cli("evaluate", "copy", *options)
    assert "on 100 test rows ..." in whole.err
    again = cli("evaluate", "copy", "tests.npz", *options).json
    assert again | {"data": "digits"} == whole.json
    again = cli("evaluate", "copy", "digits", *options)  # the run's own data
    assert "put into copy/report.html" in again.err and again.json == whole.json


def test_rows_of_one_class_named_by_text_can_be_evaluated(cli: Cli, trained: Path) -> None:
    x, y = load("digits").test
    np.savez("threes.npz", X=x[y == 3], y=np.full((y == 3).sum(), "3"))
    found = cli("evaluate", trained, "threes.npz", "--samples", 1, "--rows", 5, "--json")
    right = SemiVAEClassifier.load(trained).predict(x[y == 3]) == 3
    assert found.code == 0 and found.json["accuracy"] == right.mean()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ten.npz", "ten.npz: y is 10 in row 1, which is no class: there are 0, 1, 2"),
        ("none.npz", "none.npz: in y, y has no labeled row"),
        ("small.npz", "small.npz has rows of shape (1, 4, 4), and"),
        ("long.npz", "long.npz has 2 rows with 3 labels"),
        ("bare.npz", "bare.npz lacks y (it has X)"),
        ("half.npz", "half.npz has only one of X_test and y_test"),
        ("dark.npz", "dark.npz: images hold -3: give pixels from 0 up"),
        ("wine", "wine has the classes class_0"),
        ("absent.npz", "no data set and no file 'absent.npz'"),
    ],
)
def test_rows_that_cannot_be_evaluated_are_refused(
    cli: Cli, trained: Path, given: str, expected: str
) -> None:
    x, _ = load("digits").test
    np.savez("ten.npz", X=x[:2], y=[1, 10])
    np.savez("none.npz", X=x[:2], y=[-1, -1])
    np.savez("small.npz", X=x[:2, :, :4, :4], y=[0, 1])
    np.savez("long.npz", X=x[:2], y=[0, 1, 2])
    np.savez("bare.npz", X=x[:2])
    np.savez("half.npz", X=x[:2], y=[0, 1], X_test=x[:2])
    np.savez("dark.npz", X=x[:2].astype(int) - 3, y=[0, 1])
    ended = cli("evaluate", trained, given)
    assert (ended.code, ended.out) == (2, "") and expected in ended.err


@pytest.mark.parametrize("command", ["evaluate", "sample"])
def test_what_is_no_run_is_one_sentence(cli: Cli, trained: Path, command: str) -> None:
    rest = ("--out", "a.png") if command == "sample" else ()
    ended = cli(command, "nowhere", *rest)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "semivae: nowhere is not a run: there is no such folder\n"
    for name in ("config.json", "model.safetensors"):
        folder = Path(f"without-{name}")
        shutil.copytree(trained, folder)
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
        ended = cli(command, folder, *rest)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert str(folder / name) in ended.err
    assert not Path("a.png").exists()


def test_a_sheet_of_one_class_is_a_grid(cli: Cli, trained: Path) -> None:
    ended = cli("sample", trained, "--class", 3, "-n", 5, "--out", "three.png")
    assert (ended.code, ended.out) == (0, "5 of class 3: three.png\n")
    with Image.open("three.png") as image:
        # Three columns and two rows of images of 8 x 8 blocks of 8 pixels, 8 apart.
        assert (image.mode, image.size) == ("L", (3 * 72 + 8, 2 * 72 + 8))


def test_a_sheet_of_every_class_has_a_row_each(cli: Cli, trained: Path) -> None:
    assert cli("sample", trained, "-n", 2, "--out", "all.png").code == 0
    with Image.open("all.png") as image:
        assert image.size == (2 * 72 + 8, 10 * 72 + 8)


def test_rows_of_a_table_are_lines(cli: Cli) -> None:
    fit = ("fit", "wine", "--labels", 9, "--epochs", 1, "--no-baseline", "--out", "wines")
    assert cli(*fit).code == 0
    refused = cli("sample", "wines", "--out", "a.png")
    assert refused.code == 2
    assert "wines is a model of tables, give a name that ends in .csv" in refused.err
    ended = cli("sample", "wines", "-n", 2, "--seed", 3, "--out", "a.csv")
    assert (ended.code, ended.out) == (0, "2 of each class: a.csv\n")
    header, *drawn = [line.split(",") for line in Path("a.csv").read_text().splitlines()]
    config, predictor = rundir.load(Path("wines"))
    assert header == [*(f"x{d}" for d in range(13)), "class"]
    assert [line[-1] for line in drawn] == [name for name in config.classes for _ in range(2)]
    expected = predictor.sample(np.repeat(range(3), 2), 3)
    np.testing.assert_allclose([[float(v) for v in line[:-1]] for line in drawn], expected)
    assert abs(expected[:, 12]).max() > 100, "in the units of the table"


def test_samples_depend_on_the_seed(cli: Cli, trained: Path) -> None:
    for name, seed in (("a.png", 0), ("b.png", 0), ("c.png", 1)):
        cli("sample", trained, "--class", 1, "--out", name, "--seed", seed)
    a, b, c = (Path(name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


def test_a_picture_is_overwritten_only_by_force(cli: Cli, trained: Path) -> None:
    Path("a.png").write_text("mine")
    ended = cli("sample", trained, "--class", 1, "--out", "a.png")
    assert (ended.code, ended.out) == (2, "")
    assert "a.png exists" in ended.err
    assert Path("a.png").read_text() == "mine"
    assert cli("sample", trained, "--class", 1, "--out", "a.png", "--force").code == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--class cat --out a.png", "--class cat: choose one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("--out a.jpg", "--out a.jpg: give a name that ends in .png, or .csv for a table"),
        ("--out a.csv", "is a model of images, give a name that ends in .png"),
        ("--out nowhere/a.png", "--out nowhere/a.png: the folder nowhere cannot be written"),
        ("--out taken.png --force", "--out taken.png exists: it is a folder"),
        ("--class 1 -n 0 --out a.png", "'-n'"),
        ("--class 1", "'--out'"),
    ],
)
def test_a_wrong_wish_for_samples_is_refused(
    cli: Cli, trained: Path, options: str, expected: str
) -> None:
    Path("taken.png").mkdir()
    ended = cli("sample", trained, *options.split())
    assert (ended.code, ended.out) == (2, "")
    assert expected in ended.err
    assert [path.name for path in Path().iterdir()] == ["taken.png"]


def test_a_grid_keeps_pixels_colours_and_order() -> None:
    images = np.zeros((3, 3, 2, 40), np.float32)
    images[1, 0] = 1  # red
    sheet = grid(images, columns=2)
    assert sheet.shape == (2 * (4 + 2) + 2, 2 * (80 + 2) + 2, 3)
    assert (sheet[2:6, 2:82] == 0).all()
    assert (sheet[2:6, 84:164] == [255, 0, 0]).all()
    assert (sheet[8:12, 2:82] == 0).all()
    assert (sheet[8:12, 84:164] == 255).all()  # no fourth image: white
    assert (sheet[:, :2] == 255).all()


def test_recipes_are_listed_with_what_they_are_made_of(cli: Cli) -> None:
    ended = cli("recipes")
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines() if line[:1] not in (" ", "")] == [
        *RECIPES,
        "As",
    ]
    assert "gaussian(sigma=0.5)" in ended.out
    assert "beta=ramp(-300, 300, 0.5), " in ended.out
    assert ended.out.count(" - 300 local_smoothness(radius=0.07), y pruned") == 1
    listed = cli("recipes", "--json").json["recipes"]
    assert [recipe["name"] for recipe in listed] == list(RECIPES)
    assert json.dumps(listed).count('"kind": "paper-cnn"') == 3
