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
#: Of each number its default, and from where to where it may be.
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
    """All settings, those of `Plan`. Raises `UserError` for one that is not allowed."""
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
    """The figures of `tree`, of a study with checked ``settings``."""
    plan = Plan(**settings)

    def told(amount: float) -> None:
        advance(amount / plan.amount)

    # Sums in another order have other last digits.
    with threadpool_limits(1):
        return tree(study(plan, told))


def tree(found: Study) -> dict[str, Any]:
    """Figures of a study by their names; times are left out, which are not the same again.

    Error and correlation by what is approximated, such as ``digits trained``, and by what does it, such as
    ``both, weighting 3, stack 1``, and then by the shift. The pixels seen by what sees them, and by the shift. The
    powers of the number of pixels with which multiplications grow.
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
    """Under the name and its variant, by shift, where it has one."""
    if variant["shift"] is None:
        figures[name] = value
    else:
        key = f"{name}, weighting {variant['weighting']}, stack {variant['stack']}"
        figures.setdefault(key, {})[str(variant["shift"])] = value
