"""What a unit's cycles, clock and multipliers are worth."""

from __future__ import annotations

from dataclasses import dataclass

from golden.layer import LayerConfig


def useful_macs(config: LayerConfig) -> int:
    """Multiply-accumulates of one frame of a layer, whatever unit computes them.

    Per output element and input channel of its group: one for each tap of the kernel, one for
    each attention offset, and with attention one that multiplies their sum with the centre. Taps that
    padding makes zero count, as they do in everybody's figures; requantisation does not.
    """
    attention = len(config.attn_offsets)
    per_channel = config.kernel**2 + attention + (1 if attention else 0)
    outputs = config.out_channels * config.out_height * config.out_width
    return per_channel * config.fan_in_channels * outputs


@dataclass(frozen=True, kw_only=True)
class Performance:
    """A unit at work.

    Attributes:
        macs: useful ones of a frame.
        frame_cycles: from frame to frame.
        dsp: multiplier blocks.
        fmax_mhz: None where it is not known, and so is what follows from it.
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
