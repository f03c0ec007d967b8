"""Early groups: read in order, never before they are written, and in the window before their row begins.

The real row store and sequencer, with both of its walks, are wired as in `hw.unit.unit`. The source may pause, the
sink stall and the reset come at any time. What is claimed, for beats in order and for early ones alike:

- A read has the address, slot and valid rows of the beat that is next.
- Every pixel that is read has been written in a cycle before, and none has been overwritten.
- No two beats read in one cycle.
- A row's first beat in order comes `EARLY_TO_ISSUE` cycles after the row's last early beat, or later. An early beat
  comes after the first group in order of the row before.
- The bank of a beat is that of its row. Rows take the banks in turn.

It is proven for so many cycles after power-up. That is a frame of two rows, and the first beats of the next.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.frozen.beat_writer import BeatWriter
from hw.frozen.input_walk import InputWalk
from hw.frozen.positions import CountedPositions
from hw.plan.schedule import EARLY_TO_ISSUE
from hw.plan.shapes import Shapes
from hw.unit.row_store import RowStore
from hw.unit.sequencer import Sequencer
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.walk import table
from tests.support.schedule import Beat, early_beats, schedule
from tests.support.units import unit_shapes

DEPTH = 27
FIFO_DEPTH = 4
#: Frames of which the beats are known: more than come within the depth.
FRAMES = 4


class EarlyHarness(Harness):
    def __init__(self, fields: dict[str, Any]) -> None:
        self._shapes = unit_shapes(padding="valid", attn_offsets=(), **fields)
        assert self._shapes.schedule.early
        super().__init__({"valid": In(1), "popped": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes = self._shapes
        m.submodules.row_store = row_store = RowStore(shapes, BeatWriter(shapes))
        walk, early_walk = InputWalk(shapes), InputWalk(shapes, early=True)
        m.submodules.sequencer = sequencer = Sequencer(
            shapes, walk, CountedPositions(shapes), early=early_walk, fifo_depth=FIFO_DEPTH
        )
        m.d.comb += [
            row_store.i.valid.eq(self.valid),
            sequencer.i_written.eq(row_store.o_written),
            sequencer.i_popped.eq(self.popped),
            row_store.i_release.eq(sequencer.o_release),
        ]
        used = Signal(range(FIFO_DEPTH + 2))
        m.d.sync += used.eq(used + sequencer.o_last - self.popped)
        self.assume(m, ~self.popped | (used > 0))

        written = Signal(range(2 * DEPTH))
        m.d.sync += written.eq(written + row_store.o_written)
        early = shapes.schedule.early
        in_order = _beats_in_order(shapes)
        ahead = list(early_beats(shapes.geometry, FRAMES, early))[:DEPTH]
        issued = self._reads(m, sequencer, in_order, walk.i_step, written, row_store.o_written)
        read = self._reads(m, sequencer, ahead, early_walk.i_step, written, row_store.o_written)
        self.claim(m, ~(walk.i_step & early_walk.i_step))
        self._check_banks(m, sequencer, walk.i_step, in_order, issued, early_walk.i_step, ahead, read)
        self._check_turns(m, walk.i_step, in_order, issued, early_walk.i_step, ahead, read)
        return m

    def _reads(
        self, m: Module, sequencer: Sequencer, beats: list[Beat], step: Value, written: Value, writes: Value
    ) -> Signal:
        """Claim what each of ``beats`` reads. Returns how many have been issued."""
        shapes = self._shapes
        g, c = shapes.geometry, shapes.layer.config
        count, reads = Signal(range(DEPTH + 2)), Signal()
        m.d.sync += [count.eq(count + step), reads.eq(step)]
        number = Signal.like(count)
        m.d.sync += number.eq(count)
        places = [beat.group for beat in beats if beat.group is not None]
        row = c.width * g.channel_beats

        def first_row(place: tuple[int, int, int], dy: int) -> int:
            return place[0] * c.height + g.centre_row(place[1]) + dy

        def column(place: tuple[int, int, int], beat: Beat, last: bool) -> int:
            x = min((place[2] + 1) * c.stride, c.width) - 1 if last else place[2] * c.stride
            return x * g.channel_beats + beat.channel

        both = list(zip(places, beats, strict=True))
        address = [place[2] * g.channel_beats + beat.channel for place, beat in both]
        slot = [first_row(place, 0) % shapes.schedule.slots for place, _ in both]
        newest = [first_row(place, g.down) * row + column(place, beat, last=True) for place, beat in both]
        oldest = [first_row(place, -g.up) * row + column(place, beat, last=False) for place, beat in both]
        claims = (
            (sequencer.o_address == table(address, number))
            & (sequencer.o_slot == table(slot, number))
            & sequencer.o_row_valid.all()
            & (written > table(newest, number))
            & (written + writes <= table(oldest, number) + shapes.schedule.slots * row)
        )
        self.claim(m, ~reads | claims)
        return count

    def _check_banks(
        self,
        m: Module,
        sequencer: Sequencer,
        step: Value,
        in_order: list[Beat],
        issued: Value,
        early_step: Value,
        ahead: list[Beat],
        read: Value,
    ) -> None:
        shapes = self._shapes
        banks = [
            table([(self._row(beat) + 1) % 2 for beat in beats], n) for beats, n in ((in_order, issued), (ahead, read))
        ]
        places = [beat.group[2] for beat in ahead if beat.group is not None]
        segments = table([1 << (shapes.schedule.early - 1 - group) for group in places], read)
        channel = table([beat.channel for beat in ahead], read)
        beat = sequencer.o_early
        self.claim(m, ~step | (sequencer.o_bank == banks[0]))
        self.claim(m, beat.segments == Mux(early_step, segments, 0))
        self.claim(m, ~early_step | ((beat.bank == banks[1]) & (beat.channel == channel)))

    def _check_turns(
        self,
        m: Module,
        step: Value,
        in_order: list[Beat],
        issued: Value,
        early_step: Value,
        ahead: list[Beat],
        read: Value,
    ) -> None:
        g, early = self._shapes.geometry, self._shapes.schedule.early
        of_row = early * g.channel_beats
        needed = table([(self._row(beat) + 1) * of_row for beat in in_order], issued)
        since = Signal(range(EARLY_TO_ISSUE + 1), init=EARLY_TO_ISSUE)
        m.d.sync += since.eq(Mux(early_step, 1, Mux(since == EARLY_TO_ISSUE, since, since + 1)))
        first = [beat.group is not None and beat.group[2] == early and beat.channel == 0 for beat in in_order]
        begins = step & table([int(own) for own in first], issued)
        self.claim(m, ~begins | ((read == needed) & (since == EARLY_TO_ISSUE)))
        row_beats = (g.groups - early) * g.channel_beats
        begun = [0 if not self._row(beat) else (self._row(beat) - 1) * row_beats + g.channel_beats for beat in ahead]
        self.claim(m, ~early_step | (issued >= table(begun, read)))

    def _row(self, beat: Beat) -> int:
        """The beat's output row, counted on across frames."""
        assert beat.group is not None
        return beat.group[0] * self._shapes.layer.config.out_height + beat.group[1]


def _beats_in_order(shapes: Shapes) -> list[Beat]:
    """The first beats that read the row store in order."""
    steps = schedule(shapes.geometry, FRAMES, shapes.schedule.early)
    options = next(steps)
    beats: list[Beat] = []
    while len(beats) < DEPTH:
        if options[0].group is not None:
            beats.append(options[0])
        try:
            options = steps.send(options[0])
        except StopIteration:
            break
    return beats


BUILDS = {
    "3x4": partial(EarlyHarness, {"height": 3, "width": 4, "in_channels": 1, "out_channels": 8, "simd": 1, "pe": 1}),
    "4x4": partial(EarlyHarness, {"height": 4, "width": 4, "in_channels": 1, "out_channels": 5, "simd": 1, "pe": 1}),
    "3x5, stride 2": partial(
        EarlyHarness, {"height": 3, "width": 5, "stride": 2, "in_channels": 1, "out_channels": 9, "simd": 1, "pe": 1}
    ),
}


def _bug(name: str, module: str, old: str, new: str, build: str = "3x4") -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build)


PROOF = Proof(
    name="early",
    claim="early groups are read in order, never before they are written, and are there when their row begins",
    unbounded=False,
    depth=DEPTH,
    builds=BUILDS,
    bugs=(
        _bug(
            "a row does not wait for its early groups",
            "hw.unit.early",
            "wait.eq(begins & ~Cat(complete_for).all())",
            "wait.eq(begins & ~complete)",
        ),
        _bug(
            "early groups are read while others are",
            "hw.unit.early",
            "issue.eq(walk.o_arrived & ~complete & (uses_again | wait))",
            "issue.eq(walk.o_arrived & ~complete)",
            "4x4",
        ),
        _bug("a row begins in the bank before", "hw.unit.early", "bank=bank ^ begins)", "bank=bank)"),
        _bug(
            "early groups do not wait for the bottom row",
            "hw.frozen.input_order",
            "row = frame * c.height + g.bottom_row(q)",
            "row = frame * c.height + g.centre_row(q)",
        ),
    ),
    slow=frozenset(BUILDS) - {"3x4"},
    slow_bugs=frozenset({"early groups are read while others are"}),
)
