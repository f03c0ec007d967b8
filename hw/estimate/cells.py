"""Cells: what adders, delays, memories and products take of an FPGA, as Yosys maps them.

`hw.estimate.estimate` counts with these cells. What has no closed form is a factor fitted to
synthesised units. It is called fitted where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from amaranth.hdl import Shape

from golden.contract.ranges import Range
from golden.contract.rounding import Rounding
from hw.blocks.latency import tree_latency
from hw.blocks.memory import dp16kd_layout
from hw.blocks.multiply import NARROW_LIMB, signed_width, takes_dsp
from hw.estimate.inference import Ram, infer
from hw.targets.area import Area
from hw.targets.families import Target
from hw.targets.primitives import DSP_LATENCY

#: Xilinx block RAMs, as simple dual-port or read-only memory: a half and a whole block.
_XILINX_BLOCKS = (
    Ram(
        words={1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024, 36: 512},
        cost=129,
        byte=9,
        area=Area(bram=0.5),
    ),
    Ram(
        words={1: 32768, 2: 16384, 4: 8192, 9: 4096, 18: 2048, 36: 1024, 72: 512},
        cost=257,
        byte=9,
        area=Area(bram=1),
    ),
)
#: An ECP5's block RAM with separate ports for reading and writing. Its write port always has 36 bits.
_ECP5_BLOCKS = (
    Ram(words={9: 2048, 18: 1024, 36: 512}, cost=128, byte=9, hides=False, area=Area(bram=1)),
    Ram(words={1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024}, cost=128, byte=9, hides=False, area=Area(bram=1)),
)
#: A chain of at least so many registers becomes a shift register where there are any.
_SHIFT_REGISTER = 3


class Cells:
    """How a family's logic cells and block RAMs hold adders, delays and memories.

    Attributes:
        six: whether LUTs have six inputs. Carry logic is then beside the LUTs, not in their place.
    """

    def __init__(self, target: Target) -> None:
        self.target, self.fabric = target, target.fabric
        self.six = self.fabric.lut_inputs == 6

    def adder(self, terms: int, bits: int) -> int:
        """LUTs of the sum of ``terms`` terms in ``bits`` bits."""
        if terms < 2:
            return 0
        if self.six:
            # The LUT in front of the carry chain adds two terms. Each further term takes a LUT a bit more.
            return bits * (terms - 1)
        # A carry cell adds two bits. A sum of more than two terms takes as many carry cells for each term.
        return 2 * -(-bits // 2) * (1 if terms == 2 else terms)

    def delay(self, bits: int, cycles: int) -> Area:
        """Registers without reset or enable, one behind the other."""
        longest = self.fabric.shift_register
        if longest and cycles >= _SHIFT_REGISTER:
            return Area(lut=bits * -(-cycles // longest))
        return Area(ff=bits * cycles)

    def memory(self, depth: int, width: int) -> Area:
        """A memory without attribute, which synthesis keeps in LUTs or block RAM, whichever it takes for cheaper."""
        blocks = _XILINX_BLOCKS if self.six else _ECP5_BLOCKS
        memory = infer([*self._lut_rams, *blocks], depth, width, written=True)
        area = memory.area + Area(lut=self._choice(memory.banks) * width)
        if memory.ram.hides:
            return area
        # What is written is kept beside the memory until reads may see it.
        return area + Area(lut=width, ff=2 * width + 3 * (depth - 1).bit_length() + (memory.banks - 1).bit_length())

    def lut_memory(self, depth: int, width: int) -> Area:
        """A memory in LUTs with a read port of its own."""
        memory = infer(self._lut_rams, depth, width, written=True)
        return memory.area + Area(lut=self._choice(memory.banks) * width)

    @property
    def _lut_rams(self) -> list[Ram]:
        fabric = self.fabric
        shapes = {fabric.ram_bits: fabric.ram_words}
        if fabric.ram_deepens:
            shapes[fabric.ram_bits // 2] = fabric.ram_words * 2
        return [Ram(words=shapes, cost=fabric.ram_cost, scaled=fabric.ram_scaled, area=Area(lut=fabric.ram_luts))]

    def _choice(self, banks: int) -> int:
        """LUTs of choosing one of as many bits. A LUT6 chooses between four, a LUT4 between two."""
        return -(-(banks - 1) // 3) if self.six else banks - 1

    def block(self, depth: int, width: int, *, read_only: bool = False, parts: int = 1) -> Area:
        """A memory that lies in block RAMs. Each of equal ``parts`` of its words is written on its own."""
        if self.six:
            memory = infer(_XILINX_BLOCKS, depth, width, written=not read_only, parts=parts)
            return memory.area + Area(lut=self._choice(memory.banks) * width)
        layout = dp16kd_layout(depth, width, read_only=read_only)
        return Area(bram=layout.blocks, lut=self._choice(layout.banks) * width)

    def product(self, a: Shape, b: Shape, bits: int, *, alike: float = 0, in_fabric: bool = False) -> Area:
        """A `multiply` with ``bits`` bits of result. A share ``alike`` of the narrower operand's bits is fixed."""
        target = self.target
        wide, narrow = sorted((signed_width(a), signed_width(b)), reverse=True)
        wait = target.multiply_latency - DSP_LATENCY if target.dsp else target.multiply_latency
        hard = takes_dsp(target, a, b)
        if in_fabric and target.a_bits is not None:
            return self._gates(wide, min(a, b, key=signed_width).width)
        if target.a_bits is None or (hard and wide <= target.a_bits):
            # With an unsigned operand the product has one bit less than both signed widths together.
            return self._limb(True, min(bits, wide + narrow - (not (a.signed and b.signed))), narrow, wait)
        if not hard and self.six:
            # The operand's delay is in a shift register with what delays it before.
            return Area(lut=wide * (narrow + 1), ff=wide + 2)
        if not hard:
            return self._limb(False, wide, narrow, wait)
        # Every further limb adds to the bits above the limbs before it.
        step, offset = target.a_bits - 1, target.a_bits - 1
        total = self._limb(True, min(bits, step + narrow), narrow, wait)
        number = 1
        while wide > offset:
            last = wide - offset <= target.a_bits
            rest = wide - offset if last else step
            is_dsp = not last or rest > NARROW_LIMB
            limb = self._limb(is_dsp, rest + narrow if is_dsp else narrow, rest, wait)
            # A sum of gated bits that are fixed takes few LUTs. The factor is fitted.
            total += replace(limb, lut=round(limb.lut * (1 - 0.63 * alike)))
            total += self.delay(rest + narrow, number - 1) + Area(ff=bits)
            if not self.fabric.adds_in_dsp:
                total += Area(lut=self.adder(2, bits - offset))
            if last:
                break
            offset, number = offset + step, number + 1
        return total

    def _limb(self, hard: bool, bits: int, narrow: int, wait: int) -> Area:
        if hard:
            return Area(ff=bits * wait, dsp=1)
        halves = 2 if narrow > 2 else 1
        return Area(
            lut=bits * (narrow + halves - 1),
            ff=(bits + 2) * (halves + self.target.multiply_latency - 1),
        )

    def rounded(self, bits: int, shift: int, limits: Range, result: int, rounding: Rounding) -> Area:
        """`rounding.rounded` of a number of ``bits`` bits to one of ``result`` bits."""
        whole, kept = max(1, bits - shift), limits.high.bit_length()
        # Registers hold the whole part and the carry, then the kept bits of their sum, its carry and four
        # flags of the bits above, then the result.
        registers = (whole + 1) * self.target.fast + kept + 5 + result
        if self.six:
            return Area(lut=result + 2, ff=registers)
        # To tell a tie to even takes an adder as wide as the shift. To round down takes none.
        adders = self.adder(2, shift + 1) if rounding == "half_even" else 0
        adders += self.adder(2, kept + 1) if rounding != "floor" else 0
        return Area(lut=adders + whole - kept + result, ff=registers)

    def _gates(self, wide: int, narrow: int) -> Area:
        """A product of adders: gates and a tree of two-input nodes, with registers between where there is time."""
        registered = narrow > NARROW_LIMB and self.target.multiply_latency > tree_latency(narrow, 2)
        if registered:
            # The registers' resets are the gates, where each may have its own.
            total = Area(lut=wide * narrow if self.target.resets_are_few else 0, ff=wide * narrow)
        else:
            # A LUT with six inputs gates what it adds. How many gates it leaves is fitted.
            total = Area(lut=round(wide * narrow * (0.25 if self.six else 1)), ff=0 if self.six else wide * narrow)
        nodes, grown = narrow, 1
        while nodes > 1:
            nodes, grown = -(-nodes // 2), 2 * grown
            total += Area(lut=self.adder(2, wide + grown), ff=wide + grown).times(nodes)
        return total

    def tree(self, widths: Sequence[int], limit: int, radix: int, *, moves: bool = False) -> Area:
        """`pipeline.adder_tree` of terms of these widths, with sums of at most ``limit`` bits.

        Where the last sum ``moves`` into a multiplier's block, registers of two of its terms go with it.
        """
        total, terms = Area(), list(widths)
        while len(terms) > 1:
            sums: list[int] = []
            nodes = -(-len(terms) // radix)
            for first in range(0, len(terms), radix):
                node = terms[first : first + radix]
                bits = min(limit, max(node) + (len(node) - 1).bit_length())
                moved = moves and (nodes == 1 or (nodes <= radix and len(sums) < 2))
                lut = 0 if moves and nodes == 1 else self.adder(len(node), bits)
                total += Area(lut=lut, ff=0 if moved else bits)
                sums.append(bits)
            terms = sums
        return total
