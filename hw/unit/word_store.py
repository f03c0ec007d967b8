"""Word store: the weights, biases and multipliers, a word for each beat or output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from amaranth.hdl import Cat, Module, Shape, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Member, Out

from hw.blocks import memory
from hw.blocks.pipeline import delay
from hw.plan.weight_layout import LaneBank, lane_banks
from hw.targets.families import Target


class Keeper(Protocol):
    """What keeps a store's words: built in (`hw.frozen.frozen_words`) or loaded (`hw.reloadable.loaded_words`)."""

    @property
    def read_only(self) -> bool:
        """Whether the words are built in."""

    def words(self, depth: int) -> int:
        """Words of a memory whose sets have ``depth`` words each."""

    def address(self, depth: int) -> Shape:
        """Shape of an address of a memory whose sets have ``depth`` words each."""

    def ports(self, widths: Sequence[int], depth: int) -> Mapping[str, Member]:
        """Ports of the store through which words come, of ``widths`` bits for each bank; none for built-in words."""

    def arrange(self, banks: Sequence[LaneBank], bits: int, depth: int) -> Sequence[LaneBank]:
        """The banks as they are kept, of elements of ``bits`` bits."""

    def begin(self, m: Module, store: Any) -> None:
        """Add what all banks share to the store's module."""

    def word(
        self, m: Module, store: Any, *, bank: int, values: np.ndarray, element: Shape, skew: int, module: str, name: str
    ) -> Value:
        """The word at the store's address, as late as `latency` says and ``skew`` cycles more.

        Args:
            bank: number of the bank.
            values: the bank's words as the layer has them, integers ``[depth, elements]``. Where there are guests, an
                element is a bit.
            element: shape of an element.
            module: name of the bank's module.
            name: name of the bank's memory.
        """


class WordStore(wiring.Component):
    """Words that each output lane needs with a beat, in memories: one for each lane and bank.

    Members:
        i_address: word to read.
        o_words: for each lane its part of the word, `latency` cycles after the address. Each element
            comes as many cycles later as its skew says.

    Words that are loaded come through the keeper's ports.

    Attributes:
        banks: the memories of a lane.
        depth: words of a set.
        bits: all bits of a set.
    """

    def __init__(
        self,
        words: np.ndarray,
        element: Shape,
        keeper: Keeper,
        *,
        name: str,
        skew: Sequence[int] = (),
        parts: int = 1,
    ) -> None:
        """Keep ``words``, integers ``[depth, lanes, elements]`` that fit ``element``.

        Args:
            name: name of the memories.
            skew: for each element, cycles that it comes later; empty where no element does.
            parts: memories that a lane's elements are divided into, in equal shares.
        """
        self._words, self._element, self._keeper, self._name = words, element, keeper, name
        self.depth, lanes, elements = words.shape
        self.bits = words.size * element.width
        self.banks = keeper.arrange(lane_banks(elements, skew, parts), element.width, self.depth)
        widths = [self.width(bank) for bank in self.banks] * lanes
        super().__init__(
            {
                "i_address": In(keeper.address(self.depth)),
                "o_words": Out(data.ArrayLayout(element, elements)).array(lanes),
                **keeper.ports(widths, self.depth),
            }
        )

    def width(self, bank: LaneBank) -> int:
        """Bits of a word of ``bank``."""
        return len(bank.members) * self._element.width + len(bank.guests)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._keeper.begin(m, self)
        bits = self._element.width
        for lane in range(self._words.shape[1]):
            elements: dict[int, Value] = {}
            guests: dict[tuple[int, int], Value] = {}
            for index, bank in enumerate(self.banks):
                values, shape = self._content(bank, lane)
                word = self._keeper.word(
                    m,
                    self,
                    bank=lane * len(self.banks) + index,
                    values=values,
                    element=shape,
                    skew=bank.skew,
                    module=f"{self._name}_{lane}" + (f"_{index}" if len(self.banks) > 1 else ""),
                    name=self._name,
                )
                for place, element in enumerate(bank.members):
                    elements[element] = word[place * bits : (place + 1) * bits]
                for place, guest in enumerate(bank.guests, len(bank.members) * bits):
                    guests[guest.element, guest.bit] = delay(m, word[place], guest.wait)
            for element in {element for element, _ in guests}:
                elements[element] = Cat(guests[element, bit] for bit in range(bits))
            m.d.comb += self.o_words[lane].eq(Cat(elements[index] for index in range(len(elements))))
        return m

    def _content(self, bank: LaneBank, lane: int) -> tuple[np.ndarray, Shape]:
        """The values of a bank's words, and the shape of each: elements, or bits where there are guests."""
        members = self._words[:, lane, list(bank.members)]
        if not bank.guests:
            return members, self._element
        own = members[:, :, None] >> np.arange(self._element.width) & 1
        elements, places = np.array([(guest.element, guest.bit) for guest in bank.guests]).T
        guests = self._words[:, lane, elements] >> places & 1
        return np.concatenate([own.reshape(self.depth, -1), guests], axis=1), unsigned(1)


def latency(target: Target) -> int:
    """Cycles from address to word. Where the clock counts, each bank has an address register of its own."""
    return memory.LATENCY + int(target.fast)
