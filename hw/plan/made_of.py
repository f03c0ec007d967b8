"""What a unit's multiplications are made of: the target's DSPs, or adders."""

from __future__ import annotations

from dataclasses import dataclass
from reprlib import repr as brief
from typing import Literal

from golden.support.cli import UserError

#: What products are made of. A target without DSPs leaves those that are not made of adders to synthesis.
Material = Literal["dsp", "adders"]
MATERIALS: tuple[Material, ...] = ("dsp", "adders")


@dataclass(frozen=True, kw_only=True)
class MadeOf:
    """What is asked for. None leaves it as usual: DSPs in a unit, and in a network what `hw.network.lower` says.

    Attributes:
        products: products of weights and operands, and those of the attention.
        requantise: products of sums and multipliers. Of adders they take as many cycles as a sum does, so each
            adder works many times. Where a layer's multipliers are powers of two, adders are shifts.

    Raises `UserError` for anything else.
    """

    products: Material | None = None
    requantise: Material | None = None

    def __post_init__(self) -> None:
        for name, material in (("products", self.products), ("requantise", self.requantise)):
            if material is not None and material not in MATERIALS:
                raise UserError(f"{name} {brief(material)} is not one of {', '.join(MATERIALS)}")

    @property
    def asked(self) -> dict[str, Material]:
        """What is not left as it usually is."""
        pairs = (("products", self.products), ("requantise", self.requantise))
        return {name: material for name, material in pairs if material is not None}


#: Nothing is asked for.
USUAL = MadeOf()


def choices_of(asked: MadeOf) -> list[MadeOf]:
    """All that multiplications may be made of where ``asked`` does not say it."""
    products = MATERIALS if asked.products is None else (asked.products,)
    requantise = MATERIALS if asked.requantise is None else (asked.requantise,)
    return [MadeOf(products=first, requantise=second) for first in products for second in requantise]
