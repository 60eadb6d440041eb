"""Tables and lists in Markdown."""

from collections.abc import Container, Iterable, Mapping, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Container[int] = ()) -> str:
    """A table that ends in a newline, its `right` columns aligned right. A bar would end a cell
    and a line break a row, so that the one is escaped and the other a space.

    >>> print(table(["x", "p(y|x)"], [["1", "0.5"]], right=[1]), end="")
    | x | p(y\\|x) |
    | --- | ---: |
    | 1 | 0.5 |
    """
    lines = [header, ["---:" if i in right else "---" for i in range(len(header))], *rows]
    cells = ([" ".join(cell.replace("|", "\\|").split()) for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def bullets(facts: Mapping[str, str]) -> str:
    """A protocol as a list, a line each."""
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def listed(values: Iterable[str]) -> str:
    """Different values, each once, in the order of first appearance."""
    return ", ".join(dict.fromkeys(values))
