"""How far a command is, on stderr: bars on a terminal, now and then a line elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from semivae.cli.console import tell
from semivae.fitting import Hooks
from semivae.models.m2 import M2
from semivae.report import duration
from semivae.training import EpochLog, Snapshot

LINE_SECONDS = 5.0  # at least this long between two lines
SILENCE_SECONDS = 30.0  # a line even within an epoch after so long without one

Show = Callable[[int, int, str, bool], None]
"""(done, of, status, whether something ended) -> shown, or not if it is too soon."""


class Display(ABC):
    """Makes what shows the progress of one thing after another."""

    @abstractmethod
    def new(self, title: str) -> Show:
        """Shows the progress of what is called `title`."""

    def training(self, title: str, epochs: int, rows: int) -> Hooks:
        """Hooks that show epoch, loss, rows per second and time left; `rows` in an epoch."""
        return _Training(self.new(title), epochs, rows)

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
    def __init__(self, show: Show, epochs: int, rows: int) -> None:
        self.show, self.epochs, self.rows = show, epochs, rows
        self.pace, self.loss = Pace(), ""
        self.done, self.of = 0, epochs

    def on_step(self, step: int, steps: int) -> None:
        self.pace.reached(step)
        self.done, self.of = step, steps
        self._show(False)

    def on_epoch(self, model: M2, log: EpochLog, snapshot: Snapshot) -> None:
        self.loss = f"  loss {log.loss:.5g}"
        self._show(True)

    def _show(self, epoch_ended: bool) -> None:
        steps_per_epoch = self.of // self.epochs
        epoch = (self.done - 1) // steps_per_epoch + 1
        speed = self.pace.rate * self.rows / steps_per_epoch
        status = f"epoch {epoch}/{self.epochs}{self.loss}"
        status += f"  {speed:,.0f} rows/s" if speed else ""
        self.show(self.done, self.of, status + self.pace.left(self.of), epoch_ended)


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
        last = time.monotonic()

        def show(done: int, of: int, status: str, ended: bool) -> None:
            nonlocal last
            silent = time.monotonic() - last
            final = ended and done == of
            if final or (ended and silent > LINE_SECONDS) or silent > SILENCE_SECONDS:
                tell(f"{title}: {status}")
                last = time.monotonic()

        return show


@contextmanager
def display() -> Iterator[Display]:
    """Bars if stderr is a terminal, else lines."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress)
