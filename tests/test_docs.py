"""The documentation against the code: names, tests and links that it mentions exist."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import semivae
from semivae.measures import MEANINGS
from test_probing import LOGGED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTATION, PAPER = DOCS / "notation.md", DOCS / "paper.md"
DIAGNOSTICS = DOCS / "diagnostics.md"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# Every public class and function of these has a row in notation.md.
DOCUMENTED = (
    "bounds",
    "capacities",
    "diagnostics.encodings",
    "diagnostics.evidence",
    "diagnostics.leakage",
    "diagnostics.posterior",
    "diagnostics.surgery",
    "distributions",
    "information",
    "labels",
    "likelihoods",
    "models.adgm",
    "models.auxiliary",
    "models.base",
    "models.deep_networks",
    "models.densities",
    "models.m1",
    "models.m1m2",
    "models.m2",
    "models.networks",
    "models.sdgm",
    "models.specs",
    "objectives",
    "streams",
    "terms",
)
MODULES = {
    found.name.removeprefix("semivae.")
    for found in pkgutil.walk_packages(semivae.__path__, "semivae.")
    if not found.name.endswith("__main__")
}
CODE = re.compile(r"`([^`]+)`")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+(?:\(\w+\))?")
FILE_NAMES = ("py", "md", "json", "jsonl", "html", "png")


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table; an escaped bar is part of its cell."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def rows(page: Path) -> list[dict[str, str]]:
    """Every row of every table of a page, by the names of its header."""
    found: list[dict[str, str]] = []
    header: list[str] = []
    for line in page.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells(line)
        elif not set(line) <= set("|-: "):
            assert len(cells(line)) == len(header), f"{page.name}: {line}"
            found.append(dict(zip(header, cells(line), strict=True)))
    return found


def code_names(page: Path) -> list[str]:
    """What a page has in backticks and is the path of a name below the package."""
    found = []
    for text in CODE.findall(page.read_text("utf-8")):
        first, _, last = text.partition(".")[0], *text.rpartition(".")[1:]
        if DOTTED.fullmatch(text) and first in {name.split(".")[0] for name in MODULES}:
            found += [text] if last not in FILE_NAMES else []
    return found


def complaint(name: str) -> str | None:
    """What is wrong with `module.name`, `module.Class.attribute` or `module.name(argument)`."""
    path, _, argument = name.rstrip(")").partition("(")
    parts = path.split(".")
    depth = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in MODULES), 0)
    if not depth:
        return f"{name}: there is no module semivae.{parts[0]}"
    module = ".".join(["semivae", *parts[:depth]])
    value: Any = importlib.import_module(module)
    for part in parts[depth:]:
        if hasattr(value, part):
            value = getattr(value, part)
        elif part in fields(value):
            value = None
        else:
            return f"{name}: {module} has no {part}"
    if argument and argument not in inspect.signature(value).parameters:
        return f"{name}: it has no argument {argument}"
    return None


def fields(value: Any) -> set[str]:
    """The attributes that only instances have: declared in the class or a base of ours, or set on
    `self` there."""
    if not inspect.isclass(value):
        return set()
    found: set[str] = set()
    for one in value.__mro__:
        if one.__module__.startswith("semivae."):
            tree = ast.parse(inspect.getsource(one))
            found |= {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            }
            found |= set(inspect.get_annotations(one))
    return found


@pytest.mark.parametrize("page", [NOTATION, PAPER, DIAGNOSTICS], ids=lambda page: page.name)
def test_every_code_name_exists(page: Path) -> None:
    names = code_names(page)
    assert len(names) > 25
    wrong = [found for name in names if (found := complaint(name))]
    assert not wrong, "\n".join(wrong)


def test_every_cell_of_a_code_column_holds_names_that_exist() -> None:
    """Not only what looks like one: whatever is in backticks there is a name of ours."""
    listed = [row["code name"] for row in rows(NOTATION) if "code name" in row]
    names = [name for cell in listed for name in CODE.findall(cell)]
    assert all(CODE.findall(cell) for cell in listed)
    wrong = [found for name in names if (found := complaint(name))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", DOCUMENTED)
def test_every_public_name_is_in_the_notation(module: str) -> None:
    """A new term, rule, density or objective brings its row."""
    text = NOTATION.read_text("utf-8")
    missing = [name for name in public(module) if not re.search(rf"`{re.escape(name)}[`.(]", text)]
    assert not missing, f"docs/notation.md has no row for {', '.join(missing)}"


def public(name: str) -> list[str]:
    """The public classes and functions that a module defines, as `module.name`."""
    module: ModuleType = importlib.import_module(f"semivae.{name}")
    return [
        f"{name}.{key}"
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def test_every_equation_of_the_paper_has_a_row_with_code_and_a_test() -> None:
    """Eqs 1 to 16 (there is no 9), 6 and 12 twice, and the objectives without a number."""
    table = [row for row in rows(PAPER) if "section, number" in row]
    numbers = [int(n) for row in table for n in re.findall(r"^.*Eq (\d+)", row["section, number"])]
    expected = [n for n in range(1, 17) if n != 9] + [6, 12, 16]
    assert sorted(numbers) == sorted(expected), "3.2 after Eq 16 counts as its second row"
    for section in ("2.7.1", "2.7.2", "2.10", "2.11", "3.3.2", "3.4", "3.6", "4.3", "4.4"):
        assert any(row["section, number"].split(",")[0] == section for row in table), section
    for row in table:
        assert CODE.findall(row["test"]), f"{row['section, number']} has no test"


@pytest.mark.parametrize("page", [PAPER, DIAGNOSTICS], ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    names = re.findall(r"`(tests/[^`]+)`", page.read_text("utf-8"))
    assert len(names) > 15
    missing = [name for name in names if name.partition("::")[2] not in defined_in(name)]
    assert not missing, "\n".join(missing)


def test_every_diagnostic_has_a_row_in_the_order_of_the_report() -> None:
    table = [row for row in rows(DIAGNOSTICS) if "definition" in row]
    assert [row["name"].strip("`") for row in table] == list(MEANINGS)
    probed = {row["name"].strip("`") for row in table if row["probe"] == "yes"}
    assert probed | {"accuracy"} == LOGGED


def defined_in(name: str) -> set[str]:
    """The test functions of the file in `file::test`."""
    path = ROOT / name.partition("::")[0]
    if not path.is_file():
        return set()
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    files = [link.partition("#")[0] for link in local]
    missing = [file for file in files if file and not (page.parent / file).exists()]
    assert not missing, f"{page.name} links to {', '.join(missing)}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("labels.Relaxed.tau", None),
        ("labels.Smoothed.epsilon", None),
        ("models.m2.M2.log_prior", None),
        ("models.m2.M2.decoder", None),
        ("objectives.optimized_elbo(beta)", None),
        ("labels.Relaxed.teu", "has no teu"),
        ("models.m3.M3", "has no m3"),
        ("models.m2.M2.decoders", "has no decoders"),
        ("terms.PriorKL.epsilon", "has no epsilon"),
        ("objectives.optimized_elbo(delta)", "no argument delta"),
        ("wrong.name", "no module semivae.wrong"),
    ],
)
def test_the_check_finds_wrong_names_only(name: str, expected: str | None) -> None:
    found = complaint(name)
    assert (found is None) is (expected is None)
    assert expected is None or expected in str(found)


def test_what_looks_like_a_name_is_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`labels.Relaxed(tau)` `terms.py` `torch.distributions` `labels.x y` `a`")
    assert code_names(page) == ["labels.Relaxed(tau)"]
