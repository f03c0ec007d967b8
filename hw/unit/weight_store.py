"""Weight store: the weights, biases and multipliers, one word per beat or output; frozen, or loaded at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Shape, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.streams import Payload
from hw.blocks import memory as storage
from hw.blocks.pipeline import delay, index_shape
from hw.plan.config import UnitConfig
from hw.targets.families import Target


class WeightStore(wiring.Component):
    """Words that each output lane needs with a beat.

    A single frozen word is a constant; several become memories, see `hw.blocks.memory`: one for each
    lane and group of elements that are wanted at the same time. Where words are loaded, a
    memory has ``2^set_bits`` sets of them, chosen by the upper bits of the address.

    Members:
        i_address: word to read.
        i_write: a word of one memory to write (only where they are loaded), which is there two cycles
            later; memories count lane by lane.
        o_words: for each lane its part of the word, ``latency`` cycles later, and each
            element as many cycles more as its skew.

    Attributes:
        latency: cycles from address to word.
        bank_elements: elements that each memory of a lane holds.
        depth: words of a set.
        words: words of each memory.
    """

    def __init__(
        self,
        words: np.ndarray,
        element: Shape,
        *,
        target: Target,
        name: str,
        skew: Sequence[int] = (),
        parts: int = 1,
        set_bits: int | None = None,
    ) -> None:
        """Keep ``words``, integers ``[depth, lanes, elements]`` that fit ``element``.

        Args:
            name: of the memories.
            skew: of each element; none without.
            parts: memories that a lane's elements are divided into, in equal shares.
            set_bits: words are loaded into so many sets, ``words`` only says their shape; None where they are frozen.
        """
        self._frozen, self._element, self._target, self._name = words, element, target, name
        self._set_bits = set_bits
        self.depth, lanes, elements = words.shape
        self._members = memory_elements(elements, skew, parts)
        self.latency = storage.LATENCY + int(target.fast)
        self.bank_elements = [len(members) for members in self._members.values()]
        word, address = data.ArrayLayout(element, elements), index_shape(self.depth)
        ports: dict[str, Any] = {"o_words": Out(word).array(lanes)}
        if set_bits is not None:
            address = unsigned(max(1, (self.depth - 1).bit_length() + set_bits))
            widths = [count * element.width for count in self.bank_elements] * lanes
            ports["i_write"] = In(bank_write(widths, address))
        self.words = self.depth if set_bits is None else 2**address.width
        super().__init__({"i_address": In(address), **ports})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._set_bits is not None:
            self._late = delay(m, self.i_write, 1)
        for lane in range(self._frozen.shape[1]):
            elements: dict[int, Value] = {}
            for index, ((skew, _), members) in enumerate(self._members.items()):
                content = self._content(lane, members)
                width = len(members) * self._element.width
                if self._set_bits is None and len(content) == 1:
                    word: Value = Const(content[0], width)
                else:
                    bank = self._bank(m, lane * len(self._members) + index, content, width)
                    m.submodules[f"{self._name}_{lane}" + (f"_{index}" if len(self._members) > 1 else "")] = bank
                    m.d.comb += bank.i_address.eq(delay(m, self.i_address, skew))
                    word = bank.o_word
                for place, element in enumerate(members):
                    elements[element] = word[place * self._element.width : (place + 1) * self._element.width]
            m.d.comb += self.o_words[lane].eq(Cat(elements[index] for index in range(len(elements))))
        return m

    def _content(self, lane: int, members: Sequence[int]) -> list[int]:
        """The words of a memory as they lie in it."""
        values = self._frozen[:, lane, members]
        image = Payload(lanes=len(members), bits=self._element.width, signed=self._element.signed).pack(values)
        return [int.from_bytes(word, "little") for word in image]

    def _bank(self, m: Module, number: int, content: Sequence[int], width: int) -> Bank | LoadedBank:
        if self._set_bits is None:
            return Bank(content, width, target=self._target, name=self._name)
        bank = LoadedBank(self.i_address.shape(), width, target=self._target, name=self._name)
        m.d.sync += bank.i_write.enable.eq(self.i_write.enable & (self.i_write.bank == number))
        m.d.comb += [bank.i_write.word.eq(self._late.word), bank.i_write.value.eq(self._late.value)]
        return bank


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


class LoadedBank(wiring.Component):
    """One memory that is written, too.

    Members:
        i_address: word to read.
        i_write: word to write.
        o_word: the word read, as late as that of a `Bank`.
    """

    def __init__(self, address: Shape, width: int, *, target: Target, name: str) -> None:
        self._target, self._name = target, name
        write = data.StructLayout({"enable": 1, "word": address, "value": width})
        super().__init__({"i_address": In(address), "i_write": In(write), "o_word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = delay(m, self.i_address, int(self._target.fast))
        write = self.i_write
        word = storage.random_access(
            m,
            self._target,
            depth=2 ** len(self.i_address),
            width=len(self.o_word),
            write=(write.enable, write.word, write.value),
            address=address,
            name=self._name,
        )
        m.d.comb += self.o_word.eq(word)
        return m


def bank_write(widths: Sequence[int], address: Shape) -> data.StructLayout:
    """Write ``value`` (its lower bits) to ``word`` of memory ``bank``, where memories have words of ``widths`` bits."""
    return data.StructLayout({"enable": 1, "bank": index_shape(len(widths)), "word": address, "value": max(widths)})


def memory_elements(elements: int, skew: Sequence[int], parts: int) -> dict[tuple[int, int], list[int]]:
    """The elements that each memory of a lane holds; those of a memory have the same skew and part."""
    places = [(skew[e] if skew else 0, e * parts // elements) for e in range(elements)]
    return {place: [e for e in range(elements) if places[e] == place] for place in sorted(set(places))}


def weight_words(config: UnitConfig) -> np.ndarray:
    """Weights in the order a step's beats use them: ``[weight_depth, lanes, lane_channels * channel_weights]``.

    Of two that are packed, the upper one is kept less what the lower one borrows (`hw.plan.packing`).
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
