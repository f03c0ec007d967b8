"""The format of every result of a network: bits, sign and scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from golden.contract.network.network import IMAGE
from golden.contract.ranges import Range
from golden.operators.network import Network
from golden.operators.parts import in_float64
from golden.operators.step import Step
from golden.quantise.calibration import Method, activation_scale
from golden.quantise.precision import Precision
from golden.support.cli import UserError

#: Part of a ceiling by which a format may reach beyond it: floats round the scale that follows from the ceiling.
CEILING_SLACK = 1e-9
#: Ops that only carry values. Their result has the format of what they take.
CARRIERS = ("max_pool", "concat", "upsample")


@dataclass(frozen=True, kw_only=True)
class Format:
    """How the result of a step is kept: bits, sign and the value of one step."""

    bits: int
    signed: bool
    scale: float

    @property
    def limits(self) -> Range:
        return Range.of_format(self.bits, self.signed)


def result_formats(
    network: Network, values: Mapping[str, Tensor], precision: Precision, method: Method
) -> dict[str, Format]:
    """The format of the image and of each step's result, by name.

    The last result has none where a linear map or an argmax gives it, and neither has what an argmax takes.
    Results that a ``concat`` joins share one format.

    A ceiling is where a format ends, or beyond: nothing else limits what a step gives.

    Raises `UserError` for a result that is not finite, and for a ceiling within a format that others need.
    """
    formats: dict[str, Format] = {}
    for names, sources in _groups(network):
        form = _format(network, sources, values, precision, method)
        formats |= dict.fromkeys(names, form)
    return formats


def _groups(network: Network) -> Iterator[tuple[list[str], list[str]]]:
    """Results that share a format, and those of them whose values are their own."""
    steps = {step.name: step for step in network.steps}
    group = {name: {name} for name in (IMAGE, *steps) if name not in _raw(network)}
    for step in network.steps:
        if step.op in CARRIERS:
            joined = set.union(*(group[name] for name in (step.name, *step.inputs)))
            group |= dict.fromkeys(joined, joined)
    seen: set[str] = set()
    for name in group:
        if name not in seen:
            seen |= group[name]
            names = [member for member in group if member in group[name]]
            yield names, [member for member in names if member == IMAGE or steps[member].op not in CARRIERS]


def _raw(network: Network) -> set[str]:
    """Names of the results that are not requantised: an index, and sums that nothing but an argmax takes."""
    last = network.steps[-1]
    ends = {last.name, *(last.inputs if last.op == "argmax" else ())}
    return {
        step.name
        for step in network.steps
        if step.name in ends and (step.op == "argmax" or (step.op == "linear" and not step.relu))
    }


def _format(
    network: Network, sources: list[str], values: Mapping[str, Tensor], precision: Precision, method: Method
) -> Format:
    """The one format of the results ``sources``."""
    steps = {step.name: step for step in network.steps}
    arrays = [in_float64(values[name]).numpy() for name in sources]
    for name, own in zip(sources, arrays, strict=True):
        if not np.isfinite(own).all():
            raise UserError(f"step {name!r} gives a value that is NaN or infinite, allowed are finite numbers")
    signed = any(_signed(steps.get(name), own) for name, own in zip(sources, arrays, strict=True))
    wanted = [precision.result(network, name) for name in sources]
    bits = precision.result(network, IMAGE) if IMAGE in sources else max(wanted)
    array = arrays[0] if len(arrays) == 1 else np.concatenate([own.ravel() for own in arrays])
    full = all(name == IMAGE or precision.only_added(network, name) for name in sources)
    # A result that is 0 on all images says nothing of its scale. Any scale will do.
    limits = Range.of_format(bits, signed)
    # The full range of a power of two may be twice that of the values: to this no bits are given away.
    how: Method = "minmax" if full and precision.scales == "float" else method
    scale = activation_scale(array, limits, how, scales=precision.scales) if array.any() else 1.0
    return Format(bits=bits, signed=signed, scale=_below_ceilings(scale, limits, [steps.get(name) for name in sources]))


def _below_ceilings(scale: float, limits: Range, sources: Sequence[Step | None]) -> float:
    """The scale, halved until the highest value of the format is no higher than the ceiling of any source."""
    for step in sources:
        if step is None or step.ceiling is None or limits.high * scale <= step.ceiling * (1 + CEILING_SLACK):
            continue
        if len(sources) > 1:
            what = f"step {step.name!r} has ceiling {step.ceiling:g} in a format that a concat makes it share"
            raise UserError(f"{what}, which reaches {limits.high * scale:g}, allowed is no more than the ceiling")
        while limits.high * scale > step.ceiling:
            scale /= 2
    return scale


def _signed(step: Step | None, values: np.ndarray) -> bool:
    """Whether the format of a result has a sign. An image, and a mean, have one where ``values`` do."""
    if step is None or step.op == "avg_pool":
        return bool(values.min() < 0)
    return not step.relu
