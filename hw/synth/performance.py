"""What a unit's cycles, clock and multipliers are worth."""

from __future__ import annotations

from dataclasses import dataclass

from golden.contract.layer_config import LayerConfig


def useful_macs(config: LayerConfig) -> int:
    """Multiply-accumulates of one frame of a layer, whatever unit computes them.

    For each output element and input channel of its group there is one for each tap of the kernel and
    one for each attention offset. The attention has more. ``hadamard`` multiplies the sum over the
    taps with the centre: one for each output element and input channel. ``dynamic`` makes a similarity
    for each offset: one for each input channel of a position. The similarity multiplies the sum over
    each head of each output element: one for each head. Taps that padding makes zero count, as they do
    in everybody's figures. Requantisation does not count.
    """
    taps, positions = len(config.attn_offsets), config.out_height * config.out_width
    total = (config.kernel**2 + taps) * config.fan_in_channels * config.out_channels * positions
    if config.similarity is not None:
        return total + taps * (config.in_channels + config.similarity.heads * config.out_channels) * positions
    return total + (config.fan_in_channels * config.out_channels * positions if taps else 0)


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
