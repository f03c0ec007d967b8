"""Dot product: products and their sum, in chained DSPs or in DSPs and adders."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Value

from hw.blocks.latency import dot_product_latency
from hw.blocks.multiply import cascade, multiply
from hw.blocks.pipeline import adder_tree, delay
from hw.targets.families import Target


def dot_product(
    m: Module,
    target: Target,
    terms: Sequence[tuple[Value, Value]],
    total: Shape,
    *,
    cycles: int,
    cascaded: bool,
    limbs: int = 1,
    in_fabric: bool = False,
) -> Value:
    """``sum a*b`` over ``terms``, ``cycles`` cycles after the first term.

    Args:
        total: shape that holds every sum that can occur.
        cycles: `dot_product_latency`, or more.
        cascaded: whether `cascade` makes the sum. Then each term comes a cycle after the term before.
        limbs: limbs that `multiply` cuts the wider operand of each term into; 1 in a cascade.
        in_fabric: see `multiply`; not for a cascade.
    """
    if cascaded:
        value = cascade(m, target, terms, total)
    else:
        products = [multiply(m, target, a, b, in_fabric=in_fabric) for a, b in terms]
        value = adder_tree(m, products, total, target.radix(len(products)))
    return delay(m, value, cycles - dot_product_latency(target, len(terms), cascaded=cascaded, limbs=limbs))
