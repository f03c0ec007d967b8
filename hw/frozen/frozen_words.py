"""Frozen words: a single word is a constant, several words are a read-only memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from golden.contract.streams import Payload
from hw.blocks import memory
from hw.blocks.pipeline import delay, index_shape
from hw.targets.families import Target


class FrozenWords:
    """The `hw.unit.word_store.Keeper` of words that are built in."""

    read_only = True

    def __init__(self, target: Target) -> None:
        self._target = target

    def words(self, depth: int) -> int:
        return depth

    def address(self, depth: int) -> Shape:
        return index_shape(depth)

    def ports(self, widths: Sequence[int], depth: int) -> Mapping[str, Member]:
        return {}

    def begin(self, m: Module, store: Any) -> None:
        pass

    def word(
        self, m: Module, store: Any, *, bank: int, values: np.ndarray, element: Shape, skew: int, module: str, name: str
    ) -> Value:
        payload = Payload(lanes=values.shape[1], bits=element.width, signed=element.signed)
        content, width = [int.from_bytes(word, "little") for word in payload.pack(values)], payload.lanes * payload.bits
        if len(content) == 1:
            return Const(content[0], width)
        m.submodules[module] = part = Bank(content, width, target=self._target, name=name)
        m.d.comb += part.i_address.eq(delay(m, store.i_address, skew))
        return part.o_word


class Bank(wiring.Component):
    """One memory. On a target whose clock counts it has an address register of its own.

    Members:
        i_address: word to read.
        o_word: the word, `hw.unit.word_store.latency` cycles after its address.
    """

    def __init__(self, image: Sequence[int], width: int, *, target: Target, name: str) -> None:
        self._image, self._width, self._target, self._name = image, width, target, name
        super().__init__({"i_address": In(index_shape(len(image))), "o_word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = delay(m, self.i_address, int(self._target.fast))
        word = memory.read_only(m, self._target, self._image, self._width, address, name=self._name)
        m.d.comb += self.o_word.eq(word)
        return m
