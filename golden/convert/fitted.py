"""Integer weights, biases and multipliers of a step, and how near the source's they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from golden.contract.layer_config import BIAS_BITS, FIELD_RANGES
from golden.contract.ranges import Range
from golden.convert.held import Held
from golden.convert.multipliers import Multipliers, multipliers_for
from golden.convert.ops import WeightLevels
from golden.support.cli import UserError

#: How far the bias of a channel may be off before its accumulator gets finer steps, in steps of the result. It is less
#: than what a multiplier of 16 bits is off for a result of 8 bits.
BIAS_SLACK = 2.0**-12
#: The largest magnitude of a bias, in steps of the sums that it is added to.
LARGEST_BIAS = 2 ** (BIAS_BITS - 1) - 1
#: The largest magnitude of a weight.
LARGEST_WEIGHT = 2 ** (FIELD_RANGES["weight_bits"][1] - 1) - 1
#: How far a whole number of steps may be off one, relatively, because floats were divided.
EXACT = 2.0**-50


class Fitted:
    """Weights, bias and multipliers of a step with weights.

    Args:
        levels: the weights.
        bias: ``[O]``, real.
        taken: what the integers stand for that the step takes.
        count: how many of these a weight multiplies, whose mean is meant.
        given: what the integers stand for that it gives.
        finest: the most bits by which an accumulator may be finer than a product, for its bias.

    Attributes:
        integers: weights, int64.
        fine: the bits that were taken of ``finest``.
        bias: int64. Zero points of what comes in and goes out are in it.
        multipliers: from steps of the accumulators to steps of the result.
    """

    def __init__(
        self, levels: WeightLevels, bias: np.ndarray, taken: Held, count: int, given: Held, finest: int
    ) -> None:
        bias = taken_bias(levels, bias, taken) + given.zero * given.scale
        # Whether what comes in and goes out is negated makes no difference to what an integer of a channel is.
        levels = dataclasses.replace(levels, scales=levels.scales * np.sign(taken.scale) * np.sign(given.scale))
        bias, worth, scale = bias * np.sign(given.scale), abs(taken.scale), abs(given.scale)
        # A channel that a batch norm scales with 0 has no step of its own.
        unit = np.where(levels.scales == 0, scale, np.abs(levels.scales) * worth / count)
        larger = _larger(levels, unit, bias * 2.0**finest, scale)
        by_output = (np.sign(levels.scales).astype(np.int64) * larger).reshape(-1, *[1] * (levels.integers.ndim - 1))
        self.integers, unit = levels.integers * by_output, unit / larger
        self.weight_bits = weight_bits(dataclasses.replace(levels, integers=self.integers))
        for fine in range(finest + 1):
            steps = bias * 2.0**fine / unit
            if fine and np.abs(steps).max() > LARGEST_BIAS:
                break
            check_bias(steps)
            self.fine, self.bias = fine, np.rint(steps).astype(np.int64)
            ratios = unit / 2.0**fine / scale
            self._bias_errors = np.abs(steps - self.bias)
            if float((self._bias_errors * ratios).max()) <= BIAS_SLACK:
                break
        self._ratios = unit / 2.0**self.fine / scale
        self.multipliers: Multipliers = multipliers_for(self._ratios)

    def bound(self, accumulators: tuple[np.ndarray, np.ndarray], limits: Range) -> float:
        """The most that a result may be off before it is rounded, in its steps. Beyond ``limits`` nothing counts."""
        low, high = accumulators
        most = np.maximum(-low, high)
        inside = (reach(limits) + 1) / np.minimum(self._ratios, self.multipliers.ratios)
        off = np.minimum(most, inside) * self.multipliers.errors + self._bias_errors * self.multipliers.ratios
        return float(off.max())


def _larger(levels: WeightLevels, unit: np.ndarray, bias: np.ndarray, scale: float) -> np.ndarray:
    """By how much the weights of each channel are larger, so that its bias is a whole number of its smaller steps.

    1 where it is that already, or no factor makes it one and leaves the multipliers exact.
    """
    most = LARGEST_WEIGHT // np.maximum(np.abs(levels.integers).reshape(len(unit), -1).max(axis=1), 1)
    factors = np.ones(len(unit), np.int64)
    for channel, steps in enumerate(bias / unit):
        tried = np.arange(1, max(most[channel], 1) + 1)
        whole = np.abs(steps * tried - np.rint(steps * tried)) <= EXACT * np.abs(steps * tried)
        if not whole[0] and whole.any():
            factors[channel] = tried[whole.argmax()]
    exact = factors.max() > 1 and not multipliers_for(unit / factors / scale).errors.any()
    return factors if exact else np.ones_like(factors)


def taken_bias(levels: WeightLevels, bias: np.ndarray, taken: Held) -> np.ndarray:
    """The bias of sums of the integers that a step takes, without their zero point."""
    sums = levels.integers.reshape(len(levels.integers), -1).sum(axis=1)
    shift: np.ndarray = bias - taken.zero * taken.scale * sums * levels.scales
    return shift


def weight_bits(levels: WeightLevels) -> int:
    """The bits of a symmetric format that holds all weights; those of the source if these do."""
    largest = int(np.abs(levels.integers).max(initial=0))
    needed = largest.bit_length() + 1
    if needed > 8:
        allowed = "allowed are 127 (narrow 1 does without -128, clip_weights clips it)"
        raise UserError(f"weight reaches a magnitude of {largest} steps, {allowed}")
    return max(2, needed, min(levels.bits, 8))


def check_bias(steps: np.ndarray) -> None:
    """Raise `UserError` for a bias that fits no bias of ours."""
    most = float(np.abs(steps).max())
    if most > LARGEST_BIAS:
        raise UserError(f"bias reaches {most:.4g} steps of its sums, allowed are {LARGEST_BIAS}")


def reach(limits: Range) -> int:
    """The largest magnitude of ``limits``, which hold 0."""
    return max(-limits.low, limits.high)
