"""Weight store: the frozen weights, biases and multipliers, one word per beat or output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Cat, Const, Module, Shape, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.streams import Payload
from hw import storage
from hw.config import UnitConfig
from hw.pipeline import delay, index_shape
from hw.target import Target


class WeightStore(wiring.Component):
    """Read-only words that each output lane needs with a beat.

    A single word is a constant; several become memories, see `hw.storage`: one for each lane
    and group of elements that are wanted at the same time.

    Members:
        i_address: word to read.
        o_words: for each lane its part of the word, ``latency`` cycles later, and each
            element as many cycles more as its skew.

    Attributes:
        latency: cycles from address to word.
        bank_elements: elements that each memory of a lane holds.
    """

    def __init__(
        self, words: np.ndarray, element: Shape, *, target: Target, name: str, skew: Sequence[int] = (), parts: int = 1
    ) -> None:
        """Keep ``words``, integers ``[depth, lanes, elements]`` that fit ``element``.

        Args:
            name: of the memories.
            skew: of each element; none without.
            parts: memories that a lane's elements are divided into, in equal shares.
        """
        self._words, self._element, self._target, self._name = words, element, target, name
        depth, lanes, elements = words.shape
        places = skew or [0] * elements
        self._groups = sorted({(places[e], e * parts // elements) for e in range(elements)})
        self._members = {
            group: [e for e in range(elements) if (places[e], e * parts // elements) == group] for group in self._groups
        }
        self.latency = storage.LATENCY + int(target.fast)
        self.bank_elements = [len(members) for members in self._members.values()]
        word = data.ArrayLayout(element, elements)
        super().__init__({"i_address": In(index_shape(depth)), "o_words": Out(word).array(lanes)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for lane in range(self._words.shape[1]):
            elements: dict[int, Value] = {}
            for index, (skew, part) in enumerate(self._groups):
                members = self._members[skew, part]
                values = self._words[:, lane, members]
                image = Payload(lanes=len(members), bits=self._element.width, signed=self._element.signed).pack(values)
                content = [int.from_bytes(word, "little") for word in image]
                width = len(members) * self._element.width
                if len(content) == 1:
                    word: Value = Const(content[0], width)
                else:
                    bank = Bank(content, width, target=self._target, name=self._name)
                    m.submodules[f"{self._name}_{lane}" + (f"_{index}" if len(self._groups) > 1 else "")] = bank
                    m.d.comb += bank.i_address.eq(delay(m, self.i_address, skew))
                    word = bank.o_word
                for place, element in enumerate(members):
                    elements[element] = word[place * self._element.width : (place + 1) * self._element.width]
            m.d.comb += self.o_words[lane].eq(Cat(elements[index] for index in range(len(elements))))
        return m


class Bank(wiring.Component):
    """One memory. On a target whose clock counts it has an address register of its own.

    Members:
        i_address: word to read.
        o_word: the word.
    """

    def __init__(self, image: Sequence[int], width: int, *, target: Target, name: str) -> None:
        self._image, self._width, self._target, self._name = image, width, target, name
        super().__init__({"i_address": In(index_shape(len(image))), "o_word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = delay(m, self.i_address, int(self._target.fast))
        word = storage.read_only(m, self._target, self._image, self._width, address, name=self._name)
        m.d.comb += self.o_word.eq(word)
        return m


def weight_words(config: UnitConfig) -> np.ndarray:
    """Weights in the order a step's beats use them: ``[weight_depth, lanes, lane_channels * channel_weights]``.

    Of two that are packed, the upper one is kept less what the lower one borrows (`hw.packing`).
    """
    g, layer, plan = config.geometry, config.layer, config.plan
    conv = layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1)[..., list(g.conv_taps)]
    outputs, channels = conv.shape[0] // plan.outputs, conv.shape[1]
    paired = conv.reshape(outputs, plan.outputs, channels, -1).transpose(0, 2, 1, 3).reshape(outputs, channels, -1)
    attn = layer.attn_weight[..., list(g.attn_taps)].reshape(outputs, channels, len(g.attn_taps))
    weights = np.concatenate([paired, attn], axis=-1)
    for chain in plan.chains:
        for product in chain.products:
            if chain.shift is not None and product.low is not None and product.high is not None:
                own = weights[:, product.channel :: plan.group]
                own[..., product.high] -= own[..., product.low] < 0
    if layer.config.depthwise:
        return weights.reshape(config.weight_depth, config.lanes, -1)
    folded = weights.reshape(g.output_beats, config.lanes, g.channel_beats, config.folding.simd, -1)
    return folded.transpose(0, 2, 1, 3, 4).reshape(config.weight_depth, config.lanes, -1)


def weight_skew(config: UnitConfig) -> list[int]:
    """For each element of a lane's weight word, cycles that its operand comes after the first."""
    plan, elements = config.plan, config.channel_weights.length
    skew = [0] * (plan.group * elements)
    for chain in plan.chains:
        for product in chain.products:
            for element in (product.low, product.high):
                if element is not None:
                    cycles = plan.skew[product.offset] + plan.channel_skew[product.channel]
                    skew[product.channel * elements + element] = cycles
    return skew * config.lane_groups


def constant_words(config: UnitConfig, values: np.ndarray) -> np.ndarray:
    """One value per output channel as ``[constant_depth, pe, 1]``."""
    return values.reshape(config.constant_depth, config.folding.pe, 1)
