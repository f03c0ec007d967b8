"""Latency: cycles that blocks take, without making them."""

from __future__ import annotations

from hw.targets.families import Target


def tree_latency(terms: int, radix: int) -> int:
    """Cycles of `hw.blocks.pipeline.adder_tree` for ``terms`` terms; 0 for a single term."""
    return 0 if terms <= 1 else 1 + tree_latency(-(-terms // radix), radix)


def dot_product_latency(target: Target, products: int, *, cascaded: bool) -> int:
    """Fewest cycles of `hw.blocks.dot_product.dot_product`.

    Fewer products may take more cycles: nodes of wide trees have more inputs.
    """
    sums = max(0, products - 1) if cascaded else tree_latency(products, target.radix(products))
    return target.multiply_latency + sums
