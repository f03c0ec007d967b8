"""Folding of a network: how many elements each step takes and gives a beat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from golden.contract.folding import Folding
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IntegerNetwork, naming
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from golden.support.cli import UserError

#: Step name to folding.
Foldings = Mapping[str, Folding]


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What the folding of a step may be.

    Attributes:
        taken, given: the numbers that ``simd`` and ``pe`` divide.
        alike: whether ``simd`` and ``pe`` must be the same.
    """

    taken: int
    given: int
    alike: bool = False


def _layer(step: LayerStep, taken: list[Result], given: Result) -> Sides:
    c = step.layer.config
    return Sides(taken=c.in_channels, given=c.out_channels, alike=c.depthwise)


def _add(step: Add, taken: list[Result], given: Result) -> Sides:
    return Sides(taken=given.channels, given=given.channels, alike=True)


def _each_channel(step: Step, taken: list[Result], given: Result) -> Sides:
    return Sides(taken=taken[0].channels, given=given.channels)


def _concat(step: Concat, taken: list[Result], given: Result) -> Sides:
    # A beat never holds channels of two results.
    return Sides(taken=math.gcd(*(x.channels for x in taken)), given=given.channels)


#: The sides of each op.
SIDES: Mapping[str, Callable[[Any, list[Result], Result], Sides]] = {
    LayerStep.op: _layer,
    Add.op: _add,
    MaxPool.op: _each_channel,
    AvgPool.op: _each_channel,
    Linear.op: _each_channel,
    Concat.op: _concat,
    Upsample.op: _each_channel,
    Argmax.op: _each_channel,
}


def sides_of(network: IntegerNetwork, step: Step) -> Sides:
    """What the folding of ``step`` may be."""
    return SIDES[step.op](step, [network.results[name] for name in step.inputs], network.results[step.name])


def up_to_lanes(network: IntegerNetwork, lanes: int) -> dict[str, Folding]:
    """Each side of each step has the largest divisor of its channels that is at most ``lanes``."""
    found = {}
    for step in network.steps:
        sides = sides_of(network, step)
        found[step.name] = Folding(simd=_divisor(sides.taken, lanes), pe=_divisor(sides.given, lanes))
    return found


def check_foldings(network: IntegerNetwork, foldings: Foldings) -> None:
    """Raise `UserError`, naming the step, unless each step has a folding that it can have, and nothing else has."""
    names = [step.name for step in network.steps]
    for name in foldings:
        if name not in names:
            raise UserError(f"folding of {name!r}: the network has no such step, steps are {', '.join(names)}")
    for step in network.steps:
        if step.name not in foldings:
            raise UserError(f"step {step.name!r}: it has no folding, every step needs one")
        with naming(step.name):
            _check(step, sides_of(network, step), foldings[step.name])


def _check(step: Step, sides: Sides, folding: Folding) -> None:
    for side, value, total in (("simd", folding.simd, sides.taken), ("pe", folding.pe, sides.given)):
        if value < 1 or total % value:
            allowed = ", ".join(map(str, divisors(total)))
            raise UserError(f"{side} {value} does not divide {total}, allowed are {allowed}")
    if sides.alike and folding.simd != folding.pe:
        raise UserError(f"pe {folding.pe} differs from simd {folding.simd}, which this {step.op} does not allow")


def _divisor(total: int, most: int) -> int:
    return max(d for d in divisors(total) if d <= most)


def divisors(total: int) -> list[int]:
    return [d for d in range(1, total + 1) if total % d == 0]
