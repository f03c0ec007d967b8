"""Loaded words: memories of one or two sets of words, which the control plane writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Module, Shape, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Member, Out

from hw.blocks import memory
from hw.blocks.pipeline import delay
from hw.control.interface import bank_write
from hw.plan.weight_layout import LaneBank
from hw.targets.families import Target


class LoadedWords:
    """The `hw.unit.word_store.Keeper` of words that come at run time. The upper bits of an address choose the set.

    Port of the store:
        i_write: a word to write to one bank. The word is there two cycles later.
    """

    read_only = False

    def __init__(self, target: Target, *, set_bits: int) -> None:
        """There are ``2^set_bits`` sets."""
        self._target, self._set_bits = target, set_bits

    def words(self, depth: int) -> int:
        return 2 ** self.address(depth).width

    def address(self, depth: int) -> Shape:
        return unsigned(max(1, (depth - 1).bit_length() + self._set_bits))

    def ports(self, widths: Sequence[int], depth: int) -> Mapping[str, Member]:
        return {"i_write": In(bank_write(widths, self.address(depth)))}

    def arrange(self, banks: Sequence[LaneBank], bits: int, depth: int) -> Sequence[LaneBank]:
        return banks

    def begin(self, m: Module, store: Any) -> None:
        self._late = delay(m, store.i_write, 1)

    def word(
        self, m: Module, store: Any, *, bank: int, values: np.ndarray, element: Shape, skew: int, module: str, name: str
    ) -> Value:
        width = values.shape[1] * element.width
        part = LoadedBank(store.i_address.shape(), width, target=self._target, name=name)
        m.d.sync += part.i_write.enable.eq(store.i_write.enable & (store.i_write.bank == bank))
        m.d.comb += [part.i_write.word.eq(self._late.word), part.i_write.value.eq(self._late.value)]
        m.submodules[module] = part
        m.d.comb += part.i_address.eq(delay(m, store.i_address, skew))
        return part.o_word


class LoadedBank(wiring.Component):
    """One memory that is read and written.

    Members:
        i_address: word to read.
        i_write: word to write.
        o_word: the word read, as late as that of a frozen `Bank`.
    """

    def __init__(self, address: Shape, width: int, *, target: Target, name: str) -> None:
        self._target, self._name = target, name
        write = data.StructLayout({"enable": 1, "word": address, "value": width})
        super().__init__({"i_address": In(address), "i_write": In(write), "o_word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = delay(m, self.i_address, int(self._target.fast))
        write = self.i_write
        word = memory.random_access(
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
