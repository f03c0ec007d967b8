"""Wrapping: lines break between words, and what is meant to be copied stays whole."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import groupby

#: An example: its command, and behind at least two spaces what it does.
_EXAMPLE = re.compile(r"(?P<command> +\S.*?\s{2,})(?P<what>\S.*)")
#: An explanation has at least so many columns, or lines of its own.
_LEAST = 20


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` characters. A word that is longer is a line of its own."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def wrapped_help(text: str, width: int) -> str:
    """``text`` of paragraphs, and of indented examples whose explanations wrap beside their commands."""
    lines: list[str] = []
    for is_prose, block in groupby(text.splitlines(), lambda line: line != "" and not line.startswith(" ")):
        if is_prose:
            lines += wrapped(" ".join(block), width)
        else:
            lines += [part for line in block for part in _example(line, width)]
    return "\n".join(lines)


def _example(line: str, width: int) -> Iterator[str]:
    found = _EXAMPLE.fullmatch(line)
    if len(line) <= width or found is None:
        yield line
        return
    command, what = found["command"], found["what"]
    column = len(command)
    if column + _LEAST > width:
        yield command.rstrip()
        column = len(command) - len(command.lstrip()) + 4
        command = " " * column
    first, *others = wrapped(what, width - column)
    yield command + first
    yield from (" " * column + other for other in others)
