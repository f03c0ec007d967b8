"""A whole network in exact integers.

The layers are the contract's (`golden.contract.layer`), run by `golden.model.integer`. An addition
has a requantisation of its own. A head ends the network::

    add    z = saturate(round_half_even((a multipliers[0] + b multipliers[1]) / 2^shift))
    head   y[k] = bias[k] + sum_c weight[k,c] (sum of all pixels of channel c)

Nothing else is rounded, and nothing wraps. When the network is made, each part proves its bound
from the formats of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, MULTIPLIER_BITS
from golden.contract.ranges import Range, weighted_sum
from golden.contract.scales import to_steps
from golden.model import integer
from golden.networks.step import IMAGES, POOL, Step
from golden.support.cli import UserError

#: Sums and scaled sums stay below this. float64 holds every integer up to it, int64 holds more.
EXACT = 2**53
#: Images that are computed at a time.
BATCH = 250


@dataclass(frozen=True, kw_only=True)
class IntegerAdd:
    """The sum of two results with steps of different size.

    Attributes:
        multipliers: of the two results, 0 to 65535.
        shift: 0 to 47.
        limits: what the sum saturates to.
        scale: value of one step of the sum.

    Raises `UserError` for a multiplier or shift outside its range.
    """

    multipliers: tuple[int, int]
    shift: int
    limits: Range
    scale: float

    def __post_init__(self) -> None:
        for multiplier in self.multipliers:
            if not 0 <= multiplier < 2**MULTIPLIER_BITS:
                raise UserError(f"multiplier {multiplier} of an addition is not from 0 to {2**MULTIPLIER_BITS - 1}")
        low, high = FIELD_RANGES["out_shift"]
        if not low <= self.shift <= high:
            raise UserError(f"shift {self.shift} of an addition is not from {low} to {high}")

    def run(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The sum of integers ``a`` and ``b``, which have one shape: int64 of that shape."""
        scaled = a.astype(np.int64) * self.multipliers[0] + b.astype(np.int64) * self.multipliers[1]
        if self.shift:
            # Just under half, or half where the quotient is odd: ties go to even.
            scaled += ((scaled >> self.shift) & 1) + (2 ** (self.shift - 1) - 1)
            scaled >>= self.shift
        return scaled.clip(self.limits.low, self.limits.high)

    def check(self, name: str, a: Range, b: Range) -> None:
        """Raise `UserError` where scaled sums of these ranges may reach 2^53."""
        for low_or_high in ((a.low, b.low), (a.high, b.high)):
            scaled = sum(m * abs(end) for m, end in zip(self.multipliers, low_or_high, strict=True))
            if scaled >= EXACT:
                raise UserError(f"addition {name!r} has a proven bound of {scaled}, allowed is less than 2^53")


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerHead:
    """Scores from the sums over all pixels.

    Attributes:
        weight: int64 ``[outputs, C]``.
        bias: int64 ``[outputs]``.
        bits: of the weights.
        weight_scale: value of one step of a weight. All outputs share it, so that the highest integer
            score is the highest score.
        scale: value of one step of a score.
    """

    weight: np.ndarray
    bias: np.ndarray
    bits: int
    weight_scale: float
    scale: float

    @property
    def limit(self) -> int:
        """The largest magnitude of a weight."""
        return 2 ** (self.bits - 1) - 1

    def run(self, x: np.ndarray) -> np.ndarray:
        """``[N, C, H, W]`` to int64 ``[N, outputs]``."""
        return x.sum(axis=(2, 3), dtype=np.int64) @ self.weight.T + self.bias

    def check(self, name: str, x: Range, pixels: int) -> None:
        """Raise `UserError` where scores of this range may reach 2^53."""
        low, high = weighted_sum(self.weight, x.times(pixels))
        bound = int(np.maximum(-low, high).max() + np.abs(self.bias).max())
        if bound >= EXACT:
            raise UserError(f"head {name!r} has a proven bound of {bound}, allowed is less than 2^53")


Part = Layer | IntegerAdd | IntegerHead


class IntegerNetwork:
    """Integer images to integer scores, step by step.

    Args:
        steps: those of a `golden.networks.network.Network`.
        parts: the `Layer`, `IntegerAdd` or `IntegerHead` of each step but ``max_pool``, by name.
        attended: names of the layers that were put in a convolution's place by a variant.

    Attributes:
        steps, parts, attended: as they were given.

    Raises:
        UserError: where the format or shape of a result is not what a step takes, or a proven
            bound is too large.
    """

    def __init__(self, steps: Sequence[Step], parts: Mapping[str, Part], attended: Sequence[str] = ()) -> None:
        self.steps = tuple(steps)
        self.parts = dict(parts)
        self.attended = tuple(attended)
        self._check()

    @property
    def input_layer(self) -> Layer:
        """The layer that takes the images."""
        name = next(step.name for step in self.steps if IMAGES in step.inputs)
        part = self.parts[name]
        assert isinstance(part, Layer)
        return part

    @property
    def layers(self) -> dict[str, Layer]:
        """All layers by name, in the order of the data flow."""
        return {name: part for name, part in self.parts.items() if isinstance(part, Layer)}

    def quantise_images(self, images: np.ndarray) -> np.ndarray:
        """Real images ``[N, C, H, W]`` as the integers that the network takes: int64."""
        config = self.input_layer.config
        assert config.in_scale is not None
        return to_steps(np.asarray(images, np.float64), config.in_scale, config.in_range)

    def values(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """The result of every step for integer images ``[N, C, H, W]``, and the images, by name."""
        values = {IMAGES: frames}
        for step in self.steps:
            values[step.name] = self._result(step, [values[name] for name in step.inputs])
        return values

    def run(self, frames: np.ndarray, advance: Callable[[int], object] = lambda images: None) -> np.ndarray:
        """Scores int64 ``[N, outputs]`` for integer images ``[N, C, H, W]``.

        ``advance`` is called with numbers of images that are done. These numbers add up to N.
        """
        scores = []
        for start in range(0, len(frames), BATCH):
            part = frames[start : start + BATCH]
            scores.append(self.values(part)[self.steps[-1].name])
            advance(len(part))
        return np.concatenate(scores)

    def _result(self, step: Step, inputs: list[np.ndarray]) -> np.ndarray:
        if step.kind == "max_pool":
            return _max_pool(inputs[0])
        part = self.parts[step.name]
        if isinstance(part, Layer):
            return integer.run(part, inputs[0])
        return part.run(*inputs)

    def _check(self) -> None:
        config = self.input_layer.config
        formats = {IMAGES: (config.in_range, (config.in_channels, config.height, config.width))}
        for step in self.steps:
            part = self.parts.get(step.name)
            limits, shape = formats[step.inputs[0]]
            if step.kind == "max_pool":
                channels, height, width = shape
                size, stride, pad = POOL
                shape = channels, (height + 2 * pad - size) // stride + 1, (width + 2 * pad - size) // stride + 1
            elif isinstance(part, Layer):
                c = part.config
                wanted = c.in_range, (c.in_channels, c.height, c.width)
                if wanted != (limits, shape):
                    raise UserError(f"layer {step.name!r} takes {wanted}, but gets {(limits, shape)}")
                limits, shape = c.out_range, (c.out_channels, c.out_height, c.out_width)
            elif isinstance(part, IntegerAdd):
                other, other_shape = formats[step.inputs[1]]
                if shape != other_shape:
                    raise UserError(f"addition {step.name!r} gets the shapes {shape} and {other_shape}")
                part.check(step.name, limits, other)
                limits = part.limits
            elif isinstance(part, IntegerHead):
                part.check(step.name, limits, shape[1] * shape[2])
            else:
                raise UserError(f"step {step.name!r} of kind {step.kind!r} has no integer part")
            formats[step.name] = limits, shape


def _max_pool(x: np.ndarray) -> np.ndarray:
    size, stride, pad = POOL
    lowest = np.iinfo(x.dtype).min
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=lowest)
    return sliding_window_view(padded, (size, size), axis=(2, 3))[:, :, ::stride, ::stride].max(axis=(4, 5))
