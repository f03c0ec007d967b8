"""Weight loader: a whole image writes each word once where it belongs, and images of a wrong length are void.

It is proven for ever, by k-induction, with images of any length, and pauses, restarts and resets at any time. What is
claimed:

- A beat is taken whenever the memories may be written, a cycle later, but not in the cycle after TLAST.
- Each beat that completes a word makes one write, a cycle later. It goes to that word's bank and address, and
  has the beats of the word in order. There are no other writes.
- ``o_loaded`` tells that the last image was whole and has not been put in force since.
- ``o_loading`` tells that an image is under way.
- ``o_short`` and ``o_long`` come with the beat that is at fault.
- Beats beyond an image are dropped up to TLAST.
- The beat after any TLAST is the first of an image.

It is assumed that a restart comes only where the memories could not be written a cycle before, and that what was
loaded is put in force only where they could not be written then, and cannot be now, as `hw.control.control` makes sure.
The reference is a single count of beats, with tables of what each beat is.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.blocks.pipeline import index_shape
from hw.control.weight_loader import WeightLoader
from hw.plan.weight_layout import BEAT_BITS
from tests.proofs.inside import Inside
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.walk import table


class WeightLoaderHarness(Harness):
    def __init__(self, banks: list[int], depth: int) -> None:
        self._dut = WeightLoader(banks, depth)
        #: Number of beats of a word, for each bank.
        self._beats = [-(-width // BEAT_BITS) for width in banks]
        #: Bank, word and place within the word, for each beat of an image.
        self._image = [
            (bank, word, place)
            for bank, beats in enumerate(self._beats)
            for word in range(depth)
            for place in range(beats)
        ]
        self._depth = depth
        ports = {"valid": In(1), "data": In(BEAT_BITS), "last": In(1)}
        super().__init__(ports | {"free": In(1), "restart": In(1), "used": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut, image, write = self._dut, self._image, self._dut.o_write
        inside = self.inside(m, "dut", dut)
        m.d.comb += [
            dut.i.valid.eq(self.valid),
            dut.i.payload.data.eq(self.data),
            dut.i.payload.last.eq(self.last),
            dut.i_free.eq(self.free),
            dut.i_restart.eq(self.restart),
            dut.i_used.eq(self.used),
        ]
        was_free = Signal()
        m.d.sync += was_free.eq(self.free)
        self.assume(m, ~(self.used & (self.free | was_free)))
        self.assume(m, ~(self.restart & was_free))

        ended, dropping, index = Signal(), Signal(), Signal(index_shape(len(image)))
        taken = self.valid & dut.i.ready
        self.claim(m, dut.i.ready == (was_free & ~ended))
        counted, whole = taken & ~dropping, index == len(image) - 1
        m.d.sync += ended.eq(taken & self.last)
        with m.If(counted):
            m.d.sync += [index.eq(Mux(whole | self.last, 0, index + 1)), dropping.eq(whole & ~self.last)]
        with m.If(self.restart | (taken & self.last)):
            m.d.sync += [index.eq(0), dropping.eq(0)]
        self.claim(m, dut.o_short == (counted & self.last & ~whole))
        self.claim(m, dut.o_long == (counted & whole & ~self.last))
        self.claim(m, dut.o_loading == (index > 0))
        loaded = Signal()
        m.d.sync += loaded.eq(Mux(counted, whole & self.last, loaded & ~self.used))
        self.claim(m, dut.o_loaded == loaded)

        # What the current beat is, and whether it completes its word.
        bank, word, place = (table([beat[part] for beat in image], index) for part in range(3))
        ends = table([beat[2] == self._beats[beat[0]] - 1 for beat in image], index)
        kept = [Signal(BEAT_BITS, name=f"kept_{number}", reset_less=True) for number in range(max(self._beats))]
        for number, beat in enumerate(kept):
            with m.If(counted & (place == number)):
                m.d.sync += beat.eq(self.data)
        writes = Signal()
        at_bank, at_word = Signal.like(write.bank, reset_less=True), Signal.like(write.word, reset_less=True)
        m.d.sync += [writes.eq(counted & ends), at_bank.eq(bank), at_word.eq(word)]
        self.claim(m, write.enable == writes)
        self.claim(m, ~writes | ((write.bank == at_bank) & (write.word == at_word)))
        for number, beats in enumerate(self._beats):
            bits = min(beats * BEAT_BITS, len(write.value))
            same = write.value[:bits] == Cat(kept[:beats])[:bits]
            self.claim(m, ~(writes & (at_bank == number)) | same)
        if self.lemmas:
            self._add_lemmas(m, inside, ended, dropping, index, (bank, word, place), kept)
        return m

    def _add_lemmas(
        self,
        m: Module,
        inside: Inside,
        ended: Signal,
        dropping: Signal,
        index: Signal,
        beat: tuple[Value, Value, Value],
        kept: list[Signal],
    ) -> None:
        """Lemmas on the loader's counters. Most do not hold in the cycle after TLAST, in which counters begin again."""
        bank, word, place = beat
        self.lemma(m, index < len(self._image))
        self.lemma(m, ended | (inside.register("dropping") == dropping))
        self.lemma(m, ~dropping | (index == 0))
        last_place = table([beats - 1 for beats in self._beats], bank)
        for name, value in (
            ("place", 1 << place),
            ("ends", 1 << last_place),
            ("chunk_last", place == last_place),
            ("word", word),
            ("word_last", word == self._depth - 1),
            ("bank", bank),
            ("bank_last", bank == len(self._beats) - 1),
        ):
            self.lemma(m, ended | (inside.register(name) == value))
        for number, chunk in enumerate(kept):
            own = inside.register("value").word_select(number, BEAT_BITS)
            self.lemma(m, ended | (place <= number) | (own == chunk))


def _bug(name: str, old: str, new: str, build: str = "40 and 8 bits, 2 words") -> Bug:
    return Bug(name=name, module="hw.control.weight_loader", old=old, new=new, build=build)


PROOF = Proof(
    name="weight_loader",
    claim="a whole image writes each word once where it belongs, and one of a wrong length is void",
    unbounded=True,
    depth=12,
    builds={
        "7 bits, 1 word": partial(WeightLoaderHarness, [7], 1),
        "40 and 8 bits, 2 words": partial(WeightLoaderHarness, [40, 8], 2),
        "32, 70 and 33 bits, 3 words": partial(WeightLoaderHarness, [32, 70, 33], 3),
    },
    bugs=(
        _bug(
            "beats are taken while the set is in use",
            "opened.eq(self.i_free & ~(taken & last))",
            "opened.eq(~(taken & last))",
        ),
        _bug(
            "an image that is too short counts as loaded",
            "self.o_loaded.eq(image_done & last)",
            "self.o_loaded.eq(last)",
        ),
        _bug("what is too long is not dropped", "m.d.sync += dropping.eq(1)", "m.d.sync += dropping.eq(0)"),
        _bug(
            "a short image leaves its place",
            "word_done, image_done = self._assemble(m, counted, self.i_restart | ended)",
            "word_done, image_done = self._assemble(m, counted, self.i_restart)",
        ),
        _bug("all words are as long as the first", "m.d.sync += ends.eq(following)", "pass"),
        _bug(
            "a word is written a cycle early",
            "m.d.comb += self.o_write.enable.eq(enable)",
            "m.d.comb += self.o_write.enable.eq(word_done)",
        ),
        _bug(
            "an image stays loaded when it is overwritten",
            "self.o_loaded.eq(image_done & last)",
            "self.o_loaded.eq(self.o_loaded | (image_done & last))",
        ),
    ),
)
