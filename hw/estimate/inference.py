"""Inference: which RAMs of a family Yosys makes a memory of, where the choice is its own.

Yosys knows what each kind of RAM costs (``share/*/brams*.txt``, ``lutrams*.txt``), and takes the
cheapest (``passes/memory/memory_libmap.cc``). A memory of more words than a RAM has is cut into banks.
All bits of all banks lie side by side in RAMs, so one RAM may hold bits of two banks. Choosing between
banks costs half a point for each bit of each further bank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hw.targets.area import Area

#: Cost of choosing between two banks, for a bit that is read or a write enable.
_CHOICE = 0.5
#: Cost of a written word that must not be seen in the cycle of its write, where the RAM would not hide it.
_HIDING = 12.0


@dataclass(frozen=True, kw_only=True)
class Ram:
    """A kind of RAM, in one of its modes.

    Attributes:
        words: number of words, by bits of a word, narrowest first.
        cost: what Yosys takes one RAM to cost.
        scaled: the part of the cost that is in proportion to the bits in use.
        byte: bits that share a write enable.
        hides: whether a read sees the word as it was before a write in the same cycle.
        area: what one RAM takes of the FPGA.
    """

    words: Mapping[int, int]
    cost: float
    scaled: float = 0
    byte: int = 1
    hides: bool = True
    area: Area


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """A memory in RAMs.

    Attributes:
        ram: the kind of RAM.
        count: number of RAMs.
        banks: parts that the words are cut into.
        cost: what Yosys takes all to cost.
    """

    ram: Ram
    count: int
    banks: int
    cost: float

    @property
    def area(self) -> Area:
        """The RAMs, without what chooses between banks."""
        return self.ram.area.times(self.count)


def infer(rams: Sequence[Ram], depth: int, width: int, *, written: bool, parts: int = 1) -> Inferred:
    """The cheapest of ``rams`` for a memory of ``depth`` words of ``width`` bits, the first of several.

    Args:
        written: whether the memory is written.
        parts: equal parts of a word, each with a write enable of its own.
    """
    best: Inferred | None = None
    for ram in rams:
        for bits in ram.words:
            found = _in_words_of(ram, bits, depth, width, written, parts)
            if best is None or found.cost < best.cost:
                best = found
    assert best is not None
    return best


def _in_words_of(ram: Ram, bits: int, depth: int, width: int, written: bool, parts: int) -> Inferred:
    banks = -(-depth // ram.words[bits])
    # A bank begins where a write enable begins, and so does a part.
    unit = min(ram.byte, bits) if written else 1
    count = -(-banks * parts * -(-width // parts // unit) * unit // bits)
    cost = (ram.cost - ram.scaled) * count + ram.scaled * banks * width / bits
    cost += _CHOICE * (banks - 1) * width
    if written:
        cost += _CHOICE * banks * (banks > 1) + _HIDING * (not ram.hides)
    return Inferred(ram=ram, count=count, banks=banks, cost=cost)
