"""Tables on a terminal: cells wrap between words, and nothing is left out."""

from __future__ import annotations

import math

from rich.measure import Measurement
from rich.table import Table

from golden.support.terminal import terminal


def show(table: Table) -> None:
    """Print ``table`` on standard output, as wide as the terminal at most.

    Columns that are too wide for that get narrower, but no word is broken. A table whose words do not fit
    is wider than the terminal.
    """
    console = terminal()
    # As wide as it takes, to see how wide that is.
    free = console.options.update_width(10_000)
    sizes = []
    for column in table.columns:
        parts = [Measurement.get(console, free, part) for part in (column.header, *column.cells)]
        sizes.append((max(part.minimum for part in parts), max(part.maximum for part in parts)))
    borders = Measurement.get(console, free, table).maximum - sum(most for _, most in sizes)
    room = console.width - borders - sum(least for least, _ in sizes)
    wanted = sum(most - least for least, most in sizes)
    if room < wanted:
        share = max(0, room) / wanted if wanted else 0
        for column, (least, most) in zip(table.columns, sizes, strict=True):
            column.width = least + math.floor(share * (most - least))
    console.width = max(console.width, console.width - room)
    console.print(table)
