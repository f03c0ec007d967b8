"""Weight store: the words come back bit for bit, and hold the weights in the order that beats use them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape, signed, unsigned

from golden.contract.layer_config import NEIGHBOURS
from hw.frozen.frozen_words import FrozenWords
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import constant_words, memory_elements, weight_skew, weight_words
from hw.reloadable.loaded_words import LoadedWords
from hw.targets.families import TARGETS
from hw.unit.word_store import WordStore, latency
from tests.support.components import look, measured_latency, simulate, stream_through
from tests.support.tiers import seeds
from tests.support.units import SIMULATED, UNITS, random_unit, unit_shapes


@pytest.mark.parametrize("element", [signed(2), signed(8), unsigned(3), unsigned(16), signed(33)], ids=repr)
@pytest.mark.parametrize(("depth", "pe", "elements"), [(2, 1, 1), (3, 2, 9), (16, 4, 2), (17, 1, 5)])
@pytest.mark.parametrize("target", ["generic", "ecp5"])
def test_words_and_latency(element: Shape, depth: int, pe: int, elements: int, target: str) -> None:
    rng = np.random.default_rng(16)
    low, high = (-(2 ** (element.width - 1)) if element.signed else 0), 2 ** (element.width - element.signed) - 1
    words = rng.integers(low, high, (depth, pe, elements), endpoint=True)
    words[0], words[1] = low, high
    dut = WordStore(words, element, FrozenWords(SIMULATED[target]), name="words")
    addresses = [*range(depth), *rng.integers(0, depth, 40).tolist()]
    shown = stream_through(dut, [{"i_address": address} for address in addresses], dut.o_words)
    for lane, record in enumerate(shown):
        assert measured_latency(record, words[addresses, lane].tolist()) == latency(SIMULATED[target])


@pytest.mark.parametrize("parts", [1, 3])
def test_skewed_elements_come_later(parts: int) -> None:
    """Each element its skew after the others, whatever memories they are divided into."""
    rng = np.random.default_rng(17)
    words = rng.integers(-128, 127, (7, 2, 6), endpoint=True)
    skew = [0, 2, 1, 0, 2, 3]
    dut = WordStore(words, signed(8), FrozenWords(SIMULATED["xcup"]), name="words", skew=skew, parts=parts)
    addresses = rng.integers(0, 7, 30).tolist()
    shown = stream_through(dut, [{"i_address": address} for address in addresses], dut.o_words)
    for lane, record in enumerate(shown):
        for element, cycles in enumerate(skew):
            series = [word[element] for word in record]
            assert (
                measured_latency(series, words[addresses, lane, element].tolist())
                == latency(SIMULATED["xcup"]) + cycles
            )


@pytest.mark.parametrize(
    ("bits", "each", "depth", "target", "banks"),
    [
        (8, 8, 300, "xcup", 8),
        (8, 4, 300, "xcup", 8),
        (4, 4, 300, "xc7", 4),
        (4, 4, 600, "xc7", 8),
        (8, 1, 1200, "xcup", 8),
        (8, 9, 300, "xcup", 9),
        (8, 4, 600, "xcup", 8),
        (8, 8, 100, "xcup", 9),
        (8, 8, 300, "ecp5", 9),
        (8, 8, 300, "generic", 9),
    ],
)
def test_banks_share_block_rams(bits: int, each: int, depth: int, target: str, banks: int) -> None:
    """Nine memories as the taps of a 3x3 kernel have them: the last one lies in the room that the others leave."""
    rng = np.random.default_rng(19)
    words = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (depth, 1, 9 * each))
    skew = [element // each for element in range(9 * each)]
    dut = WordStore(words, signed(bits), FrozenWords(SIMULATED[target]), name="words", skew=skew)
    assert len(dut.banks) == banks
    assert sum(map(dut.width, dut.banks)) == 9 * each * bits
    if target == "ecp5":
        return
    addresses = rng.integers(0, depth, 30).tolist()
    [record] = stream_through(dut, [{"i_address": address} for address in addresses], dut.o_words)
    for element, cycles in enumerate(skew):
        series = [word[element] for word in record]
        wanted = latency(SIMULATED[target]) + cycles
        assert measured_latency(series, words[addresses, 0, element].tolist()) == wanted


def test_a_single_word_is_always_there() -> None:
    words = np.array([[[-128, 127, 0], [1, -1, 5]]])
    dut = WordStore(words, signed(8), FrozenWords(SIMULATED["generic"]), name="words")
    for lane, record in enumerate(stream_through(dut, [{"i_address": 0}], dut.o_words)):
        assert all(word == words[0, lane].tolist() for word in record)


@pytest.mark.parametrize("depth", [1, 3, 4])
@pytest.mark.parametrize("set_bits", [0, 1])
@pytest.mark.parametrize("target", ["generic", "xcup"])
def test_loaded_words(depth: int, set_bits: int, target: str) -> None:
    """Words come as they were written, each set apart; writing one while the other is read disturbs nothing."""
    rng = np.random.default_rng(18)
    skew, lanes, elements, sets = [0, 2, 1, 0], 2, 4, 1 << set_bits
    shape = np.zeros((depth, lanes, elements), int)
    dut = WordStore(
        shape, signed(5), LoadedWords(SIMULATED[target], set_bits=set_bits), name="words", skew=skew, parts=2
    )
    members = list(memory_elements(elements, skew, 2).values())
    room = 1 << (depth - 1).bit_length()
    content = rng.integers(-16, 15, (sets * room, lanes, elements), endpoint=True)

    async def bench(ctx: Any) -> None:
        write = dut.i_write
        for number in range(sets):
            for lane, word in itertools.product(range(lanes), range(depth)):
                for index, places in enumerate(members):
                    values = content[number * room + word, lane, places]
                    packed = sum((int(value) & 31) << 5 * place for place, value in enumerate(values))
                    ctx.set(write.enable, 1)
                    ctx.set(write.bank, lane * len(members) + index)
                    ctx.set(write.word, number * room + word)
                    ctx.set(write.value, packed)
                    if number:
                        await check(ctx, int(rng.integers(depth)))
                    else:
                        await ctx.tick()
        ctx.set(write.enable, 0)
        await ctx.tick().repeat(2)
        for number, word in itertools.product(range(sets), range(depth)):
            await check(ctx, number * room + word)

    async def check(ctx: Any, address: int) -> None:
        ctx.set(dut.i_address, address)
        await ctx.tick()
        ctx.set(dut.i_write.enable, 0)
        await ctx.tick().repeat(latency(SIMULATED[target]) + max(skew) - 1)
        for lane in range(lanes):
            assert look(ctx, dut.o_words[lane]) == content[address, lane].tolist()

    simulate(dut, bench)


def check_order(shapes: Shapes) -> None:
    """Word, lane and element of every weight, from the loops of the stream: channel beats inside output beats."""
    layer, c, g, plan = shapes.layer, shapes.layer.config, shapes.geometry, shapes.plan
    simd, pe = shapes.folding.simd, shapes.folding.pe
    words = weight_words(shapes)
    partners = [(p.channel, p.low, p.high) for chain in plan.chains if chain.shift is not None for p in chain.products]
    biases, multipliers = (constant_words(shapes, values) for values in (layer.bias, layer.multiplier))
    for output_beat, channel_beat, lane in itertools.product(range(g.output_beats), range(g.channel_beats), range(pe)):
        if c.depthwise:
            o, channels, constant = channel_beat * simd + lane, [0], channel_beat
        else:
            o, constant = output_beat * pe + lane, output_beat
            channels = [channel_beat * simd + j for j in range(simd)]
        assert biases[constant, lane].tolist() == [layer.bias[o]]
        assert multipliers[constant, lane].tolist() == [layer.multiplier[o]]
        if lane % plan.outputs:
            continue
        expected = []
        for place, channel in enumerate(channels):
            word: list[int] = []
            for output in range(o, o + plan.outputs):
                for i in g.conv_taps:
                    word.append(int(layer.conv_weight[output, channel, i // c.kernel, i % c.kernel]))
            word += [int(layer.attn_weight[o, channel, t]) for t in g.attn_taps]
            # The upper one of two that share a multiplier is kept less what the lower one borrows.
            own = [(low, high) for of_group, low, high in partners if of_group == place % plan.group]
            borrowed = {high for low, high in own if None not in (low, high) and word[low] < 0}
            expected += [weight - (element in borrowed) for element, weight in enumerate(word)]
        word_address = output_beat * g.channel_beats + channel_beat
        assert words[word_address, lane // plan.outputs].tolist() == expected
    assert words.shape == (shapes.weight_depth, shapes.lanes, shapes.lane_channels * shapes.channel_weights.length)
    assert len(words) == shapes.weight_depth == g.output_beats * g.channel_beats
    assert len(biases) == shapes.constant_depth


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("unit", UNITS)
def test_order(unit: str, target: str) -> None:
    check_order(unit_shapes(target=target, **UNITS[unit]))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(20))
def test_order_in_any_layer(seed: int, target: str) -> None:
    check_order(random_unit(seed, target))
    check_order(random_unit(seed, target, similar=True))


def test_skew_of_a_group() -> None:
    """Chains over the four channels of a group: all weights of a channel come as late as it does, in every group."""
    fields = {"product": "dynamic", "heads": 2, "in_channels": 8, "simd": 8, "in_signed": True, "pack": False}
    shapes = unit_shapes(target="xcup", **fields)
    assert shapes.plan.channel_skew == (0, 1, 2, 3)
    assert weight_skew(shapes) == [channel % 4 for channel in range(8) for _ in range(17)]
    assert set(weight_skew(unit_shapes(target="generic", **fields))) == {0}


@pytest.mark.parametrize("attn_offsets", [NEIGHBOURS, ()], ids=["attention", "two_outputs"])
def test_packed_words(attn_offsets: tuple[tuple[int, int], ...]) -> None:
    """Of two weights that share a multiplier, the upper one is kept less one where the lower one is negative."""
    shapes = unit_shapes(target="xcup", attn_offsets=attn_offsets)
    layer, plan = shapes.layer, shapes.plan
    assert plan.packed and plan.outputs == (1 if attn_offsets else 2)
    words = weight_words(shapes)
    conv = layer.conv_weight.reshape(4, 4, 9)
    for beat, lane, j in itertools.product(range(len(words)), range(shapes.lanes), range(2)):
        output_beat, channel = divmod(beat, 2)
        o, channel = output_beat * 2 + lane * plan.outputs, channel * 2 + j
        low = conv[o, channel]
        if attn_offsets:
            # The centre of the kernel has no partner.
            partner = np.delete(low, 4)
            expected = [*low, *(layer.attn_weight[o, channel] - (partner < 0))]
        else:
            expected = [*low, *(conv[o + 1, channel] - (low < 0))]
        count = shapes.channel_weights.length
        assert words[beat, lane, j * count : (j + 1) * count].tolist() == [int(w) for w in expected]
