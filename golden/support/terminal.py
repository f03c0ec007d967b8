"""Terminal: what commands say to people, in lines that wrap between words."""

from __future__ import annotations

from rich.console import Console

from golden.support.wrapping import wrapped


def terminal(*, stderr: bool = False) -> Console:
    """Standard output, or ``stderr``. Text is shown as it is: names of files and layers are no markup."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def say(text: str, console: Console | None = None) -> None:
    """Show a line, on standard output where no ``console`` is given. A terminal gets it wrapped between words.

    No word is broken, so that a path can be copied. An indented line is a command to copy, and stays
    whole. So does every line that goes into a pipe or a file.
    """
    console = console or terminal()
    wraps = console.is_terminal and not text.startswith(" ")
    for line in wrapped(text, console.width) if wraps else [text]:
        console.print(line, soft_wrap=True)
