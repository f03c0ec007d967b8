"""The checkout that these scripts are part of. An installed package has none: it lacks the tests and the pages."""

from __future__ import annotations

from pathlib import Path

from golden.support.cli import UserError

ROOT = Path(__file__).parents[1]


def in_checkout(place: str, instead: str | None = None) -> Path:
    """The file or folder ``place`` of the checkout.

    Args:
        place: relative to the checkout's folder.
        instead: the option that names another place; None where there is no other.

    Raises `UserError` where this is an installed package.
    """
    if not (ROOT / "pyproject.toml").exists():
        way = f"; or name another place: {instead}" if instead else ""
        raise UserError(f"{place} is not part of an installed package: run this in a checkout of the project{way}")
    return ROOT / place
