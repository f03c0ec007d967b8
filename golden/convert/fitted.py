"""Integer weights, biases and multipliers of a step, and how near the source's they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from golden.contract.layer_config import BIAS_BITS
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
        bias, worth, scale = bias * np.sign(given.scale), abs(taken.scale) / count, abs(given.scale)
        self.weight_bits = weight_bits(levels)
        by_output = np.sign(levels.scales).astype(np.int64).reshape(-1, *[1] * (levels.integers.ndim - 1))
        self.integers = levels.integers * by_output
        # A channel that a batch norm scales with 0 has no step of its own.
        unit = np.where(levels.scales == 0, scale, np.abs(levels.scales) * worth)
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
        raise UserError(f"weight reaches a magnitude of {largest} steps, allowed are 127 (narrow 1 does without -128)")
    return max(2, needed, min(levels.bits, 8))


def check_bias(steps: np.ndarray) -> None:
    """Raise `UserError` for a bias that fits no bias of ours."""
    most = float(np.abs(steps).max())
    if most > LARGEST_BIAS:
        raise UserError(f"bias reaches {most:.4g} steps of its sums, allowed are {LARGEST_BIAS}")


def reach(limits: Range) -> int:
    """The largest magnitude of ``limits``, which hold 0."""
    return max(-limits.low, limits.high)
