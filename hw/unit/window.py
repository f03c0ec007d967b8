"""Window: delay lines that turn columns into the taps of one output position.

Each window row is a line of column groups, the newest first, with one word for each channel beat.
A beat reads its word, moves the new column group in if it *pushes*, hands the taps on and writes the
word back. Beats for further output channels reuse the words as they are.

    segment       0            1            2
    push:    column -> [group n] -> [group n-1] -> [group n-2]
    taps:          dx=+1         dx=0          dx=-1            (3x3, stride 1)

Of such words only the newest group differs between the beat that pushes and those that reuse. Where
`Target.moves_late` says so, the older groups move on when a word is written at its last use, and no
beat has to choose between two places for them.

At a row's end the next row's first groups move in behind. So taps outside the frame's columns are
masked. In units that read early (`hw.unit.early`) each row begins in another bank of the lines.

Where all taps of a row are wanted later than the first tap (`shapes.plan` skews them), the whole row
runs later. Its new column waits, not each of its taps. Units that read early do neither of both.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import delay, index_shape
from hw.plan.shapes import Shapes
from hw.targets.families import Target
from hw.unit.early import early_layout
from hw.unit.front import Positions


class Window(wiring.Component):
    """Taps of the current output position, one beat of channels per cycle.

    Members:
        i_column: the column read for a beat.
        i_valid: a beat of a step is here, ``ahead`` cycles before its column.
        i_push: the beat moves ``i_column`` into the window, and works with it; with ``i_valid``.
        i_channel: the beat's channel beat; with ``i_valid``.
        i_last_use: no further beat uses the group with this channel; with ``i_valid`` (only where groups move late).
        i_bank: the bank of the beat; with ``i_valid``, only in units that read early.
        i_early: a `hw.unit.early.early_layout`. ``i_column`` then is an early beat's; only in units that read early.
        o_taps: masked taps ``[channel][offset]``, offsets in the order of ``geometry.offsets``. They come
            `latency` cycles after the column, and each as many more as ``shapes.plan`` skews it.
        o_centre: the taps at ``(0, 0)``, as late as their row is (`row_lateness`), without any other skew. Nobody looks
            at them where there are neither attention nor a tap.

    The ports of the front's positions tell which columns lie outside the frame.
    """

    def __init__(self, shapes: Shapes, positions: Positions) -> None:
        self._shapes, self._positions = shapes, positions
        self._ahead = ahead(shapes.target)
        last_use = {"i_last_use": In(1)} if shapes.moves_late else {}
        super().__init__(
            {
                "i_valid": In(1),
                "i_push": In(1),
                "i_channel": In(index_shape(shapes.geometry.channel_beats)),
                "i_column": In(shapes.column),
                "o_taps": Out(data.ArrayLayout(shapes.channel_taps, shapes.folding.simd)),
                "o_centre": Out(data.ArrayLayout(shapes.element, shapes.folding.simd)),
                **last_use,
                **positions.window_ports,
                **({"i_bank": In(1), "i_early": In(early_layout(shapes))} if shapes.schedule.early else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g, plan = self._shapes.geometry, self._shapes.plan
        self._valid, self._push, self._channel = (
            delay(m, signal, self._ahead, reset_less=False) for signal in (self.i_valid, self.i_push, self.i_channel)
        )
        outside = {dx: self._column_outside(m, dx) for dx in self._shapes.edge_columns}
        lateness = row_lateness(self._shapes)
        lines = {dy: self._line(m, index, dy, lateness[dy]) for index, dy in enumerate(g.rows)}
        masks = {
            (dx, cycles): delay(m, mask, cycles) for dx, mask in outside.items() for cycles in set(lateness.values())
        }
        masked = []
        for channel in range(self._shapes.folding.simd):
            for dy, dx in g.offsets:
                segment, column = g.cell(dx)
                tap = lines[dy][segment][column][channel]
                masked.append(Mux(masks[dx, lateness[dy]], 0, tap) if dx in outside else tap)
        # One register for all taps: event-driven simulators pay for every vector that changes.
        taps = Signal(self.o_taps.shape(), reset_less=True)
        m.d.sync += taps.eq(Cat(masked))
        for channel in range(self._shapes.folding.simd):
            m.d.comb += self.o_centre[channel].eq(taps[channel][g.offsets.index((0, 0))])
            late = plan.channel_skew[channel % plan.group]
            for offset, ((dy, _), cycles) in enumerate(zip(g.offsets, plan.skew, strict=True)):
                waits = cycles - lateness[dy] + late
                m.d.comb += self.o_taps[channel][offset].eq(delay(m, taps[channel][offset], waits))
        return m

    def _column_outside(self, m: Module, dx: int) -> Value:
        """Whether the tap column ``dx`` of the beat lies outside the frame, in step with the beat's groups."""
        outside = Signal(name=f"outside_{dx:+d}".replace("+", "right_").replace("-", "left_"), reset_less=True)
        self._positions.outside(m, self, dx, outside)
        return delay(m, outside, self._ahead)

    def _line(self, m: Module, index: int, dy: int, late: int) -> list[data.View]:
        """Add the delay line of one window row, which runs ``late`` cycles late.

        Returns a beat's segments, ``late + ahead`` cycles after its column.
        """
        g = self._shapes.geometry
        reused = g.output_beats > 1
        words = self._shapes.window_line(dy)
        if self._shapes.schedule.early:
            kept, keep = self._banks(m, f"row_{index}", words, self.i_column[index])
        else:
            kept, keep = self._storage(m, index, words, late)
        push = delay(m, self._push, late, reset_less=False)

        groups: list[data.View] = []
        for segment in range(g.segments(dy)):
            pushed = delay(m, self.i_column[index], late) if segment == 0 else kept[segment - 1]
            group = Signal(self._shapes.column_group, name=f"row_{index}_segment_{segment}")
            if self._shapes.moves_late and segment > 0:
                m.d.comb += [group.eq(kept[segment]), keep[segment].eq(groups[-1])]
            else:
                m.d.comb += group.eq(Mux(push, pushed, kept[segment]) if reused else pushed)
                if segment < words.length:
                    m.d.comb += keep[segment].eq(group)
            groups.append(group)
        return [delay(m, group, self._ahead) for group in groups]

    def _storage(self, m: Module, index: int, words: data.ArrayLayout, late: int) -> tuple[data.View, data.View]:
        """What is kept of the column's channel beat, and what to keep of it: ``(read, write)``, each ``late``."""
        name = f"row_{index}"
        keep = Signal(words, name=f"{name}_keep")
        kept = Signal(words, name=f"{name}_kept", reset_less=True)
        valid = delay(m, self._valid, late, reset_less=False)
        if not self._shapes.moves_late:
            self._keep(m, name, Value.cast(kept), Value.cast(keep), valid, late)
            return kept, keep
        newest = self._shapes.column_group.size
        self._keep(m, name, Value.cast(kept)[:newest], Value.cast(keep)[:newest], valid, late)
        moves = delay(m, self._valid & delay(m, self.i_last_use, self._ahead), late, reset_less=False)
        self._keep(m, f"older_{index}", Value.cast(kept)[newest:], Value.cast(keep)[newest:], moves, late)
        return kept, keep

    @property
    def _write_wait(self) -> int:
        """Cycles that a word waits before it is written back, where there is time."""
        return int(self._ahead and self._shapes.geometry.channel_beats > 2)

    def _keep(self, m: Module, name: str, kept: Value, keep: Value, enable: Value, late: int) -> None:
        """Keep a word for each channel beat, if there are any bits."""
        depth = self._shapes.geometry.channel_beats
        if depth == 1:
            with m.If(enable):
                m.d.sync += kept.eq(keep)
        elif len(keep):
            # LUT RAM. A word is read again `depth` beats later. By then it is written back, even with a
            # register behind the read (`ahead`) and, where there is time, one more before the write.
            wait = self._write_wait
            m.submodules[name] = store = memory.Memory(shape=unsigned(len(keep)), depth=depth, init=[])
            read, write = store.read_port(domain="comb"), store.write_port()
            m.d.comb += [read.addr.eq(delay(m, self.i_channel, late)), kept.eq(delay(m, read.data, self._ahead))]
            m.d.comb += [write.addr.eq(delay(m, self._channel, late + wait)), write.data.eq(delay(m, keep, wait))]
            m.d.comb += write.en.eq(delay(m, enable, wait, reset_less=False))

    def _banks(self, m: Module, name: str, words: data.ArrayLayout, column: data.View) -> tuple[data.View, data.View]:
        """The same in two banks. An early beat's ``column`` goes into one segment of the bank that is not in use."""
        depth, late = self._shapes.geometry.channel_beats, self._write_wait
        keep = Signal(words, name=f"{name}_keep")
        kept = Signal(words, name=f"{name}_kept", reset_less=True)
        bank = delay(m, self.i_bank, self._ahead)
        early = data.View(self.i_early.shape(), delay(m, Value.cast(self.i_early), self._ahead, reset_less=False))
        pushed = self._valid & self._push
        for segment in range(words.length):
            has_early = segment < len(early.segments)
            puts = early.segments[segment] if has_early else Const(0)
            word = Mux(puts, column, keep[segment])
            if depth == 1:
                words_of_banks = [
                    Signal(words.elem_shape, name=f"{name}_{segment}_{n}", reset_less=True) for n in (0, 1)
                ]
                for n, own in enumerate(words_of_banks):
                    with m.If((pushed & (bank == n)) | (puts & (early.bank == n))):
                        m.d.sync += own.eq(word)
                m.d.comb += kept[segment].eq(Mux(bank, words_of_banks[1], words_of_banks[0]))
            else:
                store = memory.Memory(shape=words.elem_shape, depth=2 << len(self.i_channel), init=[])
                m.submodules[f"{name}_{segment}"] = store
                read, write = store.read_port(domain="comb"), store.write_port()
                own = Cat(self._channel, bank)
                address = Mux(puts, Cat(early.channel, early.bank), own)
                m.d.comb += [
                    read.addr.eq(Cat(self.i_channel, self.i_bank)),
                    kept[segment].eq(delay(m, read.data, self._ahead)),
                    write.addr.eq(delay(m, address, late)),
                    write.data.eq(delay(m, word, late)),
                    write.en.eq(delay(m, pushed | puts, late, reset_less=False)),
                ]
        return kept, keep


def row_lateness(shapes: Shapes) -> dict[int, int]:
    """For each window row, cycles that the whole row is later than the first tap. The centre is wanted at once."""
    g = shapes.geometry
    if shapes.schedule.early:
        return dict.fromkeys(g.rows, 0)
    attends = shapes.heads is not None or bool(g.attn_taps)
    skews = {
        row: [skew for (dy, _), skew in zip(g.offsets, shapes.plan.skew, strict=True) if dy == row] for row in g.rows
    }
    return {row: 0 if attends and row == 0 else min(skews[row]) for row in g.rows}


def latency(target: Target) -> int:
    """Cycles from column to taps."""
    return 1 + ahead(target)


def ahead(target: Target) -> int:
    """Cycles that reading the delay lines takes before the column is needed.

    Where the clock counts, reading the delay lines and masking the taps are cycles of their own.
    """
    return int(target.fast)
