"""Latency: cycles that blocks take, without making them."""

from __future__ import annotations

from hw.targets.families import Target


def tree_latency(terms: int, radix: int) -> int:
    """Cycles of `hw.blocks.pipeline.adder_tree` for ``terms`` terms; 0 for a single term."""
    return 0 if terms <= 1 else 1 + tree_latency(-(-terms // radix), radix)


def limb_offsets(target: Target, wide: int, narrow: int) -> list[int]:
    """The lowest bit of each limb that `hw.blocks.multiply` cuts the wider of two operands into.

    ``wide`` and ``narrow`` are the bits of the operands as signed numbers.
    """
    if target.a_bits is None or not target.takes_dsp(wide, narrow):
        return [0]
    # A limb but the last has a bit less than the multiplier's operand, as it has no sign.
    step = target.a_bits - 1
    return list(range(0, max(1, wide - target.a_bits + step), step))


def dot_product_latency(target: Target, products: int, *, cascaded: bool, limbs: int = 1) -> int:
    """Fewest cycles of `hw.blocks.dot_product.dot_product`, each product of so many ``limbs``.

    Fewer products may take more cycles: nodes of wide trees have more inputs.
    """
    sums = max(0, products - 1) if cascaded else tree_latency(products, target.radix(products))
    return target.multiply_latency + limbs - 1 + sums
