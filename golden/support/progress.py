"""What is seen while a command works. Nothing of it is left when the command says what it found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.progress import Progress
from rich.text import Text

from golden.support.terminal import terminal

#: Seconds of work before the bar appears.
PATIENCE = 1.0


def bars() -> Progress:
    """Bars on standard error, if that is a terminal. They are wiped at the end."""
    console = terminal(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar. Yield ``advance(amount)``, to be called until the amounts add up to ``total``.

    The bar appears only when the wait is long. It goes to standard error, if that is a terminal, and is
    wiped at the end.
    """
    bar = bars()
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


@contextlib.contextmanager
def spinner(label: str) -> Iterator[Callable[[str], None]]:
    """A wheel that turns beside ``label``. Yield a function that changes the label.

    The wheel goes to standard error, if that is a terminal, and is wiped at the end. What is shown before
    the end runs into it: results are shown afterwards.
    """
    # A plain text of a wheel would be read as markup, which the name of a file may look like.
    with terminal(stderr=True).status(Text(label)) as status:
        yield lambda text: status.update(Text(text))
