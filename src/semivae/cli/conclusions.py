"""What is made of all pieces together: a verdict on each claim, and one page of everything."""

from datetime import UTC, datetime

from semivae.cli.wishes import Wish, written_to
from semivae.errors import InputError

# The verdicts come first, then what they rest on.
CHAPTERS = (
    "claims", "architecture", "results-table", "label-counts", "gradient-estimators",
    "classifier-entropy", "learning-from-labels", "ablation", "generation", "disentanglement",
    "domains",
)  # fmt: skip


def claims(wish: Wish) -> dict[str, object]:
    from semivae.paper import claims
    from semivae.paper.experiments import to_csv
    from semivae.plots import to_png

    measured = claims.Measured(wish.out, wish.quick)
    folder = measured.of(claims.NAME)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [
        written
        for name, (figure, readings) in claims.figures(measured).items()
        for written in (
            written_to(folder / f"{name}.png", to_png(figure)),
            written_to(folder / f"{name}.csv", to_csv(readings).encode()),
        )
    ]
    found = claims.judged(measured)
    text = claims.page(found, measured)
    page = written_to(measured.page(claims.NAME), text.encode())
    return {
        "text": text,
        "written": [str(path) for path in (page, *drawn)],
        "verdicts": {
            claim.key: {
                "verdict": of.verdict,
                "words": of.words,
                "evidence": [table._asdict() for table in of.evidence],
            }
            for claim, of in found
        },
    }


def report(wish: Wish) -> dict[str, object]:
    from semivae import runs
    from semivae.book import Chapter, render_book
    from semivae.paper.claims import Measured
    from semivae.report import Source

    measured = Measured(wish.out, wish.quick)
    chapters, missing = [], []
    for name in CHAPTERS:
        path = measured.page(name)
        if path.exists():
            chapters.append(Chapter(name, path))
        else:
            missing.append(name)
    if not chapters:
        raise InputError(
            f"{wish.out} holds nothing to report: first `semivae reproduce {CHAPTERS[0]}`, or all"
        )
    absent = f"; not there yet: {', '.join(missing)}" if missing else ""
    page = render_book(
        chapters,
        title="The paper beside ours",
        subtitle="Every table and figure of the paper, its numbers beside ours, and a verdict on "
        f"each of its claims{absent}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sources=[Source(wish.command("all"), runs.commit(), str(wish.out))],
    )
    path = written_to(wish.out / f"{wish.named('report')}.html", page.encode())
    return {
        "text": f"report of {', '.join(chapter.name for chapter in chapters)}{absent}\n",
        "written": [str(path)],
        "missing": missing,
    }
