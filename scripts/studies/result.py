"""How a run ended, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.studies.functions import Json, Settings

DONE, FAILED = "done", "failed"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended.

    Attributes:
        content, code: what identifies it.
        function: its name.
        status: `DONE` or `FAILED`.
        settings: all of them.
        figures: what it found; None if it failed.
        error: the traceback of what went wrong; empty if nothing did.
        seconds: that it took.
        host: where it ran.
        versions: of Python and the libraries, by name.
        finished: when, in UTC.
    """

    content: str
    code: str
    function: str
    status: str
    settings: Settings
    figures: Json
    error: str = ""
    seconds: float
    host: str
    versions: dict[str, str]
    finished: str = ""

    @property
    def done(self) -> bool:
        return self.status == DONE

    @property
    def complaint(self) -> str:
        """What went wrong, in one line."""
        lines = self.error.strip().splitlines()
        return lines[-1].strip() if lines else ""
