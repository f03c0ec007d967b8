"""Flush: when a unit completes a frame by itself, because the next frame's first groups have not come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Flush:
    """How a unit completes a frame.

    It is known when the next frame's first groups come at full rate. Waiting so long costs nothing. Completing
    the frame by empty groups instead would delay the next frame. A unit that no frame comes to completes its
    last one in the same cycles. A unit alone mostly has nothing to wait for: its input is there, or it is late.

    Attributes:
        always: every frame is completed by empty groups, whether the next frame is there or not.
        due: for each group that must follow a frame's last output, when it is late: cycles from the transfer of
            the last input beat that the frame's last output needs. Until then the unit takes no empty group.
            Empty where it never waits.
    """

    always: bool
    due: tuple[int, ...] = ()
