"""How a study goes on, on the terminal: a line for each run, and bars while someone is watching."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from golden.support.terminal import say
from scripts.studies.result import Result


class Live:
    """Shows the runs of a study.

    Args:
        console: where to show them.
        bars: draws bars on the console; disabled where that is no terminal.
        labels: the label of each run, by content.
    """

    def __init__(self, console: Console, bars: Progress, labels: Mapping[str, str]) -> None:
        self._console = console
        self._bars = bars
        self._labels = labels
        self._ended = 0
        self._begin = time.monotonic()
        self._all = bars.add_task("all runs", total=len(labels))
        self._tasks: dict[str, TaskID] = {}

    def going(self, content: str, share: float) -> None:
        """See `scripts.studies.engine.Watch`."""
        if content not in self._tasks:
            self._tasks[content] = self._bars.add_task(self._labels[content], total=1.0)
        self._bars.update(self._tasks[content], completed=share)

    def ended(self, result: Result) -> None:
        """See `scripts.studies.engine.Watch`."""
        self._ended += 1
        self._bars.advance(self._all)
        if result.content in self._tasks:
            self._bars.remove_task(self._tasks.pop(result.content))
        how = f"{result.seconds:.1f} s" if result.done else f"failed: {result.complaint}"
        say(f"{self._ended}/{len(self._labels)} {self._labels[result.content]}: {how}{self._left()}", self._console)

    def _left(self) -> str:
        """How long the others take, in words, if they take as long as those that have ended."""
        left = len(self._labels) - self._ended
        seconds = (time.monotonic() - self._begin) / self._ended * left
        return f", about {duration(seconds)} left" if left else ""


def duration(seconds: float) -> str:
    """A time in words, in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def live(console: Console, labels: Mapping[str, str]) -> Iterator[Live]:
    """Show runs on ``console`` while the body runs. ``labels`` has the label of each run, by content."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield Live(console, bars, labels)
