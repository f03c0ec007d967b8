"""A page with a place for figures: what stands between two marks is written by a command, the rest by people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from golden.support import cli
from golden.support.cli import UserError


@dataclass(frozen=True, kw_only=True)
class MarkedPage:
    """A page: the figures, and what stands in it before and behind them, marks included."""

    path: Path
    before: str
    figures: str
    behind: str

    @classmethod
    def read(cls, path: Path, begin: str, end: str) -> MarkedPage:
        """The page at ``path``. Raises `UserError` where there is none, or it lacks a mark, each a line."""
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"page {path}: {error}") from None
        before, found, rest = text.partition(begin)
        figures, closed, behind = rest.partition(end)
        if not found or not closed:
            raise UserError(f"page {path} has no place for the figures, between {begin.strip()} and {end.strip()}")
        return cls(path=path, before=before + found, figures=figures, behind=closed + behind)

    def write(self, figures: str) -> None:
        """Put ``figures`` in their place."""
        with cli.replacing(self.path) as stream:
            stream.write(f"{self.before}\n{figures}\n{self.behind}")
