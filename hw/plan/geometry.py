"""What a layer's geometry means for a unit: loops, taps that can matter, window extents.

One output position is one *step* of ``output_beats * channel_beats`` beats. A row is read as
``groups`` column groups of ``stride`` columns each. Group ``n`` of a row completes the window of
output ``n - lead`` of that row. The last ``lead`` outputs of a row are pushed through by the next
row's groups, or by empty groups.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig

Offset = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Loops and extents of ``config`` under ``folding``, in rows, columns and beats.

    A tap that lies outside the frame for every output always sees zero. Such taps are left out. So a
    frame smaller than the kernel shrinks the window to the taps that can matter.

    Attributes:
        largest: the config of the largest frame, where ``config`` is that of a smaller one.
    """

    config: LayerConfig
    folding: Folding
    largest: LayerConfig | None = None

    def of_frame(self, height: int, width: int) -> Geometry:
        """The geometry of the unit for a smaller frame."""
        config = replace(self.config, height=height, width=width)
        return Geometry(config=config, folding=self.folding, largest=self.largest or self.config)

    @property
    def channel_beats(self) -> int:
        """Input beats per pixel."""
        return self.config.in_channels // self.folding.simd

    @property
    def output_beats(self) -> int:
        """Times each window is used, once per group of ``pe`` output channels (depthwise: once)."""
        return 1 if self.config.depthwise else self.config.out_channels // self.folding.pe

    @property
    def groups(self) -> int:
        """Column groups per row."""
        return -(-self.config.width // self.config.stride)

    def _reaches(self, offset: Offset) -> bool:
        c = self.largest or self.config
        frame = ((offset[0], c.height, c.out_height), (offset[1], c.width, c.out_width))
        return all(
            any(0 <= c.first_centre + c.stride * q + d < size for q in range(outputs)) for d, size, outputs in frame
        )

    @cached_property
    def conv_taps(self) -> tuple[int, ...]:
        """Indices into ``config.kernel_offsets`` of the kernel taps that can matter."""
        return tuple(i for i, offset in enumerate(self.config.kernel_offsets) if self._reaches(offset))

    @cached_property
    def attn_taps(self) -> tuple[int, ...]:
        """Indices into ``config.attn_offsets`` of the attention taps that can matter."""
        return tuple(t for t, offset in enumerate(self.config.attn_offsets) if self._reaches(offset))

    @cached_property
    def offsets(self) -> tuple[Offset, ...]:
        """Distinct ``(dy, dx)`` of all taps, in raster order; the centre is always one of them."""
        conv = (self.config.kernel_offsets[i] for i in self.conv_taps)
        attn = (self.config.attn_offsets[t] for t in self.attn_taps)
        return tuple(sorted({*conv, *attn}))

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Distinct ``dy`` of all taps, upmost first."""
        return tuple(sorted({dy for dy, _ in self.offsets}))

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """Distinct ``dx`` of all taps, leftmost first."""
        return tuple(sorted({dx for _, dx in self.offsets}))

    @property
    def up(self) -> int:
        return -self.rows[0]

    @property
    def down(self) -> int:
        return self.rows[-1]

    @cached_property
    def right(self) -> int:
        return max(dx for _, dx in self.offsets)

    @property
    def lead(self) -> int:
        """Groups that must follow an output's own group into the window before it is complete."""
        return (self.config.first_centre + self.right) // self.config.stride

    @property
    def idle_groups(self) -> int:
        """Groups of a row that complete no output and could be read early (`hw.plan.schedule`).

        It is 0 where each window is used once: then all cycles of a row read.
        """
        idle = self.groups - self.config.out_width
        return idle if idle == self.lead and self.output_beats > 1 else 0

    def cell(self, dx: int) -> tuple[int, int]:
        """``(segment, column)`` of a row's delay line that holds the tap at ``dx``; segment 0 is the newest group."""
        distance = self.config.stride * self.lead - self.config.first_centre - dx
        segment = -(-distance // self.config.stride)
        return segment, self.config.stride * segment - distance

    def segments(self, dy: int) -> int:
        """Groups that the delay line of window row ``dy`` must hold."""
        return 1 + max(self.cell(dx)[0] for y, dx in self.offsets if y == dy)

    def centre_row(self, q: int) -> int:
        """Input row of the centres of output row ``q``."""
        return self.config.first_centre + self.config.stride * q

    def bottom_row(self, q: int) -> int:
        """Last input row that output row ``q`` needs."""
        return min(self.centre_row(q) + self.down, self.config.height - 1)

    def rows_of_room(self, slots: int) -> int:
        """Rows that can be written to ``slots`` slots before the first output row is done with its topmost row."""
        return slots + self.centre_row(0) - self.up

    @property
    def frame_advance_limit(self) -> int:
        """Most rows from the last row of centres of a frame of any size to the first row of centres of the next."""
        return 2 * self.config.first_centre + self.config.stride

    @property
    def last_column_of_first_group(self) -> int:
        return min(self.config.stride, self.config.width) - 1

    @property
    def last_group_columns(self) -> int:
        """Columns of a row's last group (1 where an odd width meets stride 2)."""
        return self.config.width - self.config.stride * (self.groups - 1)

    @property
    def ideal_frame_cycles(self) -> int:
        """Cycles of a frame where none is lost: those of the multiplications or of the input, whichever is more."""
        c = self.config
        compute = c.out_height * c.out_width * self.channel_beats * self.output_beats
        return max(compute, c.height * c.width * self.channel_beats)

    @property
    def step_frame_cycles(self) -> int:
        """Cycles of a frame that the sequencer is busy with steps of outputs and with groups without an output."""
        c = self.config
        row = c.out_width * self.output_beats + self.groups - c.out_width
        return c.out_height * row * self.channel_beats
