"""Progress on everything that takes longer than two seconds; silent in pipes."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds before a bar appears."""

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Switch all bars of this process off (or on again)."""
    global _quiet
    _quiet = quiet


class Meter:
    """Counts work done; draws a bar with rate and time left once the work has lasted `PATIENCE` seconds."""

    def __init__(self, what: str, total: float | None) -> None:
        self.what, self.total, self.done = what, total, 0.0
        self.started = time.monotonic()
        self.enabled = not _quiet and sys.stderr.isatty()
        self._bar: Progress | None = None

    def advance(self, amount: float = 1) -> None:
        """Note that `amount` more of the work is done."""
        self.done += amount
        seconds = time.monotonic() - self.started
        if self.enabled and self._bar is None and seconds > PATIENCE:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(self.what, total=self.total, rate="")
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, rate=f"{self.done / seconds:,.1f}/s")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def meter(what: str, total: float | None = None) -> Iterator[Meter]:
    """A :class:`Meter` for the body of a `with` statement."""
    counter = Meter(what, total)
    try:
        yield counter
    finally:
        counter.close()


def track(values: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """Pass `values` through, counting them."""
    if total is None and isinstance(values, Sized):
        total = len(values)
    with meter(what, total) as counter:
        for value in values:
            yield value
            counter.advance()
