"""Frozen words: a single word is a constant, several words are a read-only memory, many are a memory file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import ClockSignal, Const, Instance, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from golden.contract.streams import Payload
from hw.blocks import memory
from hw.blocks.memory_file import MOST_INLINE, MemoryFiles
from hw.blocks.pipeline import delay, index_shape
from hw.plan.block_sharing import share_blocks
from hw.plan.weight_layout import LaneBank
from hw.targets.families import Target


class FrozenWords:
    """The `hw.unit.word_store.Keeper` of words that are built in."""

    read_only = True

    def __init__(self, target: Target, files: MemoryFiles | None = None) -> None:
        """``files`` takes the words of stores with more than `MOST_INLINE` bytes; None keeps all words inline."""
        self._target, self._files = target, files

    def words(self, depth: int) -> int:
        return depth

    def address(self, depth: int) -> Shape:
        return index_shape(depth)

    def ports(self, widths: Sequence[int], depth: int) -> Mapping[str, Member]:
        return {}

    def arrange(self, banks: Sequence[LaneBank], bits: int, depth: int) -> Sequence[LaneBank]:
        return share_blocks(banks, bits, depth, self._target)

    def begin(self, m: Module, store: Any) -> None:
        pass

    def word(
        self, m: Module, store: Any, *, bank: int, values: np.ndarray, element: Shape, skew: int, module: str, name: str
    ) -> Value:
        payload = Payload(lanes=values.shape[1], bits=element.width, signed=element.signed)
        packed, width = payload.pack(values), payload.lanes * payload.bits
        if len(packed) > 1 and self._files is not None and store.bits > 8 * MOST_INLINE:
            return self._from_file(m, store, packed, width, skew=skew, module=module, name=name, files=self._files)
        content = [int.from_bytes(word, "little") for word in packed]
        if len(content) == 1:
            return Const(content[0], width)
        m.submodules[module] = part = Bank(content, width, target=self._target, name=name)
        m.d.comb += part.i_address.eq(delay(m, store.i_address, skew))
        return part.o_word

    def _from_file(
        self,
        m: Module,
        store: Any,
        packed: np.ndarray,
        width: int,
        *,
        skew: int,
        module: str,
        name: str,
        files: MemoryFiles,
    ) -> Value:
        word = Signal(width, name="word")
        m.submodules[module] = Instance(
            files.add(packed, width, target=self._target, store=name, module=module),
            i_clk=ClockSignal(),
            i_i_address=delay(m, store.i_address, skew),
            o_o_word=word,
        )
        return word


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
