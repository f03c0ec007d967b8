"""Tables on a terminal: cells wrap between words, and nothing is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.measure import Measurement
from rich.table import Table

from golden.support.terminal import terminal


def table_of(*headings: str, words: int = 1, **options: Any) -> Table:
    """A table without rows, with ``options`` of rich. The first columns have ``words``, the others numbers."""
    table = Table(*headings, **options)
    for column in table.columns[words:]:
        column.justify = "right"
    return table


def show(table: Table) -> None:
    """Print ``table`` on standard output, as wide as the terminal at most.

    Where it is too wide, the widest columns get narrower, but no word is broken. A table whose words do not
    fit is wider than the terminal.
    """
    console = terminal()
    # As wide as it takes, to see how wide that is.
    free = console.options.update_width(10_000)
    sizes = []
    for column in table.columns:
        parts = [Measurement.get(console, free, part) for part in (column.header, *column.cells, column.footer)]
        sizes.append(Measurement(max(part.minimum for part in parts), max(part.maximum for part in parts)))
    borders = Measurement.get(console, free, table).maximum - sum(size.maximum for size in sizes)
    widths = _widths(sizes, console.width - borders)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    console.width = max(console.width, borders + sum(widths))
    console.print(table)


def _widths(sizes: Sequence[Measurement], room: int) -> list[int]:
    """Widths of columns of these ``sizes`` that have ``room`` together. Wide columns share what narrow ones leave."""
    widths = dict.fromkeys(range(len(sizes)), 0)
    waiting = sorted(widths, key=lambda index: sizes[index].maximum)
    while waiting:
        index, *waiting = waiting
        size, kept = sizes[index], sum(sizes[other].minimum for other in waiting)
        share = min(room // (1 + len(waiting)), room - kept)
        widths[index] = max(size.minimum, min(size.maximum, share))
        room -= widths[index]
    return list(widths.values())
