"""Targets: what each FPGA family multiplies and stores with, and how deep its pipeline is.

Everything that depends on the family is decided from the numbers here. Stages ask the target for
a property and never for its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from golden.support.cli import UserError

#: Adder trees of so many terms or more have four-input nodes on every target. There depth counts more than the clock.
WIDE_TREE = 16
#: Signed operands up to this width are multiplied by adders.
NARROW_OPERAND = 2


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """A family's logic cells and memories, as far as estimates depend on them.

    Attributes:
        lut_inputs: inputs of a LUT.
        addend_inputs: bits that an adder's second operand may be any function of, for no more LUTs than that
            function takes alone or, where a LUT stands in front of each carry cell, for none.
        shift_register: registers without reset that one LUT replaces; 0 where a LUT cannot.
        rom_pairs: numbers of words of a read-only memory that has two bits of its words in a LUT; empty where a LUT
            has one output. In fewer words many bits are the same, and synthesis makes one of them.
        ram_words, ram_bits, ram_luts: words, bits of a word, and LUTs of one LUT RAM.
        ram_cost, ram_scaled: what Yosys takes one LUT RAM to cost, and the part of it that is in proportion to the
            bits in use.
        ram_deepens: whether a LUT RAM may have twice the words at half the bits.
        block_kbit: size of a block RAM.
        block_luts: LUTs that are given for a whole block RAM, where a memory may be in either; 0 where its depth alone
            decides. Devices of these families have 240 to 830 LUTs for each.
        block_byte: bits of a block RAM's word that share a write enable, where memories may have several; else 0.
        block_bits: bits of a block RAM's widest word. Half of it is a block RAM of half the bits.
        adds_in_dsp: whether synthesis moves adders beside a product into a DSP.
    """

    lut_inputs: int = 4
    addend_inputs: int = 4
    shift_register: int = 0
    rom_pairs: range = range(0)
    ram_words: int = 16
    ram_bits: int = 4
    ram_luts: int = 6
    ram_cost: float = 4
    ram_scaled: float = 0
    ram_deepens: bool = False
    block_kbit: int = 18
    block_luts: int = 0
    block_byte: int = 0
    block_bits: int = 18
    adds_in_dsp: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """An FPGA family as the generator sees it.

    Attributes:
        name: what the user calls it.
        dsp: module of its multiplier block; None where ``a * b`` is left to synthesis.
        a_bits, b_bits: bits of the signed operands of one DSP, the wider one first; None where
            operands may have any width.
        packs: whether one DSP may make two products that share an operand.
        cascade: products that chained DSPs sum without fabric; 1 where there are no chains.
        multiply_latency: cycles from operands to product.
        most_dsps: DSPs of the family's largest device; None where that device has more than a unit wants.
        block_memory: module of its block RAM; None where memories are left to synthesis.
        rom_depth, ram_depth: words up to which a memory is better kept in LUTs, whatever its width.
        tree_radix: inputs of an adder tree's nodes.
        fast: whether registers that only serve the clock frequency are worth their latency.
        lane_registers: whether each output lane has its own copy of the operands.
        relays: whether relays stand at both ends of each edge of a network, so that nodes may lie far apart.
        resets_are_few: whether registers that lie together share a reset, so that none is worth being made of data.
        moves_late: whether a window's groups move on with their last use, not with the next group. It saves a choice
            of most of the window's bits. The memories behind it have a write enable more.
        fabric: logic cells and memories around the DSPs; an ECP5's where the target is no family.
    """

    name: str
    dsp: str | None = None
    a_bits: int | None = None
    b_bits: int | None = None
    packs: bool = False
    cascade: int = 1
    multiply_latency: int = 1
    most_dsps: int | None = None
    block_memory: str | None = None
    rom_depth: int = 64
    ram_depth: int = 32
    tree_radix: int = 4
    fast: bool = False
    lane_registers: bool = False
    relays: bool = False
    resets_are_few: bool = False
    moves_late: bool = False
    fabric: Fabric = Fabric()

    def takes_dsp(self, *bits: int) -> bool:
        """Whether a product of two signed operands of so many ``bits`` takes a DSP, not adders."""
        return self.a_bits is None or min(bits) > NARROW_OPERAND

    def radix(self, terms: int) -> int:
        """Inputs of each node of an adder tree of ``terms`` terms."""
        return self.tree_radix if terms < WIDE_TREE else max(self.tree_radix, 4)


_XC7_FABRIC = Fabric(
    lut_inputs=6,
    addend_inputs=5,
    shift_register=32,
    rom_pairs=range(9, 33),
    ram_words=32,
    ram_bits=6,
    ram_luts=4,
    ram_cost=8,
    ram_scaled=7,
    ram_deepens=True,
    block_kbit=36,
    block_luts=150,
    block_byte=9,
    block_bits=72,
    adds_in_dsp=True,
)
_XCUP_FABRIC = replace(_XC7_FABRIC, ram_bits=14, ram_luts=8, ram_cost=16, ram_scaled=16, adds_in_dsp=False)

GENERIC = Target(name="generic")
ECP5 = Target(
    name="ecp5",
    dsp="MULT18X18D",
    a_bits=18,
    b_bits=18,
    packs=True,
    most_dsps=156,
    multiply_latency=4,  # three in the DSP, and a register on the way from it
    block_memory="DP16KD",
    rom_depth=16,
    ram_depth=16,
    tree_radix=2,
    fast=True,
    lane_registers=True,
    relays=True,
    resets_are_few=True,
)
XC7 = Target(
    name="xc7",
    dsp="DSP48E1",
    a_bits=25,
    b_bits=18,
    packs=True,
    cascade=9,
    multiply_latency=3,
    tree_radix=3,
    fast=True,
    moves_late=True,
    fabric=_XC7_FABRIC,
)
XCUP = Target(
    name="xcup",
    dsp="DSP48E2",
    a_bits=27,
    b_bits=18,
    packs=True,
    cascade=9,
    multiply_latency=3,
    tree_radix=3,
    fast=True,
    moves_late=True,
    fabric=_XCUP_FABRIC,
)

TARGETS: Mapping[str, Target] = {target.name: target for target in (GENERIC, ECP5, XC7, XCUP)}
#: Modules that generated text may name and does not contain.
PRIMITIVES = frozenset(
    name for target in TARGETS.values() for name in (target.dsp, target.block_memory) if name is not None
)


def find_target(name: str) -> Target:
    """The target called ``name``. Raises `UserError` if there is none."""
    if name not in TARGETS:
        raise UserError(f"target {name!r} is not one of {', '.join(TARGETS)}")
    return TARGETS[name]
