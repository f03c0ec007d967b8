"""Timetable: when each stage works on a beat.

Nothing behind the sequencer stalls. So a beat that is issued is in each stage a fixed number of
cycles later. All of these numbers follow from the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hw.plan.settings import Setting
from hw.plan.shapes import Shapes
from hw.unit import (
    attention_combine,
    channel_accumulate,
    requantise,
    row_store,
    similarity,
    similarity_combine,
    tap_macs,
    window,
)
from hw.unit.head_sum import CONTROL_AHEAD
from hw.unit.output_stream import OutputStream


@dataclass(frozen=True)
class LaneTimetable:
    """When a lane wants what comes to it, in cycles after a beat's operands."""

    shapes: Shapes

    @cached_property
    def operands(self) -> int:
        """Cycles that a lane's own copy of its operands takes."""
        return int(self.shapes.target.lane_registers)

    @cached_property
    def centre(self) -> int:
        """When the centre pixels are wanted (``hadamard`` with attention taps)."""
        return tap_macs.latency(self.shapes)

    @cached_property
    def control(self) -> int:
        """When `hw.unit.head_sum.head_control` is wanted (``dynamic`` with attention taps)."""
        return tap_macs.latency(self.shapes) - CONTROL_AHEAD

    @cached_property
    def sims(self) -> int:
        """When the similarities are wanted (``dynamic`` with attention taps)."""
        return tap_macs.latency(self.shapes) + similarity_combine.sims_latency(self.shapes)

    @cached_property
    def bias(self) -> int:
        """When the biases are wanted, and what marks the beat as valid and as a sum's first."""
        return self._combined + channel_accumulate.bias_latency(self.shapes)

    @cached_property
    def multiplier(self) -> int:
        """When the multipliers are wanted, or their first digits."""
        return self.complete + requantise.multiplier_latency(self.shapes) - self.operands

    @cached_property
    def goes_on(self) -> int:
        """When it is wanted whether a second digit follows (where products take turns)."""
        return self.complete + requantise.goes_on_latency(self.shapes) - self.operands

    def setting(self, setting: Setting) -> int:
        """When a setting that comes at run time is wanted."""
        settings = self.shapes.settings
        if setting is settings.attn_shift:
            combine = attention_combine if self.shapes.heads is None else similarity_combine
            return self.operands + tap_macs.latency(self.shapes) + combine.shift_latency(self.shapes)
        wanted = requantise.shift_latency if setting is settings.out_shift else requantise.relu_latency
        return self.complete + wanted(self.shapes)

    @cached_property
    def latency(self) -> int:
        """When the output elements are there."""
        return self.complete + requantise.latency(self.shapes)

    @cached_property
    def stages(self) -> dict[str, int]:
        """Cycles of each stage. Their sum is `latency`. A lane's own copy of the operands counts as ``tap_macs``."""
        combine = attention_combine if self.shapes.heads is None else similarity_combine
        return {
            "tap_macs": self.operands + tap_macs.latency(self.shapes),
            "attention_combine": combine.latency(self.shapes),
            "channel_accumulate": channel_accumulate.latency(self.shapes),
            "requantise": requantise.latency(self.shapes),
        }

    @cached_property
    def _combined(self) -> int:
        return self.stages["tap_macs"] + self.stages["attention_combine"]

    @cached_property
    def complete(self) -> int:
        """When the sum is there that the beat completes."""
        return self._combined + self.stages["channel_accumulate"]


@dataclass(frozen=True)
class Timetable:
    """When each stage of a unit works on a beat, in cycles after its issue."""

    shapes: Shapes

    @cached_property
    def lane(self) -> LaneTimetable:
        return LaneTimetable(self.shapes)

    @cached_property
    def at_window(self) -> int:
        """When the beat's column is there. The row store has the address a cycle after the issue."""
        return 1 + row_store.latency(self.shapes.target)

    @cached_property
    def at_taps(self) -> int:
        """When the beat's taps are there."""
        return self.at_window + window.latency(self.shapes.target)

    @cached_property
    def at_tap(self) -> int:
        """When the pixel in the centre of the beat's window is there."""
        return self.at_taps + window.row_lateness(self.shapes)[0]

    @cached_property
    def tap_latency(self) -> int:
        """When that pixel is transferred, if nothing waits."""
        return self.at_tap + OutputStream.latency

    @cached_property
    def tap_depth(self) -> int:
        """Entries of the tap's FIFO, as in `fifo_depth`. Pixels come when their windows are used for the first time."""
        g = self.shapes.geometry
        uses, rest = divmod(self.tap_latency + 1, g.channel_beats * g.output_beats)
        return uses * g.channel_beats + min(g.channel_beats, rest) + 2

    @cached_property
    def sims_wait(self) -> int:
        """Cycles that lanes begin later than they could, so that similarities are there in time."""
        if self.shapes.heads is None:
            return 0
        return max(0, similarity.latency(self.shapes) - self.lane.sims)

    @cached_property
    def sims_early(self) -> int:
        """Cycles that similarities are there before the lanes want them."""
        return self.at_lane + self.lane.sims - self.at_taps - similarity.latency(self.shapes)

    @cached_property
    def at_lane(self) -> int:
        """When the lanes have the beat's operands."""
        return self.at_taps + self.sims_wait

    @cached_property
    def at_bias(self) -> int:
        """When the lanes want the beat's biases."""
        return self.at_lane + self.lane.bias

    @cached_property
    def at_multiplier(self) -> int:
        """When the lanes want the beat's multipliers."""
        return self.at_lane + self.lane.multiplier

    @cached_property
    def at_output(self) -> int:
        """When the output FIFO has the elements that the beat completes."""
        return self.at_lane + self.lane.latency

    @cached_property
    def latency(self) -> int:
        """When the elements that the beat completes are transferred, if nothing waits."""
        return self.at_output + OutputStream.latency

    @cached_property
    def fifo_depth(self) -> int:
        """Entries of the output FIFO: enough that a ready sink never makes the sequencer wait for a free one."""
        return -(-(self.latency + 1) // self.shapes.beats_per_output) + 2

    @cached_property
    def stages(self) -> dict[str, int]:
        """Cycles of each stage from the window on, as the manifest has them."""
        return {
            "window": window.latency(self.shapes.target),
            **({} if self.shapes.heads is None else {"similarity": self.sims_wait}),
            **self.lane.stages,
            "output_stream": OutputStream.latency,
        }
