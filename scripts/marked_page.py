"""A page with a place for figures: what stands between two marks is written by a command, the rest by people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.support import cli
from golden.support.cli import UserError


@dataclass(frozen=True, kw_only=True)
class MarkedPage:
    """The page at ``path``, whose figures stand between the lines ``begin`` and ``end``.

    It is read whenever it is asked for, as people may write in it while a command measures. Raises `UserError`, at
    once too, where there is no page, or it lacks a mark.
    """

    path: Path
    begin: str
    end: str

    def __post_init__(self) -> None:
        self._parts()

    @property
    def figures(self) -> str:
        """What stands between the marks."""
        return self._parts()[1]

    def write(self, figures: str) -> None:
        """Put ``figures`` in their place."""
        before, _, behind = self._parts()
        with cli.replacing(self.path) as stream:
            stream.write(f"{before}\n{figures}\n{behind}")

    def _parts(self) -> tuple[str, str, str]:
        """What stands before the figures, the figures, and what stands behind them, with the marks."""
        try:
            text = self.path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"page {self.path}: {error}") from None
        before, found, rest = text.partition(self.begin)
        figures, closed, behind = rest.partition(self.end)
        if not found or not closed:
            where = f"between {self.begin.strip()} and {self.end.strip()}"
            raise UserError(f"page {self.path} has no place for the figures, {where}")
        return before + found, figures, closed + behind


def page_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table of a page. The first columns have ``words``, the others numbers."""
    rules = ["---"] * words + ["---:"] * (len(headings) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rules, *rows))
