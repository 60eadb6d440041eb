"""Pages in Markdown bound into one HTML page, their pictures inside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from semivae.pages import inside, render
from semivae.report import Source


@dataclass(frozen=True)
class Chapter:
    """A page of Markdown whose pictures are PNG files beside it; `name` is its anchor."""

    name: str
    path: Path


def render_book(
    chapters: Sequence[Chapter],
    *,
    title: str,
    subtitle: str,
    created: str,
    sources: Sequence[Source],
) -> str:
    """The page: a list of chapters, then each of them, their headings one level further down.

    HTML in the Markdown is shown, not obeyed. A picture that is not there is said to be missing.
    """
    bound = [_bound(chapter) for chapter in chapters]
    context = {
        "title": title,
        "subtitle": subtitle,
        "created": created,
        "chapters": bound,
        "sources": list(sources),
    }
    return render("book.html.j2", context)


@dataclass(frozen=True)
class _Bound:
    name: str
    title: str
    html: str


def _bound(chapter: Chapter) -> _Bound:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(chapter.path.read_text(encoding="utf-8"))
    title = chapter.name
    for before, token in pairwise(tokens):
        if before.type == "heading_open" and before.tag == "h1":
            title = token.content
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 1}"
        _put_pictures_inside(token, chapter.path.parent)
    return _Bound(chapter.name, title, parser.renderer.render(tokens, parser.options, {}))


def _put_pictures_inside(token: Token, folder: Path) -> None:
    for child in token.children or []:
        if child.type != "image":
            continue
        file = folder / str(child.attrs["src"])
        if file.is_file():
            child.attrs["src"] = inside(file.read_bytes())
        else:
            child.type, child.content = "text", f"(no picture {file.name} yet)"
