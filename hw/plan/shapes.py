"""Shapes: the sizes of a unit as Amaranth's shapes and layouts, down to the last width.

Every stage derives its ports, registers and memories from here. Widths follow from proven ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from golden.contract.ranges import Range
from golden.support.cli import UserError
from golden.support.numbers import number
from hw.plan.sizes import Sizes

#: The generator's limit on the width of a vector.
MAX_VECTOR_BITS = 2**16 - 1


def shape_of(values: Range) -> Shape:
    """The narrowest signed shape that holds ``values``."""
    return signed(values.signed_bits)


@dataclass(frozen=True)
class Shapes(Sizes):
    """Sizes, shapes and layouts of the unit ``config``.

    Raises `UserError` as `Sizes` does, and where a vector is wider than the generator can make it.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_vectors()

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
    def output_beat(self) -> data.ArrayLayout:
        """One output beat."""
        return data.ArrayLayout(self.result, self.folding.pe)

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
    def moves_late(self) -> bool:
        """Whether groups in the window move on with their last use, so that further uses choose nothing."""
        g = self.geometry
        moves = g.output_beats > 1 and any(g.segments(dy) > 1 for dy in g.rows)
        return self.target.moves_late and moves and not self.schedule.early

    def window_memories(self, dy: int) -> list[int]:
        """Bits of a word of each memory of window row ``dy``. Where groups move late, the newest has one of its own."""
        bits, newest = self.window_line(dy).size, self.column_group.size
        return [newest, bits - newest] if self.moves_late else [bits]

    @property
    def channel_taps(self) -> data.ArrayLayout:
        """All taps of one channel, in the order of ``geometry.offsets``."""
        return data.ArrayLayout(self.element, len(self.geometry.offsets))

    @property
    def channel_weights(self) -> data.ArrayLayout:
        """Weights of one channel: those of ``geometry.conv_taps`` for each output, then those of ``attn_taps``."""
        return data.ArrayLayout(self.weight, self.channel_elements)

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
        """What a lane is given of a multiplier at once: all of it, or what `hw.plan.scale` keeps."""
        if self.scale is not None:
            return unsigned(self.scale.word_bits)
        return unsigned(int(self.bounding.multiplier.max()).bit_length())
