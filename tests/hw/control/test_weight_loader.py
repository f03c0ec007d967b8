"""Weight loader: every word of an image where it belongs, and images of a wrong length are void."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hw.control.weight_loader import WeightLoader
from hw.plan.weight_layout import (
    bank_members,
    beats_of_word,
    image_beats,
    weight_banks,
    weight_image,
    weight_words,
)
from tests.support.components import simulate
from tests.support.control_bench import reloadable
from tests.support.units import UNITS

#: Widths of memories and their depth: words of one beat and of several, of equal and of different lengths.
SHAPES = {
    "one_beat": ([7], 1),
    "one_word": ([32, 33], 1),
    "equal": ([64, 64, 64], 5),
    "mixed": ([40, 8, 72, 32, 136], 3),
    "deep": ([16, 40], 16),
    "wide_first": ([200, 24], 2),
}


class Bench:
    """Sends beats with pauses and keeps a memory of what is written."""

    def __init__(
        self, ctx: Any, dut: WeightLoader, rng: np.random.Generator, *, offer: float = 1, free: float = 1
    ) -> None:
        self.ctx, self.dut, self.rng, self.offer, self.free = ctx, dut, rng, offer, free
        self.memory: dict[tuple[int, int], int] = {}
        self.strobes = {"short": 0, "long": 0}
        #: Whether the last cycle's beat had TLAST, and whether the set was free then.
        self.ended = self.was_free = False

    async def tick(self) -> None:
        write = self.dut.o_write
        if self.ctx.get(write.enable):
            self.memory[self.ctx.get(write.bank), self.ctx.get(write.word)] = self.ctx.get(write.value)
        self.strobes["short"] += self.ctx.get(self.dut.o_short)
        self.strobes["long"] += self.ctx.get(self.dut.o_long)
        self.ended = bool(self.ctx.get(self.dut.i.valid & self.dut.i.ready & self.dut.i.payload.last))
        self.was_free = bool(self.ctx.get(self.dut.i_free))
        await self.ctx.tick()

    async def send(self, beats: list[int], *, last: int | None = None) -> None:
        """Send beats; TLAST with the last one, or with beat ``last`` (-1: with none)."""
        last = len(beats) - 1 if last is None else last
        for index, beat in enumerate(beats):
            offered = False
            while True:
                offered = offered or self.rng.random() < self.offer
                free = self.rng.random() < self.free
                self.ctx.set(self.dut.i.valid, offered)
                self.ctx.set(self.dut.i.payload.data, beat if offered else int(self.rng.integers(1 << 32)))
                self.ctx.set(self.dut.i.payload.last, index == last if offered else 1)
                self.ctx.set(self.dut.i_free, free)
                ready = self.ctx.get(self.dut.i.ready)
                assert ready == (self.was_free and not self.ended), "a beat behind each cycle in which the set is free"
                await self.tick()
                if ready and offered:
                    break
        self.ctx.set(self.dut.i.valid, 0)
        self.ctx.set(self.dut.i_free, 1)

    def state(self) -> tuple[int, int]:
        """``(loading, loaded)``"""
        return self.ctx.get(self.dut.o_loading), self.ctx.get(self.dut.o_loaded)


def image(banks: list[int], depth: int, rng: np.random.Generator) -> tuple[list[int], dict[tuple[int, int], int]]:
    """Random beats of an image, and the words they stand for."""
    beats: list[int] = []
    words = {}
    for bank, width in enumerate(banks):
        for word in range(depth):
            own = rng.integers(0, 1 << 32, beats_of_word(width)).tolist()
            words[bank, word] = sum(beat << 32 * index for index, beat in enumerate(own)) & ((1 << width) - 1)
            beats += own
    return beats, words


def check_memory(bench: Bench, banks: list[int], words: dict[tuple[int, int], int]) -> None:
    """Each word in its place; only the bits that the memory has count."""
    assert bench.memory.keys() == words.keys()
    for (bank, word), value in bench.memory.items():
        assert value & ((1 << banks[bank]) - 1) == words[bank, word], f"bank {bank}, word {word}"


def run(shape: str, body: Callable[[Bench], Any], *, offer: float = 1, free: float = 1, seed: int = 0) -> None:
    banks, depth = SHAPES[shape]
    dut = WeightLoader(banks, depth)
    print(f"seed {seed}")

    async def bench(ctx: Any) -> None:
        await body(Bench(ctx, dut, np.random.default_rng(seed), offer=offer, free=free))

    simulate(dut, bench)


@pytest.mark.parametrize(("offer", "free"), [(1, 1), (0.4, 1), (1, 0.4), (0.6, 0.7)])
@pytest.mark.parametrize("shape", SHAPES)
def test_images(shape: str, offer: float, free: float) -> None:
    """Several after each other, the last word written by the time that the image counts as loaded."""
    banks, depth = SHAPES[shape]

    async def body(bench: Bench) -> None:
        for _image in range(3):
            beats, words = image(banks, depth, bench.rng)
            bench.memory.clear()
            await bench.send(beats)
            assert bench.state() == (0, 1)
            await bench.tick()
            check_memory(bench, banks, words)
        assert bench.strobes == {"short": 0, "long": 0}

    run(shape, body, offer=offer, free=free, seed=list(SHAPES).index(shape))


def cuts(count: int) -> Iterator[int]:
    """Some lengths of an image cut short, its first and last beat among them."""
    yield from sorted({1, 2, count // 2, count - 1} & set(range(1, count)))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "one_beat"])
def test_too_short(shape: str) -> None:
    """TLAST before the end: the load is void, and the next image is whole."""
    banks, depth = SHAPES[shape]

    async def body(bench: Bench) -> None:
        for expected, length in enumerate(cuts(len(image(banks, depth, bench.rng)[0])), start=1):
            beats, words = image(banks, depth, bench.rng)
            await bench.send(beats[:length])
            assert bench.state() == (0, 0)
            assert bench.strobes == {"short": expected, "long": 0}
            bench.memory.clear()
            await bench.tick()
            bench.memory.clear()
            await bench.send(beats)
            assert bench.state() == (0, 1)
            await bench.tick()
            check_memory(bench, banks, words)

    run(shape, body)


@pytest.mark.parametrize("surplus", [1, 2, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_too_long(shape: str, surplus: int) -> None:
    """No TLAST at the end: all up to it is dropped and overwrites nothing."""
    banks, depth = SHAPES[shape]

    async def body(bench: Bench) -> None:
        for expected in (1, 2):
            beats, words = image(banks, depth, bench.rng)
            bench.memory.clear()
            await bench.send(beats + [123] * surplus)
            assert bench.state() == (0, 0)
            assert bench.strobes == {"short": 0, "long": expected}
            await bench.tick()
            check_memory(bench, banks, words)
            await bench.send(beats)
            assert bench.state() == (0, 1)

    run(shape, body)


@pytest.mark.parametrize("shape", SHAPES)
def test_restart(shape: str) -> None:
    """From any place of a load, and while a too long one is dropped; what is loaded stays so."""
    banks, depth = SHAPES[shape]

    async def restart(bench: Bench) -> None:
        bench.ctx.set(bench.dut.i_free, 0)
        await bench.tick()
        bench.ctx.set(bench.dut.i_free, 1)
        bench.ctx.set(bench.dut.i_restart, 1)
        bench.ctx.set(bench.dut.i.valid, 1)
        assert not bench.ctx.get(bench.dut.i.ready), "a beat at this moment would belong to neither load"
        await bench.tick()
        bench.ctx.set(bench.dut.i_restart, 0)
        bench.ctx.set(bench.dut.i.valid, 0)

    async def body(bench: Bench) -> None:
        bench.ctx.set(bench.dut.i_free, 1)
        count = len(image(banks, depth, bench.rng)[0])
        for length in [*cuts(count), count, count + 1]:
            beats, words = image(banks, depth, bench.rng)
            await bench.send([*beats, 5][:length], last=-1)
            assert bench.state() == (int(length < count), 0)
            await restart(bench)
            assert bench.state() == (0, 0)
            bench.memory.clear()
            await bench.tick()
            bench.memory.clear()
            await bench.send(beats)
            await restart(bench)
            assert bench.state() == (0, 1)
            check_memory(bench, banks, words)

    run(shape, body)


def test_loaded_until_used_or_overwritten() -> None:
    banks, depth = SHAPES["mixed"]

    async def body(bench: Bench) -> None:
        beats, _words = image(banks, depth, bench.rng)
        await bench.send(beats)
        for _cycle in range(3):
            await bench.tick()
            assert bench.state() == (0, 1)
        bench.ctx.set(bench.dut.i_used, 1)
        await bench.tick()
        bench.ctx.set(bench.dut.i_used, 0)
        assert bench.state() == (0, 0)
        await bench.send(beats)
        await bench.send(beats[:1], last=-1)
        assert bench.state() == (1, 0), "what was loaded is not whole any more"

    run("mixed", body)


@pytest.mark.parametrize("target", ["generic", "xcup", "ecp5"])
@pytest.mark.parametrize("unit", UNITS)
def test_image_of_a_layer(unit: str, target: str) -> None:
    """The words in the image are those that the weight store keeps, in memories of the same widths."""
    shapes = reloadable(target=target, **UNITS[unit])
    words, members = weight_words(shapes), bank_members(shapes)
    assert sorted(element for elements in members for element in elements) == list(range(words.shape[2]))

    beats, width = weight_image(shapes).tolist(), shapes.weight.width
    assert len(beats) == image_beats(shapes)
    for lane in range(shapes.lanes):
        for elements in members:
            for word in range(shapes.weight_depth):
                own = beats[: beats_of_word(width * len(elements))]
                del beats[: len(own)]
                bits = sum(beat << 32 * index for index, beat in enumerate(own))
                for element in elements:
                    assert bits & ((1 << width) - 1) == words[word, lane, element] & ((1 << width) - 1)
                    bits >>= width
                assert bits == 0, "padded with zeros"
    assert not beats
    assert weight_banks(shapes) == [width * len(elements) for elements in members] * shapes.lanes
