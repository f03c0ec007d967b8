"""Weight loader: the beats of a weight image, assembled into words of the weight memories.

`hw.plan.weight_layout` says in which order the beats come. One register, as wide as the widest memory,
takes the beats of a word. A word is written in the cycle after its last beat, while the next word
begins.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, index_shape, pick
from hw.control.interface import bank_write
from hw.plan.weight_layout import BEAT_BITS, beats_of_word

#: A beat of the stream: TDATA and TLAST.
WeightBeat = data.StructLayout({"data": BEAT_BITS, "last": 1})


class WeightLoader(wiring.Component):
    """Loads images for memories of ``banks`` bits, ``depth`` words each.

    The loader takes a beat a cycle, but none in the cycle after TLAST. An image whose TLAST does not
    come with its last beat is void. Where TLAST comes too late, all beats up to it are dropped. The
    beat after TLAST is always an image's first.

    Members:
        i: the beats.
        i_free: whether the set not in use may be written. Otherwise no beat is taken in the next cycle.
        i_restart: strobe: drop the load under way. It comes only in a cycle in which no beat is taken.
        i_used: strobe: what was loaded has been put in force.
        o_write: words, as in `hw.control.interface.bank_write`.
        o_loading: some beats of an image have come.
        o_loaded: a whole image has come and is neither in force nor overwritten.
        o_short: strobe: TLAST came before an image's last beat.
        o_long: strobe: TLAST did not come with an image's last beat.
    """

    def __init__(self, banks: Sequence[int], depth: int) -> None:
        self._banks, self._depth = banks, depth
        super().__init__(
            {
                "i": In(stream.Signature(WeightBeat)),
                "i_free": In(1),
                "i_restart": In(1),
                "i_used": In(1),
                "o_write": Out(bank_write(banks, index_shape(depth))),
                "o_loading": Out(1),
                "o_loaded": Out(1),
                "o_short": Out(1),
                "o_long": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        opened = Signal()
        taken = Signal()
        counted = Signal()
        dropping = Signal()
        ended = Signal()
        last = self.i.payload.last
        m.d.comb += [
            self.i.ready.eq(opened),
            taken.eq(self.i.valid & self.i.ready),
            counted.eq(taken & ~dropping),
        ]
        # After TLAST, in time or not, the counters take a cycle to begin again.
        m.d.sync += [ended.eq(taken & last), opened.eq(self.i_free & ~(taken & last))]
        word_done, image_done = self._assemble(m, counted, self.i_restart | ended)

        m.d.comb += [
            self.o_short.eq(counted & last & ~image_done),
            self.o_long.eq(counted & image_done & ~last),
        ]
        with m.If(self.o_long):
            m.d.sync += dropping.eq(1)
        with m.If(counted):
            m.d.sync += [self.o_loading.eq(~(image_done | last)), self.o_loaded.eq(image_done & last)]
        with m.If(self.i_used):
            m.d.sync += self.o_loaded.eq(0)
        with m.If(self.i_restart | ended):
            m.d.sync += [dropping.eq(0), self.o_loading.eq(0)]
        enable = Signal()
        m.d.sync += enable.eq(word_done)
        m.d.comb += self.o_write.enable.eq(enable)
        return m

    def _assemble(self, m: Module, counted: Signal, restart: Value) -> tuple[Value, Value]:
        """Put beats together. Returns whether this beat is a word's last, and whether it is the image's last."""
        beats = [beats_of_word(width) for width in self._banks]
        chunks = max(beats)
        # Where the beat goes and where a word's last beat goes: a bit for each chunk of the register.
        place = Signal(chunks, init=1)
        ends = Signal(chunks, init=1 << beats[0] - 1)
        # Whether the beat is a word's last: a register of its own, as everything waits for it.
        chunk_last = Signal(init=int(beats[0] == 1))
        word_done = Signal()
        bank_done = Signal()
        image_done = Signal()
        word = Counter(m, self._depth, word_done, name="word")
        bank = Counter(m, len(beats), bank_done, name="bank")
        m.d.comb += [
            word_done.eq(counted & chunk_last),
            bank_done.eq(word_done & word.last),
            image_done.eq(bank_done & bank.last),
        ]
        following = Signal(chunks)
        choices = [Const(1 << count - 1, chunks) for count in (*beats[1:], beats[0])]
        m.d.comb += following.eq(Mux(word.last, pick(choices, bank.value), ends))
        with m.If(counted):
            m.d.sync += place.eq(Mux(chunk_last, 1, place << 1))
            m.d.sync += chunk_last.eq(Mux(chunk_last, following[0], (place[:-1] & ends[1:]).any()))
        with m.If(word_done):
            m.d.sync += ends.eq(following)
        with m.If(restart):
            for register in (place, ends, chunk_last, word.value, word.last, bank.value, bank.last):
                m.d.sync += register.eq(register.init)

        value = Signal(chunks * BEAT_BITS, reset_less=True)
        for index in range(chunks):
            with m.If(counted & place[index]):
                m.d.sync += value.word_select(index, BEAT_BITS).eq(self.i.payload.data)
        at_word = Signal.like(self.o_write.word, name="at_word", reset_less=True)
        at_bank = Signal.like(self.o_write.bank, name="at_bank", reset_less=True)
        m.d.sync += [at_word.eq(word.value), at_bank.eq(bank.value)]
        m.d.comb += [self.o_write.word.eq(at_word), self.o_write.bank.eq(at_bank), self.o_write.value.eq(value)]
        return word_done, image_done
