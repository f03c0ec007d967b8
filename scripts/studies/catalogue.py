"""The studies there are."""

from __future__ import annotations

from golden.cli import UserError
from scripts.studies.grid import Study

STUDIES: dict[str, Study] = {}


def find_study(name: str) -> Study:
    """The study called ``name``. Raises `UserError` if there is none."""
    if name not in STUDIES:
        raise UserError(f"study {name!r} is not one of {', '.join(STUDIES)}")
    return STUDIES[name]
