"""What is asked of `semivae reproduce`, and how runs and experiments are carried out for it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semivae.paper.asking import command, named

if TYPE_CHECKING:
    from semivae.paper.experiments import Experiment
    from semivae.paper.results import RunResult
    from semivae.paper.runs import Examination
    from semivae.request import Request


@dataclass(frozen=True)
class Wish:
    """How to reproduce, as asked on the command line; seeds None: as many as a piece has."""

    out: Path
    data_dir: Path | None
    seeds: int | None
    quick: bool
    jobs: int

    def named(self, name: str) -> str:
        """What the files of one piece are called."""
        return named(name, self.quick)

    def command(self, name: str) -> str:
        """The command that makes one piece."""
        return command(name, self.seeds, self.quick)


def executed(
    wish: Wish,
    titles: Mapping["Request", str],
    results: Path,
    examination: "Examination | None" = None,
) -> dict["Request", "RunResult"]:
    """The result of every request, each run once or read from its file under `results`."""
    from semivae.cli.progress import display
    from semivae.paper.runs import execute_all, execute_in_parallel

    requests = list(titles)
    results.mkdir(parents=True, exist_ok=True)
    with display() as shown:
        if wish.jobs == 1:
            ended = execute_all(
                requests,
                results,
                wish.data_dir,
                lambda place: shown.training(titles[requests[place]]),
                examination,
            )
        else:
            ended = execute_in_parallel(
                requests,
                results,
                wish.data_dir,
                wish.jobs,
                shown.counting("runs"),
                examination,
            )
        return dict(zip(requests, ended, strict=True))


def experimented(wish: Wish, experiment: "Experiment") -> dict[str, object]:
    """Runs an experiment; its page, data and figures beside the folder of its result files."""
    from semivae.paper.experiments import Ended, to_csv
    from semivae.plots import to_png

    folder = wish.out / wish.named(experiment.name)
    plan = experiment.plan(wish.seeds, wish.quick)
    titles = {run.request: run.title for run in plan}
    results = executed(wish, titles, folder / "runs", experiment.examination)
    ended = [Ended(run, results[run.request]) for run in plan]
    readings = experiment.readings(ended)
    text = experiment.page(ended, wish.command(experiment.name))
    written = [
        written_to(folder / f"{experiment.name}.md", text.encode()),
        written_to(folder / f"{experiment.name}.csv", to_csv(readings).encode()),
        *(
            written_to(folder / f"{name}.png", to_png(figure))
            for name, figure in experiment.figures(readings).items()
        ),
    ]
    return {
        "text": text,
        "written": [str(path) for path in written],
        "runs": [asdict(result) for result in results.values()],
        "readings": [asdict(reading) for reading in readings],
    }


def written_to(path: Path, content: bytes) -> Path:
    """The path, once the content is there."""
    from semivae.files import write_bytes

    write_bytes(path, content)
    return path
