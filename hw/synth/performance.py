"""What a unit's cycles, clock and multipliers are worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Performance:
    """A unit at work.

    Attributes:
        macs: useful multiply-accumulates of a frame.
        frame_cycles: cycles from frame to frame.
        dsp: multiplier blocks.
        fmax_mhz: the highest clock; None where it is not known. What follows from it is None then, too.
    """

    macs: int
    frame_cycles: int
    dsp: int
    fmax_mhz: float | None

    @property
    def dsp_efficiency(self) -> float | None:
        """Useful multiply-accumulates per multiplier block and cycle; None without such blocks."""
        return self.macs / (self.dsp * self.frame_cycles) if self.dsp else None

    @property
    def frames_per_second(self) -> float | None:
        return None if self.fmax_mhz is None else 1e6 * self.fmax_mhz / self.frame_cycles

    @property
    def gmacs_per_second(self) -> float | None:
        """Useful multiply-accumulates a second, in thousand millions."""
        return None if self.frames_per_second is None else 1e-9 * self.frames_per_second * self.macs
