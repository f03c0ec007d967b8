"""How well pixel shifts stand for self-attention, as a run of a study."""

from __future__ import annotations

import dataclasses
from typing import Any

from threadpoolctl import threadpool_limits

from golden.experiments.approximation.growth import exponent
from golden.experiments.approximation.images import LARGEST_TILE
from golden.experiments.approximation.study import Plan, Study, study
from golden.support.cli import UserError
from scripts.studies.functions import Advance, Settings

PRODUCTS = ("hadamard", "inner", "dynamic")
#: For each number its default, its least and its largest value.
NUMBERS = {
    "heads": (2, 1, 8),
    "channels": (8, 1, 32),
    "shift": (4, 1, 8),
    "stack": (1, 1, 4),
    "tiles": (24, 1, 100_000),
    "side": (24, 8, LARGEST_TILE),
    "digits": (200, 1, 100_000),
    "steps": (200, 1, 100_000),
    "largest": (32, 8, 128),
    "seed": (0, 0, 2**32 - 1),
}


def check(settings: Settings) -> dict[str, Any]:
    """``settings`` with all defaults, those of `Plan`. Raises `UserError` for a setting that is not allowed."""
    checked: dict[str, Any] = {"product": PRODUCTS[0]} | {name: default for name, (default, _, _) in NUMBERS.items()}
    for name, value in settings.items():
        if name not in checked:
            raise UserError(f"setting {name!r} is unknown, allowed are {', '.join(checked)}")
        checked[name] = value
    if checked["product"] not in PRODUCTS:
        raise UserError(f"setting product {checked['product']!r} is not one of {', '.join(PRODUCTS)}")
    for name, (_, low, high) in NUMBERS.items():
        if type(checked[name]) is not int or not low <= checked[name] <= high:
            raise UserError(f"setting {name} {checked[name]!r} is not an integer from {low} to {high}")
    Plan(**checked)
    return checked


def run(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """The figures of a run with checked ``settings``, see `tree`."""
    plan = Plan(**settings)

    def told(amount: float) -> None:
        advance(amount / plan.amount)

    # The last digits of a sum depend on its order, which more threads would change.
    with threadpool_limits(1):
        return tree(study(plan, told))


def tree(found: Study) -> dict[str, Any]:
    """The figures of ``found`` by their names::

        error, correlation    by what is approximated, such as ``digits trained``, then by what approximates
                              it, such as ``both, weighting 3, stack 1``, then by the shift
        sees                  pixels seen, by what sees them, then by the shift
        grows                 the power of the number of pixels with which multiplications grow, by attention

    Times are left out: they differ from run to run.
    """
    figures: dict[str, Any] = {"error": {}, "correlation": {}, "sees": {}, "grows": {}}
    for fit in found.fits:
        for what in ("error", "correlation"):
            layer = figures[what].setdefault(f"{fit.images} {fit.layer}", {})
            _put(layer, fit.by, dataclasses.asdict(fit), getattr(fit, what))
    for field in found.fields:
        name = "self-attention" if field.shift is None else "pixel shifts"
        _put(figures["sees"], name, dataclasses.asdict(field), field.pixels)
    for attention in dict.fromkeys(cost.attention for cost in found.costs):
        own = [cost for cost in found.costs if cost.attention == attention]
        power = exponent([cost.pixels for cost in own], [cost.multiplications for cost in own])
        figures["grows"][attention] = power
    return figures


def _put(figures: dict[str, Any], name: str, variant: Settings, value: float) -> None:
    """Put ``value`` into ``figures`` under ``name``. With a shift, it goes under name, variant and shift."""
    if variant["shift"] is None:
        figures[name] = value
    else:
        key = f"{name}, weighting {variant['weighting']}, stack {variant['stack']}"
        figures.setdefault(key, {})[str(variant["shift"])] = value
