"""How far a command is, on stderr: bars on a terminal, now and then a line elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from semivae.cli.console import tell
from semivae.fitting import Hooks
from semivae.models.base import DeepGenerativeModel
from semivae.pages import duration
from semivae.processes import is_main
from semivae.training import EpochLog, Snapshot

LINE_SECONDS = 5.0  # at least this long between two lines, and a twentieth of the time so far
SILENCE_SECONDS = 30.0  # a line even within an epoch after so long without one

Show = Callable[[int, int, str, bool], None]
"""(done, of, status, whether something ended) -> shown, or not if it is too soon."""


class Display(ABC):
    """Makes what shows the progress of one thing after another."""

    @abstractmethod
    def new(self, title: str) -> Show:
        """Shows the progress of what is called `title`."""

    def training(self, title: str, rows: Sequence[int] = (), done: int | None = None) -> Hooks:
        """Hooks that show epoch, loss, rows per second and time left.

        `rows` in each epoch in turn, and how many epochs are `done` by an earlier run, where that
        is known before the first step.
        """
        return _Training(self.new(title), rows, done)

    def counting(self, title: str) -> Callable[[int, int], None]:
        """A function of (done, of) that shows a plain count and the time left."""
        show, pace = self.new(title), Pace()

        def count(done: int, of: int) -> None:
            pace.reached(done)
            show(done, of, f"{done:,}/{of:,}{pace.left(of)}", done == of)

        return count


class Pace:
    """Steps per second since the first one seen (a resumed run does not begin with step 1)."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None
        self.rate = 0.0
        self.done = 0

    def reached(self, done: int) -> None:
        """Takes note of the number of steps done by now."""
        now = time.monotonic()
        self.done = done
        if self.first is None:
            self.first = (done, now)
        elif now > self.first[1]:
            self.rate = (done - self.first[0]) / (now - self.first[1])

    def left(self, of: int) -> str:
        """The time left until `of` steps are done, as the end of a line; empty if not known."""
        if not self.rate or self.done >= of:
            return ""
        return f"  {duration((of - self.done) / self.rate)} left"


class _Training(Hooks):
    """Tells the epoch by the log: stages differ in their steps, so that steps do not say it."""

    def __init__(self, show: Show, rows: Sequence[int], done: int | None) -> None:
        self.show, self.rows, self.done = show, rows, done
        self.pace, self.reached = Pace(), ""
        self.steps = 0

    def on_step(self, step: int, steps: int) -> None:
        self.pace.reached(step)
        self.steps = steps
        if step == 1:
            self.done = 0
        self._show(None if self.done is None else self.done + 1, epoch_ended=False)

    def on_epoch(self, model: DeepGenerativeModel, log: EpochLog, snapshot: Snapshot) -> None:
        self.done, self.reached = log.epoch, f"  loss {log.loss:.5g}"
        if self.rows:
            self.reached += f"  {self.rows[log.epoch - 1] / log.seconds:,.0f} rows/s"
        self._show(log.epoch, epoch_ended=True)

    def _show(self, epoch: int | None, epoch_ended: bool) -> None:
        of = f"/{len(self.rows)}" if self.rows else ""
        status = "" if epoch is None else f"epoch {epoch}{of}{self.reached}"
        left = self.pace.left(self.steps)
        self.show(self.pace.done, self.steps, status + left, epoch_ended)


class _Bars(Display):
    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def new(self, title: str) -> Show:
        task: TaskID | None = None

        def show(done: int, of: int, status: str, ended: bool) -> None:
            nonlocal task
            if task is None:
                task = self.progress.add_task(title, total=of, status=status)
            self.progress.update(task, completed=done, status=status)

        return show


class _Lines(Display):
    def new(self, title: str) -> Show:
        started = last = time.monotonic()

        def show(done: int, of: int, status: str, ended: bool) -> None:
            nonlocal last
            silent = time.monotonic() - last
            enough = max(LINE_SECONDS, (last - started) / 20)
            final = ended and done == of
            if final or (ended and silent > enough) or silent > max(SILENCE_SECONDS, enough):
                tell(f"{title}: {status}")
                last = time.monotonic()

        return show


@contextmanager
def display() -> Iterator[Display]:
    """Bars if stderr is a terminal, else lines."""
    if not (is_main() and sys.stderr.isatty()):
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(24),
        TextColumn("{task.fields[status]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress)
