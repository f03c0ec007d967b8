"""Packed multiply-add: two sums out of one sum of products, for all weights and operands.

`hw.blocks.packed.join` makes words of two weights. `hw.blocks.dot_product` sums their products with an
operand, in a cascade or in multipliers and adders. It is proven for ever, by k-induction, that
`hw.blocks.packed.split` then gives ``sum low * x`` and ``sum high * x``, for all weights and operands of few
bits. The low field has the fewest bits that hold every sum (`hw.plan.packing`).
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Module, Shape, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In

from golden.contract.ranges import Range
from hw.blocks.dot_product import dot_product
from hw.blocks.latency import dot_product_latency
from hw.blocks.packed import join, split
from hw.blocks.pipeline import delay
from tests.proofs.proof import Bug, Harness, Proof
from tests.support.units import SIMULATED

#: Bits of a weight and of an operand.
WEIGHT, OPERAND = 3, 2


class PackedHarness(Harness):
    def __init__(self, target: str, taps: int, operand: Shape, *, cascaded: bool) -> None:
        self._target, self._taps, self._operand, self._cascaded = SIMULATED[target], taps, operand, cascaded
        weights = data.ArrayLayout(signed(WEIGHT), taps)
        super().__init__({"low": In(weights), "high": In(weights), "x": In(data.ArrayLayout(operand, taps))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taps, target = range(self._taps), self._target
        largest = (
            self._taps * (2 ** (WEIGHT - 1) - 1) * (2 ** (OPERAND - 1) if self._operand.signed else 2**OPERAND - 1)
        )
        shape = signed(Range(-largest, largest).signed_bits)
        shift = shape.width
        terms = []
        for tap in taps:
            low, high = self.low[tap], self.high[tap]
            # Weights are symmetric: the lowest number of the format is none.
            self.assume(m, (low != -(2 ** (WEIGHT - 1))) & (high != -(2 ** (WEIGHT - 1))))
            stored = Signal(signed(WEIGHT), name=f"stored_{tap}")
            m.d.comb += stored.eq(high - low[-1])
            late = tap if self._cascaded else 0
            word = join(low, stored, shift)
            terms.append((delay(m, word, late).as_signed(), _delayed(m, self.x[tap], late)))
        latency = dot_product_latency(target, self._taps, cascaded=self._cascaded)
        total = dot_product(m, target, terms, signed(2 * shift), cycles=latency, cascaded=self._cascaded)
        sums = split(m, total, shift, shape)

        here = Signal(range(latency + 2))
        with m.If(here <= latency):
            m.d.sync += here.eq(here + 1)
        for name, weights, got in (("low", self.low, sums[0]), ("high", self.high, sums[1])):
            exact = Signal(shape, name=f"exact_{name}")
            m.d.comb += exact.eq(sum(weights[tap] * self.x[tap] for tap in taps))
            self.claim(m, (here <= latency) | (got.as_signed() == delay(m, exact, latency + 1).as_signed()))
        return m


def _delayed(m: Module, value: Signal, cycles: int) -> Signal:
    register = Signal(value.shape())
    m.d.comb += register.eq(delay(m, value, cycles))
    return register


def _bug(name: str, module: str, old: str, new: str, build: str) -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build)


PROOF = Proof(
    name="packed",
    claim="both sums come out of the packed one exactly",
    unbounded=True,
    depth=9,
    builds={
        f"{target}, {taps} taps, {'signed' if operand.signed else 'unsigned'}": partial(
            PackedHarness, target, taps, operand, cascaded=SIMULATED[target].cascade > 1
        )
        for target in ("generic", "ecp5", "xcup")
        for taps in (1, 2, 3)
        for operand in (signed(OPERAND), unsigned(OPERAND))
    },
    slow=frozenset(
        f"{target}, 3 taps, {kind}" for target in ("ecp5", "generic", "xcup") for kind in ("signed", "unsigned")
    ),
    bugs=(
        _bug(
            "the borrow is not given back",
            "hw.blocks.packed",
            ">> shift) + low[-1])",
            ">> shift))",
            "xcup, 2 taps, signed",
        ),
        _bug(
            "a low weight is not sign-extended",
            "hw.blocks.packed",
            "sign = low[-1] if",
            "sign = Const(0) if",
            "ecp5, 2 taps, signed",
        ),
        _bug(
            "a cascade forgets a product",
            "hw.blocks.multiply",
            "product if chain is None else product + chain",
            "product",
            "xcup, 3 taps, unsigned",
        ),
        _bug(
            "a tree forgets a product",
            "hw.blocks.pipeline",
            "sum(terms[first : first + radix]",
            "sum(terms[first : first + 2]",
            "generic, 3 taps, signed",
        ),
    ),
)
