"""Targets: what each FPGA family multiplies and stores with, and how deep its pipeline is.

Everything that depends on the family is decided from the numbers here; stages ask the
target for a property and never for its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from golden.cli import UserError

#: From so many terms on adder trees use four-input nodes everywhere: depth counts more than the clock.
WIDE_TREE = 16


@dataclass(frozen=True, kw_only=True)
class Target:
    """An FPGA family as the generator sees it.

    Attributes:
        name: what the user calls it.
        multiplier: module of its hard multiplier; None where ``a * b`` is left to synthesis.
        a_bits, b_bits: signed operands of one multiplier, the wider one first; None where
            operands may have any width.
        packs: whether one multiplier may make two products that share an operand.
        cascade: products that chained multipliers sum without fabric; 1 where there are no chains.
        multiply_latency: cycles from operands to product.
        block_memory: module of its block RAM; None where memories are left to synthesis.
        rom_depth, ram_depth: words up to which a memory is better kept in LUTs.
        tree_radix: inputs of an adder tree's nodes.
        fast: whether registers that only serve the clock frequency are worth their latency.
        lane_registers: whether each output lane has its own copy of the operands.
    """

    name: str
    multiplier: str | None = None
    a_bits: int | None = None
    b_bits: int | None = None
    packs: bool = False
    cascade: int = 1
    multiply_latency: int = 1
    block_memory: str | None = None
    rom_depth: int = 64
    ram_depth: int = 32
    tree_radix: int = 4
    fast: bool = False
    lane_registers: bool = False

    def radix(self, terms: int) -> int:
        """Inputs of each node of an adder tree of ``terms`` terms."""
        return self.tree_radix if terms < WIDE_TREE else max(self.tree_radix, 4)


GENERIC = Target(name="generic")
ECP5 = Target(
    name="ecp5",
    multiplier="MULT18X18D",
    a_bits=18,
    b_bits=18,
    packs=True,
    multiply_latency=4,  # the multiplier's three, and a register on the way from it
    block_memory="DP16KD",
    rom_depth=16,
    ram_depth=16,
    tree_radix=2,
    fast=True,
    lane_registers=True,
)
XC7 = Target(
    name="xc7",
    multiplier="DSP48E1",
    a_bits=25,
    b_bits=18,
    packs=True,
    cascade=9,
    multiply_latency=3,
    tree_radix=3,
    fast=True,
)
XCUP = Target(
    name="xcup",
    multiplier="DSP48E2",
    a_bits=27,
    b_bits=18,
    packs=True,
    cascade=9,
    multiply_latency=3,
    tree_radix=3,
    fast=True,
)

TARGETS: Mapping[str, Target] = {target.name: target for target in (GENERIC, ECP5, XC7, XCUP)}


def find_target(name: str) -> Target:
    """The target called ``name``. Raises `UserError` if there is none."""
    if name not in TARGETS:
        raise UserError(f"target {name!r} is not one of {', '.join(TARGETS)}")
    return TARGETS[name]
