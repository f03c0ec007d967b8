"""A progress bar that appears only when someone is watching and the wait is long."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress

#: Seconds of work before the bar appears.
PATIENCE = 1.0


@contextlib.contextmanager
def progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Yield ``advance(amount)``, to be called until the amounts add up to ``total``.

    The bar goes to standard error, if that is a terminal, and is wiped at the end.
    """
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(label, total=total)
    appears = time.monotonic() + PATIENCE

    def advance(amount: float) -> None:
        bar.advance(task, amount)
        if not bar.live.is_started and time.monotonic() > appears:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()
