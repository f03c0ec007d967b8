"""Products that all stages use: one alone, or a cascade that sums several, on any target.

A product is ``a * b`` where the target leaves it to synthesis. Otherwise it takes the family's DSP,
with every register in use. An operand wider than the DSP's is cut into limbs. The lower limbs are
unsigned and one bit narrower than the DSP's operand. The last limb has the operand's sign:

    a * b = (a mod 2^k) * b + 2^k * (a >> k) * b          k = a_bits - 1

A product with an operand or a limb of very few bits is not worth a DSP and is made of adders. A
product that is asked for ``in_fabric`` is made of adders, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value

from hw.blocks.latency import limb_offsets, tree_latency
from hw.blocks.pipeline import adder_tree, delay
from hw.targets.families import Target
from hw.targets.primitives import DSP_LATENCY, DSPS

#: The last limb of a wide operand is multiplied by adders up to this width. A unit has few such limbs.
NARROW_LIMB = 4


def signed_width(shape: Shape) -> int:
    """Bits of ``shape`` as a signed number."""
    return shape.width + (not shape.signed)


def takes_dsp(target: Target, a: Shape, b: Shape) -> bool:
    """Whether a product of these operands takes a DSP, not adders."""
    return target.takes_dsp(signed_width(a), signed_width(b))


def product_latency(target: Target, a: Shape, b: Shape, *, in_fabric: bool = False) -> int:
    """Cycles that `multiply` takes: those of one DSP, and one per further limb."""
    return target.multiply_latency + len(_limbs(target, a, b, in_fabric)) - 1


def product_dsps(target: Target, a: Shape, b: Shape) -> int:
    """DSPs that `multiply` takes. Where the target leaves products to synthesis, a product counts as one."""
    return sum(limb.in_dsp for limb in _limbs(target, a, b, False))


def multiply(
    m: Module, target: Target, a: Value, b: Value, *, proven: Shape | None = None, in_fabric: bool = False
) -> Value:
    """The exact product of ``a`` and ``b``, `product_latency` cycles later.

    Args:
        proven: shape that holds every product that occurs, where that is narrower than what the
            operands' shapes allow.
        in_fabric: whether the product is made of adders, whatever DSPs the target has. The target's
            ``multiply_latency`` must suffice for the bits of the narrower operand.
    """
    shape = proven or (a * b).shape()
    limbs = _limbs(target, a.shape(), b.shape(), in_fabric)
    wide, narrow = sorted((a, b), key=lambda value: signed_width(value.shape()), reverse=True)
    product = _limb_product(m, target, limbs[0].of(wide), narrow, limbs[0])
    for number, limb in enumerate(limbs[1:], 1):
        term = _limb_product(m, target, delay(m, limb.of(wide), number - 1), delay(m, narrow, number - 1), limb)
        # The bits below this limb are final. The bits above it fit the rest of the shape.
        below = Signal(limb.offset, reset_less=True, name="below")
        above = Signal(Shape(max(1, shape.width - limb.offset), signed=shape.signed), reset_less=True, name="above")
        m.d.sync += [below.eq(product), above.eq((product >> limb.offset) + term)]
        product = Cat(below, above).as_signed()
    exact = Signal(shape, name="exact")
    m.d.comb += exact.eq(product)
    return exact


def cascade(m: Module, target: Target, terms: Sequence[tuple[Value, Value]], total: Shape) -> Value:
    """``sum a*b`` over ``terms`` in chained DSPs, without an adder in the fabric.

    Each DSP adds what the DSP before it hands on. So term ``i`` is wanted ``i`` cycles after the
    first term. The sum comes ``multiply_latency + len(terms) - 1`` cycles after the first term.
    ``total`` must hold the sum.
    """
    chain = value = None
    for a, b in terms:
        if target.dsp is not None:
            value, chain = _dsp(m, target, a, b, chain)
        else:
            product = _registered(m, a * b, (a * b).shape(), target.multiply_latency - 1)
            value = chain = _registered(m, product if chain is None else product + chain, total, 1)
    assert value is not None
    exact = Signal(total, name="exact")
    m.d.comb += exact.eq(value)
    return exact


@dataclass(frozen=True, kw_only=True)
class _Limb:
    """A part of the wider operand: its lowest bit, its shape, and whether a DSP takes it."""

    offset: int
    shape: Shape
    in_dsp: bool

    def of(self, operand: Value) -> Value:
        bits = operand[self.offset : self.offset + self.shape.width]
        return bits.as_signed() if self.shape.signed else bits


def _limbs(target: Target, a: Shape, b: Shape, in_fabric: bool) -> list[_Limb]:
    wide = max(a, b, key=signed_width)
    if target.a_bits is None or in_fabric or not takes_dsp(target, a, b):
        return [_Limb(offset=0, shape=wide, in_dsp=target.a_bits is None)]
    *lower, last = limb_offsets(target, signed_width(wide), min(map(signed_width, (a, b))))
    limbs = [_Limb(offset=offset, shape=Shape(target.a_bits - 1), in_dsp=True) for offset in lower]
    rest = Shape(wide.width - last, signed=wide.signed)
    return [*limbs, _Limb(offset=last, shape=rest, in_dsp=not limbs or signed_width(rest) > NARROW_LIMB)]


def _limb_product(m: Module, target: Target, part: Value, factor: Value, limb: _Limb) -> Value:
    if not limb.in_dsp:
        return _add_up(m, target, part, factor)
    if target.dsp is None:
        return _registered(m, part * factor, (part * factor).shape(), target.multiply_latency)
    return delay(m, _dsp(m, target, part, factor, None)[0], target.multiply_latency - DSP_LATENCY)


def _dsp(m: Module, target: Target, a: Value, b: Value, chain: Value | None) -> tuple[Value, Value]:
    """``(sum, hand-on)`` of one DSP of the target. Its operands fit, so that none of their bits is lost."""
    assert target.dsp is not None and target.a_bits is not None and target.b_bits is not None
    assert signed_width(a.shape()) <= target.a_bits, "an operand is wider than the multiplier's port"
    assert signed_width(b.shape()) <= target.b_bits, "an operand is wider than the multiplier's port"
    return DSPS[target.dsp](m, a, b, chain)


def _add_up(m: Module, target: Target, a: Value, b: Value) -> Value:
    """``a * b`` when DSPs have theirs: a tree of one gated term for each bit of the narrower operand."""
    cycles = target.multiply_latency
    few, many = sorted((a, b), key=lambda value: signed_width(value.shape()))
    # Spare cycles separate many gates from the adders, and bring the operands near.
    spare = cycles - tree_latency(len(few), 2)
    gates = int(spare > 0 and len(few) > NARROW_LIMB)
    few, many = (delay(m, operand, spare - gates) for operand in (few, many))
    if few.shape().signed and not many.shape().signed:
        many = Cat(many, 0).as_signed()
    terms = [delay(m, _gated(target, many, few[bit]), gates) << bit for bit in range(len(few))]
    if few.shape().signed:
        terms[-1] = -terms[-1]
    return adder_tree(m, terms, (a * b).shape(), 2)


def _gated(target: Target, value: Value, bit: Value) -> Value:
    """``value`` where ``bit`` is set, else 0."""
    if not target.resets_are_few:
        return Mux(bit, value, 0)
    gated = value.as_unsigned() & bit.replicate(len(value))
    return gated.as_signed() if value.shape().signed else gated


def _registered(m: Module, value: Value, shape: Shape, cycles: int) -> Value:
    """``value`` in ``shape``, ``cycles`` cycles later."""
    register = Signal(shape, reset_less=True, name="product")
    m.d.sync += register.eq(value)
    return delay(m, register, cycles - 1)
