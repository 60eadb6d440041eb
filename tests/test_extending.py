"""docs/extending.md: every program on the page is taken from it and run."""

import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("unchecked")

sys.path.insert(0, str(Path(__file__).parent))  # for contracts, which the programs import

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
TEXT = PAGE.read_text("utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDED = ["A term", "An objective", "A model", "A backbone", "A likelihood", "A data set"]


def programs() -> list[tuple[str, str, int]]:
    """Heading, program and the line of the page it starts at."""
    found = []
    for match in BLOCK.finditer(TEXT):
        before = TEXT[: match.start(1)]
        heading = re.findall(r"^## (.+)$", before, re.MULTILINE)[-1]
        found.append((heading, match[1], before.count("\n")))
    return found


def test_everything_that_can_be_added_has_a_program() -> None:
    assert [heading for heading, _, _ in programs()] == ADDED
    assert TEXT.count("```") == 2 * len(ADDED), "a block that is not run"


@pytest.mark.parametrize(
    ("program", "line"), [pytest.param(text, line, id=name) for name, text, line in programs()]
)
def test_the_program_runs(
    program: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a module of its own (dataclasses look theirs up); an error names the line of the page."""
    monkeypatch.chdir(tmp_path)
    module = type(sys)("extending")
    monkeypatch.setitem(sys.modules, "extending", module)
    exec(compile("\n" * line + program, str(PAGE), "exec"), module.__dict__)
    assert list(tmp_path.iterdir()) == []
