"""The nodes of pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Box:
    """A node of a picture.

    Attributes:
        text: its lines.
        colour: of its area.
    """

    text: str
    colour: str
