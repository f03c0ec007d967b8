"""Row store: no pixel is overwritten that is still to be read, none is read that is not yet written.

It is proven for ever, by k-induction, for every build. The real row store and sequencer, with its input walk, are
wired as in `hw.unit.unit`. The source may pause, the sink stall and the reset come at any time. What is claimed:

- A read has the address, slot and valid rows of the beat that is next in order.
- Every pixel that is read has been written in a cycle before.
- No place that is read has been written by a later pixel up to this cycle, this cycle's write included.
- Every input beat is written to its own slot and address, in order.
- No more outputs are under way than the output FIFO has entries, and no more pixels for a tap than its FIFO has.
- With each output position, and only then, a pixel goes to the tap.

It is assumed that an entry of a FIFO becomes free only after something was bound for it. The order in which
the row store's multiplexers bring the rows is left to ``tests/hw/unit/test_row_store.py``.

The harness has no data: it counts. ``spare`` is the number of beats in the row store beyond those that the beat
at the front of the queue needs. Everything else follows from ``spare`` and the place in the walk. The lemmas say
which place each register and queue entry is about.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.frozen.beat_writer import BeatWriter, Release
from hw.frozen.input_order import InputOrder
from hw.frozen.input_walk import InputWalk
from hw.frozen.positions import CountedPositions
from hw.plan.shapes import Shapes
from hw.targets.families import GENERIC
from hw.unit.row_store import RowStore
from hw.unit.sequencer import Sequencer
from tests.proofs.inside import Inside
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.walk import Place, Walk
from tests.support.units import unit_shapes

#: The most entries of a queue that are in use, and cycles until the queues are in steady state.
MOST, SETTLED = 11, 6


class RowStoreHarness(Harness):
    def __init__(self, shapes: Shapes, *, fifo_depth: int = 3, tap_depth: int = 4) -> None:
        self._shapes = shapes
        self._fifo_depth, self._tap_depth = fifo_depth, tap_depth
        super().__init__({"valid": In(1), "popped": In(1)} | ({"tap_popped": In(1)} if shapes.tap else {}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes, walk = self._shapes, Walk(self._shapes)
        row_store, input_walk = RowStore(shapes, BeatWriter(shapes)), InputWalk(shapes)
        sequencer = Sequencer(
            shapes, input_walk, CountedPositions(shapes), fifo_depth=self._fifo_depth, tap_depth=self._tap_depth
        )
        self._order = InputOrder(shapes)
        store, control = self.inside(m, "row_store", row_store), self.inside(m, "sequencer", sequencer)
        m.d.comb += [
            row_store.i.valid.eq(self.valid),
            sequencer.i_written.eq(row_store.o_written),
            sequencer.i_popped.eq(self.popped),
            row_store.i_address.eq(sequencer.o_address),
            row_store.i_slot.eq(sequencer.o_slot),
            row_store.i_row_valid.eq(sequencer.o_row_valid),
            row_store.i_release.eq(sequencer.o_release),
        ]
        self._check_credit(m, control, "spare", sequencer.o_last, self.popped, self._fifo_depth)
        if shapes.tap:
            m.d.comb += sequencer.i_tap_popped.eq(self.tap_popped)
            self._check_credit(m, control, "tap_spare", sequencer.o_tap, self.tap_popped, self._tap_depth)
            self._check_taps(m, walk, control, sequencer)

        reads = Signal()
        m.d.sync += reads.eq(input_walk.i_step)
        chain = walk.register(m, "place", reads, length=3 + MOST)
        place = chain[0]
        span = 4 * (walk.slots * walk.row_beats + walk.most)
        spare = Signal(range(-span, span), init=-walk.first_needed())
        written = row_store.o_written
        m.d.sync += spare.eq(spare + written - Mux(reads, walk.step(place), 0))

        # Beats in the row store before this cycle's write, counted from the first beat of the place's frame.
        there = walk.needed(place) + spare
        self.claim(
            m,
            ~reads
            | (
                (sequencer.o_address == walk.address(place))
                & (sequencer.o_slot == place.slot)
                & (sequencer.o_row_valid == walk.row_valid(place))
            ),
        )
        self.claim(m, ~reads | (walk.newest(place) <= there))
        self.claim(m, ~reads | (there + written <= walk.oldest(place) + walk.slots * walk.row_beats))
        self.claim(m, reads | (sequencer.o_release == Release.NOTHING))
        self._check_writes(m, walk, store, written)
        if self.lemmas:
            self._add_lemmas(m, walk, store, control, chain, spare, reads, written)
        return m

    def _check_credit(self, m: Module, control: Inside, name: str, taken: Value, freed: Value, depth: int) -> None:
        """Claim that a FIFO has an entry for all that is ``taken`` for it. One is ``freed`` only after that."""
        used = Signal(range(depth + 2), name=f"{name}_used")
        m.d.sync += used.eq(used + taken - freed)
        self.assume(m, ~freed | (used > 0))
        self.claim(m, used <= depth)
        if self.lemmas:
            # The counter lags by what happened in the last cycle.
            credit, was_freed, was_taken = control.register(name), Signal(), Signal()
            m.d.sync += [was_freed.eq(freed), was_taken.eq(taken)]
            self.lemma(m, credit + 2 + was_freed - was_taken == depth - used)
            self.lemma(m, credit >= -2)

    def _check_taps(self, m: Module, walk: Walk, control: Inside, sequencer: Sequencer) -> None:
        """Claim that the first of an output position's beats, and no other, has a pixel for the tap."""
        assert walk.g.channel_beats == 1, "each pixel is one beat"
        last = walk.g.output_beats - 1
        beat = Signal(range(last + 1))
        with m.If(sequencer.o_last):
            m.d.sync += beat.eq(Mux(beat == last, 0, beat + 1))
        self.claim(m, sequencer.o_tap == (sequencer.o_last & (beat == 0)))
        if self.lemmas:
            self.lemma(m, control.register("pushing") == (beat == 0))
            self.lemma(m, control.register("last_reuse") == (beat == last))
        if self.lemmas and last:
            self.lemma(m, control.register("reuse") == beat)

    def _check_writes(self, m: Module, walk: Walk, store: Inside, written: Value) -> None:
        """Claim that input beats go to their own places, in order."""
        c, beats = walk.c, walk.g.channel_beats
        channel, x, slot = (Signal(walk.bits + 2, name=f"write_{n}") for n in ("channel", "x", "slot"))
        ends_pixel = channel == beats - 1
        ends_row = ends_pixel & (x == c.width - 1)
        with m.If(written):
            m.d.sync += [
                channel.eq(Mux(ends_pixel, 0, channel + 1)),
                x.eq(Mux(ends_row, 0, x + ends_pixel)),
                slot.eq(Mux(ends_row, Mux(slot == walk.slots - 1, 0, slot + 1), slot)),
            ]
        group = x if c.stride == 1 else x[1:]
        for index in range(walk.slots):
            for column in range(c.stride):
                enable, address = store.written(f"slot_{index}_{column}" if c.stride > 1 else f"slot_{index}")
                here = written & (slot == index) & (Const(1) if c.stride == 1 else x[0] == column)
                self.claim(m, enable == here)
                self.claim(m, ~here | (address == group * beats + channel))
        if self.lemmas:
            self.lemma(m, (channel < beats) & (x < c.width) & (slot < walk.slots))
            for name, mine, size in (("channel", channel, beats), ("x", x, c.width), ("slot", slot, walk.slots)):
                self._lemma_of_counter(m, store, name, mine, size)
            if not (c.stride == 1 or c.width == 1):
                self.lemma(m, store.register("address") == group * beats + channel)
            else:
                self._lemma_of_counter(m, store, "address", x * beats + channel, c.width * beats)

    def _lemma_of_counter(self, m: Module, inside: Inside, name: str, value: Value, size: int) -> None:
        if size > 1:
            self.lemma(m, inside.register(name) == value)
            self.lemma(m, inside.register(f"{name}_last") == (value == size - 1))

    def _add_lemmas(
        self,
        m: Module,
        walk: Walk,
        store: Inside,
        control: Inside,
        chain: list[Place],
        spare: Signal,
        reads: Signal,
        written: Value,
    ) -> None:
        inner = control.part("input_walk")
        g, c, place = walk.g, walk.c, chain[0]
        self.lemma(m, (place.row < c.out_height) & (place.group < g.groups) & (place.channel < g.channel_beats))
        self.lemma(m, place.slot < walk.slots)

        # The room for beats, and releases on their way to it, are together what may still be written.
        room, amount = store.register("room"), store.register("amount")
        may = walk.released(place) + walk.slots * walk.row_beats - walk.needed(place) - spare - written
        if self._shapes.target.relays:
            # A beat that is taken counts a cycle late.
            room -= written
            self.lemma(m, (store.register("less") == amount - 1) & (store.register("has_room") == (room >= 0)))
        self.lemma(m, (room >= -1) & (amount >= -1) & (room + 1 + amount + 1 == may))

        # Cycles since the reset, up to `SETTLED`.
        age = Signal(range(SETTLED + 1))
        m.d.sync += age.eq(Mux(age == SETTLED, age, age + 1))

        run, level, count = inner.register("run"), inner.register("level"), inner.register("written")
        moved = inner.after(run)
        push = inner.after(moved)
        heads = {name: inner.register(f"{name}_head") for name in ("gate", "read")}
        tails = {name: inner.register(f"{name}_tail") for name in ("gate", "read")}
        self.lemma(m, inner.after("i_step") == reads)
        self.lemma(m, tails["gate"] == tails["read"])
        self.lemma(m, heads["gate"] == (heads["read"] + reads)[:4])
        self.lemma(m, level == (tails["read"] - heads["read"])[:4])
        for condition, low, high, early in (
            (run, 7, 8, 0),
            (moved, 6, 9, 1),
            (push, 5, 10, 2),
        ):
            self.lemma(m, condition | (level >= low) | (age < early))
            self.lemma(m, ~condition | (level <= high))
        self.lemma(m, (level <= MOST) & ((level >= 3) | (age < 5)))
        for cycle in range(5):
            self.lemma(
                m,
                (age != cycle) | ((level == max(0, cycle - 2)) & run & (moved == (cycle > 0)) & (push == (cycle > 1))),
            )

        # The beats that each place needs, modulo the sequencer's count. The needs of beats at the front were compared
        # a cycle ago.
        width = len(count)
        needed = [Signal(width, init=walk.needed_of(n), name=f"needed_{n}") for n in range(len(chain))]
        last = needed[-1] + walk.step(chain[-1])
        with m.If(reads):
            m.d.sync += [mine.eq(behind) for mine, behind in zip(needed, [*needed[1:], last], strict=True)]
        for number, (link, behind) in enumerate(itertools.pairwise(chain)):
            self.lemma(m, behind.same(walk.next(m, link, f"link_{number}")))
            self.lemma(m, needed[number + 1] == (needed[number] + walk.step(link))[:width])
        self.lemma(m, (count - spare)[:width] == needed[0])
        needs = list(itertools.accumulate((walk.step(link) for link in chain[:3]), initial=Value.cast(0)))
        missing, arrived = inner.register("missing"), inner.register("arrived")
        for number in range(3):
            self.lemma(m, missing[number] | (spare >= needs[number]))
        self.lemma(m, ~arrived | (spare >= Mux(reads, needs[1], 0)))
        self.lemma(m, ~reads | (spare >= 0))
        self.lemma(m, spare >= -walk.most)
        self.lemma(m, ((age > 1) | ((spare == -walk.first_needed()) & (count == 0))) & ((age > 0) | ~written))
        self.lemma(m, ((age > 2) | (missing == 7)) & ((age > 3) | ~arrived) & ((age > 4) | ~reads))

        # The registers at the front, and the queues behind them.
        for number in range(3):
            self.lemma(m, inner.register(f"read_{number}") == self._read_of(walk, chain[number]))
            gate = Mux(reads, *(self._gate_of(walk, chain[n], needed[n]) for n in (number + 1, number)))
            self.lemma(m, inner.register(f"gate_{number}") == gate)
        for entry in range(MOST):
            in_use = level > entry
            expected = self._read_of(walk, chain[3 + entry])
            self.lemma(m, ~in_use | (inner.word("read_queue", (heads["read"] + entry)[:4]) == expected))
            expected = self._gate_of(walk, chain[3 + entry], needed[3 + entry])
            self.lemma(
                m,
                ~in_use | (reads & (entry == 0)) | (inner.word("gate_queue", (heads["read"] + entry)[:4]) == expected),
            )

        # The beat that enters the queues next, and the two behind it.
        entering, second, third = walk.register(m, "entering", push, beats=3, length=2)
        for number in range(MOST + 1):
            self.lemma(m, (level != number) | entering.same(chain[3 + number]))
            self.lemma(m, (level != number) | (inner.register("needed") == needed[3 + number]))
        self.lemma(m, second.same(walk.next(m, entering, "second")) & third.same(walk.next(m, second, "third")))
        for pushes, moves, counted in ((0, 0, entering), (0, 1, second), (1, 0, second), (1, 1, third)):
            here = (push == pushes) & (moved == moves)
            for name, value, size in (
                ("channel", counted.channel, g.channel_beats),
                ("group", counted.group, g.groups),
                ("row", counted.row, c.out_height),
            ):
                if size > 1:
                    self.lemma(m, ~here | (inner.register(name) == value))
                    self.lemma(m, ~here | (inner.register(f"{name}_last") == (value == size - 1)))
        stage = Mux(push, walk.address(second), walk.address(entering))
        self.lemma(m, inner.register("address") == stage)
        self.lemma(m, inner.register("slot") == Mux(push, second.slot, entering.slot))

    def _read_of(self, walk: Walk, place: Place) -> Value:
        """The entry of ``place`` in the queue of reads."""
        layout = self._order.read
        g, c = walk.g, walk.c
        ends_group = place.channel == g.channel_beats - 1
        ends_row = ends_group & (place.group == g.groups - 1)
        ends_frame = ends_row & (place.row == c.out_height - 1)
        release = Mux(ends_frame, 3, Mux(ends_row, 2, Mux(ends_group, 1, 0)))
        values = {
            "address": walk.address(place),
            "slot": place.slot,
            "row_valid": walk.row_valid(place),
            "release": release,
        }
        fields = []
        for name, field in layout:
            fields.append(Cat(values[name], Const(0, field.width))[: field.width])
        return Cat(fields)

    def _gate_of(self, walk: Walk, place: Place, needed: Value) -> Value:
        starts_frame = (place.group == 0) & (place.row == 0)
        return Cat(needed, place.group < walk.c.out_width, starts_frame)


def small_shapes(height: int, width: int, **fields: Any) -> Shapes:
    """A unit with very little data."""
    layer = {"in_channels": 1, "out_channels": 1, "in_bits": 2, "out_bits": 2, "weight_bits": 2}
    return unit_shapes(simd=1, pe=1, **(layer | {"height": height, "width": width} | fields))


def _build(height: int, width: int, **fields: Any) -> RowStoreHarness:
    return RowStoreHarness(small_shapes(height, width, **fields))


def _build_with_tap(height: int, width: int, **fields: Any) -> RowStoreHarness:
    return RowStoreHarness(Shapes(small_shapes(height, width, **fields).config, tap=True))


def _build_far_away(height: int, width: int, **fields: Any) -> RowStoreHarness:
    config = small_shapes(height, width, **fields).config
    return RowStoreHarness(Shapes(replace(config, target=replace(GENERIC, relays=True))))


def _builds() -> dict[str, partial[RowStoreHarness]]:
    """All frames up to 3x3, and 4x4, in both strides.

    Some are built without padding, with two beats for a pixel, and with two outputs for a step, too.
    """
    builds = {}
    sizes = [*itertools.product((1, 2, 3), repeat=2), (4, 4)]
    for (height, width), stride in itertools.product(sizes, (1, 2)):
        builds[f"{height}x{width}, stride {stride}"] = partial(_build, height, width, stride=stride)
        if min(height, width) >= 3:
            builds[f"{height}x{width}, stride {stride}, valid"] = partial(
                _build, height, width, stride=stride, padding="valid"
            )
        if height == width and height > 1:
            builds[f"{height}x{width}, stride {stride}, 2 beats"] = partial(
                _build, height, width, stride=stride, in_channels=2
            )
    builds["3x3, stride 1, far away"] = partial(_build_far_away, 3, 3)
    builds["4x4, stride 2, 2 beats, far away"] = partial(_build_far_away, 4, 4, stride=2, in_channels=2)
    builds["3x3, stride 1, 2 outputs"] = partial(_build, 3, 3, out_channels=2)
    builds["1x2, stride 1, tap"] = partial(_build_with_tap, 1, 2)
    builds["3x3, stride 2, 2 outputs, tap"] = partial(_build_with_tap, 3, 3, stride=2, out_channels=2)
    return builds


BUILDS = _builds()
QUICK = ("1x1, stride 1", "1x2, stride 2", "1x2, stride 1, tap")


def _bug(name: str, module: str, old: str, new: str, build: str, depth: int) -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build, depth=depth)


PROOF = Proof(
    name="row_store",
    claim="no pixel is overwritten before its last read, and none is read before it is written",
    unbounded=True,
    depth=4,
    builds=BUILDS,
    bugs=(
        _bug(
            "room for one beat too many",
            "hw.frozen.beat_writer",
            "initial = (top + self._slots) * row - 1",
            "initial = (top + self._slots) * row",
            "2x2, stride 1",
            24,
        ),
        _bug(
            "a beat from far away is not looked ahead for",
            "hw.frozen.beat_writer",
            "has_room.eq(Mux(transfer, *(room >= 0 for room in reversed(either))))",
            "has_room.eq(either[0] >= 0)",
            "3x3, stride 1, far away",
            24,
        ),
        _bug(
            "a row is released a group early",
            "hw.frozen.beat_writer",
            "Release.ROW: c.stride * row - last_group * group",
            "Release.ROW: c.stride * row - last_group * group + group",
            "2x2, stride 1",
            30,
        ),
        _bug(
            "a read does not wait for the bottom row",
            "hw.frozen.input_order",
            "row = frame * c.height + g.bottom_row(q)",
            "row = frame * c.height + g.centre_row(q)",
            "2x2, stride 1",
            16,
        ),
        _bug(
            "the comparison looks at the beat before",
            "hw.frozen.input_walk",
            "ahead = [Mux(step, missing[n + 1], missing[n]) for n in range(2)]",
            "ahead = [missing[n] for n in range(2)]",
            "2x2, stride 1",
            24,
        ),
        _bug(
            "slots do not run on across frames",
            "hw.frozen.input_walk",
            "m.d.sync += slot.eq(Mux(ends_frame, across, within))",
            "m.d.sync += slot.eq(Mux(ends_frame, 0, within))",
            "2x2, stride 1",
            24,
        ),
        _bug(
            "the queue is filled beyond its end",
            "hw.frozen.input_order",
            "DEPTH, ENOUGH = 16, 8",
            "DEPTH, ENOUGH = 8, 8",
            "1x1, stride 1",
            20,
        ),
        _bug(
            "a beat more than there are entries is issued",
            "hw.unit.sequencer",
            "init=depth - 2, name=name)",
            "init=depth - 1, name=name)",
            "1x1, stride 1",
            24,
        ),
        _bug(
            "the tap's entries are not asked for",
            "hw.unit.sequencer",
            "credit = credit & self._has_credit(m, self.i_tap_popped,",
            "self._has_credit(m, self.i_tap_popped,",
            "1x2, stride 1, tap",
            24,
        ),
        _bug(
            "empty groups bring no pixels to the tap",
            "hw.unit.sequencer",
            "self.o_tap.eq(issue & beat.pushing & pending.oldest)",
            "self.o_tap.eq(step & beat.pushing & pending.oldest)",
            "1x2, stride 1, tap",
            24,
        ),
    ),
    slow=frozenset(BUILDS) - frozenset(QUICK),
    slow_bugs=frozenset(
        {"room for one beat too many", "a row is released a group early", "the queue is filled beyond its end"}
    ),
)
