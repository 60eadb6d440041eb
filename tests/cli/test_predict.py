"""`semivae predict`: labels for rows that no run has seen."""

import csv
from pathlib import Path

import numpy as np
import pytest
from running import Cli
from sklearn.datasets import load_digits

from semivae import SemiVAEClassifier, rundir
from semivae.data.datasets import load

DIGITS = load_digits().images.astype(np.uint8)


def read(name: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = list(csv.reader(Path(name).read_text().splitlines()))
    return header, rows


def test_every_row_has_a_label_probabilities_and_novelty(cli: Cli, trained: Path) -> None:
    np.savez("new.npz", X=DIGITS[:30])
    ended = cli("predict", trained, "new.npz", "--out", "labels.csv")
    assert ended.code == 0 and ended.out.startswith("30 rows: labels.csv\n")
    header, rows = read("labels.csv")
    assert header == ["id", "label", *(f"p({k})" for k in range(10)), "novelty"]
    clf = SemiVAEClassifier.load(trained)
    assert [row[0] for row in rows] == [str(n) for n in range(30)]
    assert [int(row[1]) for row in rows] == clf.predict(DIGITS[:30]).tolist()
    found = np.array([[float(value) for value in row[2:-1]] for row in rows])
    np.testing.assert_allclose(found, clf.predict_proba(DIGITS[:30]), rtol=1e-4, atol=1e-7)
    novelty = [float(row[-1]) for row in rows]
    np.testing.assert_allclose(novelty, -clf.score_samples(DIGITS[:30]), rtol=1e-5)


def test_what_no_digit_looks_like_is_newer_than_any(cli: Cli, trained: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 17, (20, 8, 8)).astype(np.uint8)
    np.savez("new.npz", X=np.concatenate([DIGITS[:20], noise]))
    assert cli("predict", trained, "new.npz", "--out", "a.csv").code == 0
    novelty = np.array([float(row[-1]) for row in read("a.csv")[1]])
    assert novelty[20:].min() > np.median(novelty[:20])


def test_a_named_data_set_gives_its_test_rows(cli: Cli, trained: Path) -> None:
    ended = cli("predict", trained, "digits", "--out", "a.csv", "--json")
    x_test, _ = load("digits").test
    _, rows = read("a.csv")
    labels = SemiVAEClassifier.load(trained).predict(x_test)
    assert [int(row[1]) for row in rows] == labels.tolist()
    assert ended.json["rows"] == 450 and ended.json["out"] == "a.csv"
    assert ended.json["labels"] == {str(k): int((labels == k).sum()) for k in range(10)}


def test_rows_of_a_table(cli: Cli) -> None:
    fit = ("fit", "wine", "--labels", 9, "--epochs", 1, "--no-baseline", "--out", "wines")
    assert cli(*fit).code == 0
    x, _ = load("wine").test
    np.savez("x.npz", X=x)
    assert cli("predict", "wines", "x.npz", "--out", "a.csv").code == 0
    header, rows = read("a.csv")
    config, predictor = rundir.load(Path("wines"))
    assert header[1:-1] == ["label", *(f"p({name})" for name in config.classes)]
    assert [row[1] for row in rows] == [
        config.classes[k] for k in predictor.predict_proba(x).argmax(1)
    ]


def test_pixels_in_other_units_are_warned_of(cli: Cli, trained: Path) -> None:
    np.savez("new.npz", X=DIGITS[:3] / 16)
    ended = cli("predict", trained, "new.npz", "--out", "a.csv")
    assert ended.code == 0 and "the largest pixel of X is 1, and white was 16" in ended.err


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ("new.npz", "--out a.txt", "--out a.txt: give a name that ends in .csv"),
        ("new.npz", "--out taken.csv", "taken.csv exists: choose another name, or --force"),
        ("new.npz", "--out nowhere/a.csv", "the folder nowhere cannot be written"),
        ("small.npz", "--out a.csv", "small.npz has rows of shape (1, 4, 4), and"),
        ("none.npz", "--out a.csv", "none.npz lacks X (it has y)"),
        ("nan.npz", "--out a.csv", "nan.npz: in X, X contains 1 NaN"),
        ("absent.npz", "--out a.csv", "no data set and no file 'absent.npz'"),
        ("new.npz", "", "'--out'"),
    ],
)
def test_what_cannot_be_labeled_is_refused(
    cli: Cli, trained: Path, given: str, options: str, expected: str
) -> None:
    np.savez("new.npz", X=DIGITS[:3])
    np.savez("small.npz", X=DIGITS[:3, :4, :4])
    np.savez("none.npz", y=np.arange(3))
    np.savez("nan.npz", X=np.full((1, 1, 1), np.nan))
    Path("taken.csv").write_text("mine")
    ended = cli("predict", trained, given, *options.split())
    assert (ended.code, ended.out) == (2, "")
    assert expected in ended.err
    assert Path("taken.csv").read_text() == "mine" and not Path("a.csv").exists()


def test_a_file_is_overwritten_by_force(cli: Cli, trained: Path) -> None:
    np.savez("new.npz", X=DIGITS[:3])
    Path("a.csv").write_text("mine")
    assert cli("predict", trained, "new.npz", "--out", "a.csv", "--force").code == 0
    assert len(read("a.csv")[1]) == 3
