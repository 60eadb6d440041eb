"""Which way imports point: the files of the package against one table, and the checker itself.

Read bottom up the table is the paper: densities, bounds and objectives, the algorithm, the
experiments. A new file or folder right under the package goes into `LAYERS`, a new dependency into
`THIRD_PARTY`.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "semivae"

# Name and members of each layer, bottom up. A member that is a folder stands for every file in it.
# A file imports lower rows, or the files beside it in its own folder.
LAYERS: tuple[tuple[str, frozenset[str]], ...] = (
    ("0", frozenset({"errors", "processes"})),
    (
        "0.5",
        frozenset(
            {
                "arguments",
                "files",
                "distributions",
                "schedules",
                "noise",
                "optimizers",
                "averaging",
                "upconv",
                "weighting",
                "markdown",
                "spread",
            }
        ),
    ),
    ("1", frozenset({"information", "label_draws", "likelihoods", "nets", "data", "plots"})),
    ("1.5", frozenset({"labels", "convolutions"})),
    ("2", frozenset({"models"})),
    ("3, bounds", frozenset({"bounds"})),
    ("3, streams", frozenset({"streams"})),
    ("3, sums", frozenset({"sums"})),
    ("3, terms", frozenset({"terms"})),
    ("3, capacities", frozenset({"capacities"})),
    ("3, objectives", frozenset({"objectives"})),
    ("3, discriminative", frozenset({"discriminative"})),
    ("3, specs", frozenset({"objective_specs"})),
    ("3, smoothness", frozenset({"smoothness"})),
    ("3, finite", frozenset({"finite"})),
    ("4", frozenset({"training", "evaluation", "generation", "diagnostics"})),
    (
        "5",
        frozenset(
            {
                "assessment",
                "checks",
                "config",
                "estimators",
                "facade",
                "fitting",
                "measured",
                "measures",
                "paper",
                "pictures",
                "predictor",
                "probing",
                "recipe",
                "recipes",
                "request",
                "rundir",
                "runs",
                "settings",
                "stages",
                "transformers",
                "trials",
            }
        ),
    ),
    ("6, pages", frozenset({"pages"})),
    ("6, report", frozenset({"report"})),
    ("6, book", frozenset({"book"})),
    ("7", frozenset({"cli", "__main__"})),
)
RANK = {member: rank for rank, (_, members) in enumerate(LAYERS) for member in members}
TOP = len(LAYERS) - 1
# Rows whose files may import each other (never in a cycle) although they share no folder.
OPEN_LAYERS = frozenset({"5", "7"})

ANYWHERE = None
# Which members may import a dependency. What is not here is not a dependency of the library.
THIRD_PARTY: dict[str, frozenset[str] | None] = {
    "torch": ANYWHERE,
    "numpy": ANYWHERE,
    "jaxtyping": ANYWHERE,
    "safetensors": ANYWHERE,
    "PIL": ANYWHERE,
    "accelerate": frozenset({"training"}),
    "sklearn": frozenset(
        {"data", "diagnostics", "evaluation", "estimators", "facade", "paper", "transformers"}
    ),
    "scipy": frozenset({"paper"}),
    "matplotlib": frozenset({"plots"}),
    "mpl_toolkits": frozenset({"plots"}),
    "typer": frozenset({"cli"}),
    "click": frozenset({"cli"}),
    "rich": frozenset({"cli"}),
    "jinja2": frozenset({"pages"}),
    "markdown_it": frozenset({"book"}),
    "pooch": frozenset({"data"}),
    "joblib": frozenset({"paper"}),
    "filelock": frozenset({"cli", "paper"}),
}
# Slow to import (0.05 to 0.2 s) and needed only while training.
ONLY_IN_FUNCTIONS = frozenset({"accelerate"})


class Import(NamedTuple):
    """One imported module or name, absolute and dotted, and how it is imported."""

    target: str
    line: int
    in_function: bool
    for_types_only: bool


def imports_of(tree: ast.Module, module: str, is_package: bool) -> Iterator[Import]:
    """Every import of a file, those inside functions and under `if TYPE_CHECKING` too."""
    folder = module.split(".") if is_package else module.split(".")[:-1]

    def visit(node: ast.AST, in_function: bool, for_types_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(name.name, node.lineno, in_function, for_types_only)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            for name in node.names:
                target = ".".join([*base, name.name])
                yield Import(target, node.lineno, in_function, for_types_only)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from visit(statement, in_function, True)
            for statement in node.orelse:
                yield from visit(statement, in_function, for_types_only)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, in_function or is_function, for_types_only)

    return visit(tree, in_function=False, for_types_only=False)


def module_name(path: str) -> str:
    """The dotted name of a file given relative to `src`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def member_of(module: str) -> str:
    """What `LAYERS` lists of a module: the file or the folder right under the package."""
    return module.split(".")[1]


def layer(module: str) -> str:
    return LAYERS[RANK[member_of(module)]][0]


def check_own(importer: str, target: str, name: str) -> str | None:
    """What is wrong when `importer` takes `name` from our file `target`, or None."""
    mine = RANK[member_of(importer)]
    if target == PACKAGE:
        if mine == TOP or name == f"{PACKAGE}.__version__":
            return None
        return (
            f"{importer} imports {name} through the package, which stands above everything: "
            "import it from the file that defines it"
        )
    theirs = RANK[member_of(target)]
    if theirs < mine or member_of(target) == member_of(importer):
        return None
    if theirs > mine:
        return (
            f"{importer} (layer {layer(importer)}) imports {target} (layer {layer(target)}), "
            "which is above it: move the name down, or pass it in as an argument"
        )
    if layer(importer) in OPEN_LAYERS:
        return None
    return (
        f"{importer} imports {target}: both are in layer {layer(importer)}, whose files do not "
        "import each other: pass the value in, or move what both need into a lower layer"
    )


def check_third_party(importer: str, found: Import) -> str | None:
    """What is wrong with an import from outside the package, or None."""
    root = found.target.split(".")[0]
    if root not in THIRD_PARTY:
        return f"{importer} imports {root}, which is not in THIRD_PARTY of {Path(__file__).name}"
    allowed = THIRD_PARTY[root]
    if allowed is not ANYWHERE and member_of(importer) not in allowed:
        return f"{importer} imports {root}, which only {', '.join(sorted(allowed))} may"
    if root in ONLY_IN_FUNCTIONS and not (found.in_function or found.for_types_only):
        return f"{importer} imports {root} at the top: import it in the function that uses it"
    return None


def check_package(found: Import) -> str | None:
    """What is wrong with an import in the package's own `__init__`, or None."""
    if found.in_function or found.for_types_only:
        return None
    return (
        f"the package imports {found.target} when it is imported, and must be lazy for the sake "
        "of `semivae --help`: import under TYPE_CHECKING and in __getattr__"
    )


def printing_lines(tree: ast.Module) -> list[int]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Import cycles, each as the walk that closes it: one for every edge back in the search."""
    found: list[list[str]] = []
    finished: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in finished:
            for target in sorted(edges.get(module, ())):
                walk(target, [*path, module])
            finished.add(module)

    for module in sorted(edges):
        walk(module, [])
    return found


def complaints(sources: dict[str, str]) -> list[str]:
    """What breaks the layering, a sentence each; `sources`: path relative to `src` -> text."""
    known = {module_name(path) for path in sources} | {f"{PACKAGE}.{member}" for member in RANK}
    found: list[str] = []
    edges: dict[str, set[str]] = {}
    for path, text in sorted(sources.items()):
        importer, tree = module_name(path), ast.parse(text, filename=path)
        is_root = importer == PACKAGE
        if not is_root and member_of(importer) not in RANK:
            table = f"LAYERS of {Path(__file__).name}"
            found.append(f"{path}: {importer} has no layer: put it into {table}")
            continue
        if is_root or RANK[member_of(importer)] < TOP:
            for line in printing_lines(tree):
                found.append(f"{path}:{line}: {importer} prints: only the command line may")
        for one in imports_of(tree, importer, is_package=path.endswith("__init__.py")):
            root = one.target.split(".")[0]
            complaint = None
            if root in sys.stdlib_module_names:
                continue
            if is_root:
                complaint = check_package(one)
            elif root != PACKAGE:
                complaint = check_third_party(importer, one)
            else:
                # The last part is a module (`from semivae.data import splits`) or a name in one.
                parent = one.target.rpartition(".")[0] or PACKAGE
                target = one.target if one.target in known else parent
                # A file without a layer is reported as such, one that does not exist by mypy.
                if target == PACKAGE or member_of(target) in RANK:
                    complaint = check_own(importer, target, one.target)
                    edges.setdefault(importer, set()).update({target} - {importer})
            if complaint:
                found.append(f"{path}:{one.line}: {complaint}")
    return found + [f"import cycle: {' -> '.join(cycle)}" for cycle in cycles(edges)]


def test_the_package_keeps_its_layers() -> None:
    paths = sorted((SOURCE / PACKAGE).rglob("*.py"))
    assert paths, f"no source files under {SOURCE / PACKAGE}"
    texts = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in paths}
    found = complaints(texts)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# The checker, on sources that it must accept and on one of each kind that it must not.

SOUND = {
    "__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .terms import T",
    "errors.py": "class InputError(ValueError): ...",
    "distributions.py": "import torch",
    "labels.py": "from semivae.distributions import Relaxed\nfrom .errors import InputError",
    "data/__init__.py": "from .splits import split",
    "data/splits.py": "import sklearn.model_selection\nfrom . import batches",
    "data/batches.py": "import numpy as np\nfrom ..errors import InputError",
    "models/m2.py": "import torch.nn as nn\nfrom semivae.labels import LabelDraws",
    "bounds.py": "from semivae.models import m2",
    "terms.py": 'from semivae.bounds import Bound\n"""\n>>> print(1)\n1\n"""',
    "training.py": "def fit():\n    from accelerate import Accelerator",
    "fitting.py": "from semivae import __version__\nfrom semivae.recipes import RECIPES",
    "recipes.py": "from semivae import terms",
    "cli/__init__.py": "import typer\nfrom semivae import Classifier\nfrom .show import show",
    "cli/show.py": "from rich import table\nprint('shown')",
    "__main__.py": "from semivae.cli import main",
}


def complaints_with(path: str, text: str) -> str:
    """What the checker says of the sound package after one file is replaced or added."""
    return "\n".join(complaints({f"semivae/{p}": t for p, t in {**SOUND, path: text}.items()}))


def test_sound_sources_are_accepted() -> None:
    assert complaints_with("errors.py", SOUND["errors.py"]) == ""


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("bounds.py", "import semivae.training", "bounds (layer 3, bounds) imports semivae.tr"),
        ("bounds.py", "from semivae.terms import T", "imports semivae.terms (layer 3, terms)"),
        ("data/x.py", "def f():\n    from ..models.m2 import M2", "x.py:2: semivae.data.x (la"),
        ("nets.py", "from . import training", "imports semivae.training (layer 4), which"),
        ("nets.py", "from semivae.data import splits", "data.splits: both are in layer 1"),
        ("evaluation.py", "from .training import fit", "semivae.training: both are in layer 4"),
        ("nets.py", "from .errors import *\nfrom semivae import M2", "py:2: semivae.nets imports"),
        ("scribbles.py", "", "semivae.scribbles has no layer: put it into LAYERS of test_la"),
        ("labels.py", "import pandas", "imports pandas, which is not in THIRD_PARTY of test"),
        ("report.py", "import matplotlib.pyplot as plt", "matplotlib, which only plots may"),
        ("fitting.py", "def f():\n    import accelerate", "which only training may"),
        ("training.py", "from accelerate import Accelerator", "imports accelerate at the top"),
        ("report.py", "def f():\n    print(2)", "semivae/report.py:2: semivae.report prints"),
        ("__init__.py", "import torch", "__init__.py:1: the package imports torch when it is"),
        ("__init__.py", "from .terms import T", "the package imports semivae.terms.T when"),
        ("recipes.py", "import semivae.fitting", "cycle: semivae.fitting -> semivae.recipes"),
        ("data/batches.py", "from .splits import split", "e: semivae.data.splits -> semivae"),
    ],
)  # fmt: skip
def test_what_breaks_the_layering_is_found(path: str, text: str, expected: str) -> None:
    assert expected in complaints_with(path, text)


def test_a_cycle_is_found_once_with_the_way_round() -> None:
    assert cycles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == [["a", "b", "c", "a"]]


def test_every_member_stands_in_one_layer() -> None:
    assert len(RANK) == sum(len(members) for _, members in LAYERS)
