"""Shapes: what follows from a unit's config, down to the last width.

Every stage derives its ports, registers and memories from here. Widths follow from proven ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from golden.contract.bounds import StageRanges, Weighted, stage_ranges
from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.ranges import ACCUMULATOR_BITS, Range, weighted_sum
from golden.contract.streams import Payload
from golden.support.cli import UserError
from golden.support.numbers import number
from hw.plan.config import UnitConfig
from hw.plan.geometry import Geometry
from hw.plan.group_packing import group_plan
from hw.plan.heads import Heads
from hw.plan.packing import TapPlan, tap_plan
from hw.plan.schedule import Schedule, find_schedule
from hw.plan.scope import Scope, scope_of
from hw.plan.settings import Settings
from hw.targets.families import Target

#: The generator's limit on the width of a vector.
MAX_VECTOR_BITS = 2**16 - 1


def shape_of(values: Range) -> Shape:
    """The narrowest signed shape that holds ``values``."""
    return signed(values.signed_bits)


@dataclass(frozen=True, kw_only=True)
class GroupRanges:
    """What the ``dynamic`` product adds to the proven ranges, over all outputs and groups or heads.

    Attributes:
        conv: ``sum_i conv_weight x_i`` over a group of channels.
        attn: ``sum_c attn_weight x_t`` over the channels of a group or a head, and all partial sums.
        sim: all similarities.
    """

    conv: Range
    attn: Range
    sim: Range


@dataclass(frozen=True)
class Shapes:
    """Geometry, schedule, ranges, plan and layouts of the unit ``config``.

    Raises `UserError` where a vector is wider than the generator can make it, and where weights that a
    reloadable unit allows could make the accumulator too wide.
    """

    config: UnitConfig

    def __post_init__(self) -> None:
        self._check_accumulator()
        self._check_vectors()

    def _check_accumulator(self) -> None:
        # A frozen unit's layer has already refused this itself.
        acc = self.ranges.accumulator
        if max(-acc.low, acc.high) >= 2 ** (ACCUMULATOR_BITS - 1):
            raise UserError(
                f"attn_shift {self.settings.attn_shift.allowed.high} lets |acc| reach {max(-acc.low, acc.high)} "
                f"with any weights, allowed is less than 2^{ACCUMULATOR_BITS - 1}"
            )

    def _check_vectors(self) -> None:
        g = self.geometry
        segments = max(g.segments(dy) for dy in g.rows)
        widest = {
            "simd": max(
                self.column.size,
                self.column_group.size * segments,
                self.channel_taps.size * self.folding.simd,
                self.lane_weights.size,
                self.combined.size,
                *self._similarity_bits,
            ),
            "pe": self.output_payload.lanes * self.output_payload.bits + 1,
        }
        for name, bits in widest.items():
            if bits > MAX_VECTOR_BITS:
                asked = f"{name} {getattr(self.folding, name)} needs a vector of {number(bits)} bits"
                raise UserError(f"{asked}, allowed are {number(MAX_VECTOR_BITS)}")

    @property
    def layer(self) -> Layer:
        return self.config.layer

    @property
    def folding(self) -> Folding:
        return self.config.folding

    @property
    def target(self) -> Target:
        return self.config.target

    @cached_property
    def scope(self) -> Scope:
        """What is known of frames and weights."""
        return scope_of(self.config)

    @property
    def bounding(self) -> Weighted:
        """What all bounds follow from."""
        return self.scope.bounding

    @cached_property
    def settings(self) -> Settings:
        """The numbers that stages compute with."""
        return self.scope.settings

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry(config=self.layer.config, folding=self.folding)

    @cached_property
    def schedule(self) -> Schedule:
        """Row slots and cycles."""
        return find_schedule(self.geometry, self.scope.cycle_model)

    @cached_property
    def edge_columns(self) -> tuple[int, ...]:
        """Distinct ``dx`` of the taps that lie outside the frame for some output of some frame."""
        return self.scope.edge_columns(self.geometry)

    @cached_property
    def centre_slots(self) -> frozenset[int]:
        """Slots of the row store that rows of centres come to lie in."""
        return self.scope.centre_slots(self.geometry, self.schedule.slots)

    @cached_property
    def ranges(self) -> StageRanges:
        return stage_ranges(self.bounding)

    @cached_property
    def heads(self) -> Heads | None:
        """How the heads of the ``dynamic`` product lie in the beats; None where there are no similarities."""
        form = self.layer.config.similarity
        if form is None or not self.geometry.attn_taps:
            return None
        return Heads(simd=self.folding.simd, beats=self.geometry.channel_beats, head_channels=form.head_channels)

    @cached_property
    def group_ranges(self) -> GroupRanges:
        """What the ``dynamic`` product adds to `ranges`. Only with `heads`."""
        assert self.heads is not None and self.ranges.similarity is not None
        c, g = self.layer.config, self.geometry
        element, outputs = c.in_range, len(self.bounding.bias)
        conv = self.bounding.conv_weight.reshape(outputs, c.in_channels, -1)[..., list(g.conv_taps)]
        attn = self.bounding.attn_weight[..., list(g.attn_taps)]
        per_head = attn.reshape(outputs, -1, self.heads.head_channels, len(g.attn_taps)).swapaxes(2, 3)
        sims = [self.ranges.similarity.sims[t] for t in g.attn_taps]
        return GroupRanges(
            conv=Range.hull(*weighted_sum(conv.reshape(outputs, c.in_channels // self.heads.group, -1), element)),
            attn=Range.hull(*weighted_sum(per_head, element)),
            sim=Range(min(s.low for s in sims), max(s.high for s in sims)),
        )

    @cached_property
    def plan(self) -> TapPlan:
        if self.heads is not None:
            return group_plan(self.bounding, self.geometry, self.heads, self.target, pack=self.config.pack)
        return tap_plan(self.bounding, self.geometry, self.target, pe=self.folding.pe, pack=self.config.pack)

    @property
    def lanes(self) -> int:
        """Output lanes, each of ``plan.outputs`` output channels."""
        return self.folding.pe // self.plan.outputs

    @property
    def lane_channels(self) -> int:
        """Input channels that one output lane sums in a beat (depthwise: its own)."""
        return 1 if self.layer.config.depthwise else self.folding.simd

    @property
    def weight_parts(self) -> int:
        """Memories that those weights of a lane which have the same skew are divided into."""
        return self.lane_channels if self.target.lane_registers else 1

    @property
    def lane_groups(self) -> int:
        """Groups of channels (`TapPlan`) that one output lane sums in a beat."""
        return self.lane_channels // self.plan.group

    @property
    def beats_per_output(self) -> int:
        """Beats that one output beat sums over."""
        return 1 if self.layer.config.depthwise else self.geometry.channel_beats

    @property
    def row_beats(self) -> int:
        """Beats of an input row."""
        return self.layer.config.width * self.geometry.channel_beats

    @property
    def row_depth(self) -> int:
        """Words of a row slot: one per beat that reads a row, and at least two so that there is an address."""
        return max(2, self.geometry.groups * self.geometry.channel_beats)

    @property
    def weight_depth(self) -> int:
        """Weight words: one per beat of a step."""
        return self.geometry.channel_beats * self.geometry.output_beats

    @property
    def constant_depth(self) -> int:
        """Words of bias and multiplier: one per output beat of a step."""
        return self.weight_depth // self.beats_per_output

    @property
    def input_payload(self) -> Payload:
        return Payload.of_input(self.layer.config, self.folding)

    @property
    def output_payload(self) -> Payload:
        return Payload.of_output(self.layer.config, self.folding)

    @property
    def element(self) -> Shape:
        """One input element."""
        c = self.layer.config
        return signed(c.in_bits) if c.in_signed else unsigned(c.in_bits)

    @property
    def result(self) -> Shape:
        """One output element."""
        c = self.layer.config
        return signed(c.out_bits) if c.out_signed else unsigned(c.out_bits)

    @property
    def weight(self) -> Shape:
        """One weight."""
        return signed(self.layer.config.weight_bits)

    @property
    def pixel(self) -> data.ArrayLayout:
        """One input beat."""
        return data.ArrayLayout(self.element, self.folding.simd)

    @property
    def column_group(self) -> data.ArrayLayout:
        """What the row store reads for one window row: ``stride`` columns of one beat each."""
        return data.ArrayLayout(self.pixel, self.layer.config.stride)

    @property
    def column(self) -> data.ArrayLayout:
        """A column group of all window rows, in the order of ``geometry.rows``."""
        return data.ArrayLayout(self.column_group, len(self.geometry.rows))

    def window_line(self, dy: int) -> data.ArrayLayout:
        """What the delay line of window row ``dy`` keeps of a channel beat.

        Where each window is used once, every beat pushes, and the oldest group need not stay.
        """
        dropped = 1 if self.geometry.output_beats == 1 else 0
        return data.ArrayLayout(self.column_group, self.geometry.segments(dy) - dropped)

    @property
    def channel_taps(self) -> data.ArrayLayout:
        """All taps of one channel, in the order of ``geometry.offsets``."""
        return data.ArrayLayout(self.element, len(self.geometry.offsets))

    @property
    def channel_weights(self) -> data.ArrayLayout:
        """Weights of one channel: those of ``geometry.conv_taps`` for each output, then those of ``attn_taps``."""
        taps = self.plan.outputs * len(self.geometry.conv_taps) + len(self.geometry.attn_taps)
        return data.ArrayLayout(self.weight, taps)

    @property
    def lane_taps(self) -> data.ArrayLayout:
        """Operands of one output lane."""
        return data.ArrayLayout(self.channel_taps, self.lane_channels)

    @property
    def lane_weights(self) -> data.ArrayLayout:
        """Weights of one output lane."""
        return data.ArrayLayout(self.channel_weights, self.lane_channels)

    @property
    def combined(self) -> data.ArrayLayout:
        """What a lane accumulates of a beat: a value for each channel, with `heads` one for all channels together."""
        if self.heads is not None:
            return data.ArrayLayout(shape_of(self.ranges.accumulator), 1)
        return data.ArrayLayout(shape_of(self.ranges.combined), self.lane_channels)

    @property
    def sims(self) -> data.ArrayLayout:
        """Similarities ``[place][attention tap]`` of the heads that a beat completes."""
        assert self.heads is not None
        taps = data.ArrayLayout(shape_of(self.group_ranges.sim), len(self.geometry.attn_taps))
        return data.ArrayLayout(taps, self.heads.at_once)

    @property
    def group_sums(self) -> data.ArrayLayout:
        """Sums ``[group][attention tap]`` of a lane, only with `heads`."""
        taps = data.ArrayLayout(shape_of(self.group_ranges.attn), len(self.geometry.attn_taps))
        return data.ArrayLayout(taps, self.lane_groups)

    @property
    def _similarity_bits(self) -> list[int]:
        return [] if self.heads is None else [self.sims.size, self.group_sums.size]

    @property
    def bias(self) -> Shape:
        return shape_of(Range(int(self.bounding.bias.min()), int(self.bounding.bias.max())))

    @property
    def multiplier(self) -> Shape:
        return unsigned(int(self.bounding.multiplier.max()).bit_length())
