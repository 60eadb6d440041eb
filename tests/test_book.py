"""Markdown pages bound into one HTML file: pictures inside, headings below, nothing obeyed."""

import re
from base64 import b64encode
from pathlib import Path

from semivae.book import Chapter, render_book
from semivae.report import Source

PNG = b"\x89PNG not really"


def bound(*chapters: Chapter) -> str:
    return render_book(
        chapters, title="All & everything", subtitle="Here", created="today",
        sources=[Source("semivae reproduce all", "abc", "there")],
    )  # fmt: skip


def test_pages_are_bound_in_order_with_their_pictures_inside(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "sub").mkdir()
    first, second = tmp_path / "sub" / "first.md", tmp_path / "second.md"
    table = "| a | b |\n| --- | --- |\n| 1 \\| 2 | 3 |\n"
    first.write_text(f"# First | page\n\n{table}\n![A](../a.png)\n")
    second.write_text("# Second\n\n## Part\n\n![B](gone.png)\n\n- x: y < z\n")
    text = bound(Chapter("one", first), Chapter("two", second))
    assert f'src="data:image/png;base64,{b64encode(PNG).decode()}"' in text
    assert "<td>1 | 2</td>" in text and "y &lt; z" in text
    assert "(no picture gone.png yet)" in text
    assert text.count("<h1>") == 1 and "<h2>Second</h2>" in text and "<h3>Part</h3>" in text
    assert re.findall(r'<a href="#(\w+)">([^<]+)</a>', text) == [
        ("one", "First | page"), ("two", "Second"),
    ]  # fmt: skip
    assert text.index('id="one"') < text.index('id="two"')
    assert "semivae reproduce all" in text and "All &amp; everything" in text
    assert "http://" not in text and "https://" not in text


def test_html_in_a_page_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("No heading, <script>alert(1)</script>\n\n[out](javascript:alert(1))\n")
    text = bound(Chapter("bare", path))
    assert "<script" not in text and "&lt;script&gt;" in text
    assert 'href="javascript' not in text
    assert '<a href="#bare">bare</a>' in text
