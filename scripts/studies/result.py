"""Result: how a run ended, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.studies.functions import Json, Settings

DONE, FAILED = "done", "failed"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended.

    Attributes:
        content, code: what identifies the result, see `scripts.studies.content`.
        function: name of the function.
        status: `DONE` or `FAILED`.
        settings: all settings, defaults included.
        figures: what the run found; None if it failed.
        error: the traceback of what went wrong; empty if nothing did.
        seconds: time that the run took.
        host: name of the machine that ran it.
        versions: versions of Python and the libraries, by name.
        finished: when the result was stored, in UTC.
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
