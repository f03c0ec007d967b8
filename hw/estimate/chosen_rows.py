"""What a command says of a folding that was chosen for a device."""

from __future__ import annotations

from typing import Any

from golden.support.numbers import at_most, number
from hw.estimate.choose_for_device import Chosen, Found, lack
from hw.estimate.wish import LEAST, Wish, amount, named


def chosen_rows(chosen: Chosen[Any]) -> dict[str, str]:
    """Rows of a table: why this folding, what it reaches, what binds, and what the next ones would cost."""
    wish, found = chosen.wish, chosen.found
    return {
        "chosen as": _why(wish, found),
        "rate": _rate(wish, found),
        "binds": _binds(wish, found),
        "one step faster": _price(wish, found, chosen.faster),
        "one step slower": _price(wish, found, chosen.slower),
    }


def _why(wish: Wish, found: Found[Any]) -> str:
    what = "the fewest cycles that fit" if wish.fps is None else "few enough cycles"
    # The search has ended early.
    least = "" if found.is_least else f"; nothing takes less than {_share(float(found.bound[0]))} at its largest"
    return f"{what}, with {LEAST}{least}"


def _rate(wish: Wish, found: Found[Any]) -> str:
    asked = "taken for all foldings alike" if wish.fps is None else f"asked for {number(wish.fps)}"
    return f"{at_most(wish.rate(found.cycles))} frames/s at {number(wish.mhz)} MHz, {asked}"


def _binds(wish: Wish, found: Found[Any]) -> str:
    shares = [count / has if has else 0 for count, has in zip(found.amounts, wish.room, strict=True)]
    most = max(range(len(shares)), key=lambda resource: shares[resource])
    may = number(amount(most, int(wish.room[most])))
    return f"{named(most, found.amounts[most])} of {may} that may be used, {_share(float(shares[most]))}"


def _price(wish: Wish, found: Found[Any], other: Found[Any] | None) -> str:
    if other is None:
        return "none"
    if not other.fits:
        return f"{number(other.cycles)} cycles would take {lack(wish, other)}"
    changes = [
        named(resource, abs(then - now), "+" if then > now else "-")
        for resource, (now, then) in enumerate(zip(found.amounts, other.amounts, strict=True))
        if then != now
    ]
    return f"{number(other.cycles)} cycles: {', '.join(changes) or 'as much'}"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"
