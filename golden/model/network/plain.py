"""Each operation of a network in plain Python, an element at a time: the readable second opinion.

Numbers are Python's integers and fractions, which never wrap or round by themselves. The module
shares no code with `golden.model.network.steps`. It is slow, and meant for small frames. A frame
is a list of channels, each a list of rows. Layers run in `golden.model.fixed_point`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.upsample import Upsample
from golden.model import fixed_point

Frame = list[list[list[int]]]


def run(network: IntegerNetwork, x: np.ndarray) -> np.ndarray:
    """The network's output frames, int64 ``[N, K, Ho, Wo]``, for integer frames ``[N, C, H, W]``.

    Raises `UserError` for frames that are not the network's input, see `IntegerNetwork.check_input`.
    """
    outputs = []
    for frame in network.check_input(x):
        values: dict[str, Frame] = {IMAGE: frame.tolist()}
        for step in network.steps:
            values[step.name] = RUN[step.op](step, [values[name] for name in step.inputs])
        outputs.append(values[network.output])
    return np.array(outputs, np.int64)


def layer(step: LayerStep, taken: Sequence[Frame]) -> Frame:
    return fixed_point.run(step.layer, np.array(taken, np.int64))[0].tolist()


def add(step: Add, taken: Sequence[Frame]) -> Frame:
    first, second = step.multipliers
    a, b = taken
    return _each_pixel(
        len(a),
        len(a[0]),
        len(a[0][0]),
        lambda c, y, x: _saturated(Fraction(first * a[c][y][x] + second * b[c][y][x], 2**step.shift), step),
    )


def max_pool(step: MaxPool, taken: Sequence[Frame]) -> Frame:
    (frame,) = taken
    height, width = len(frame[0]), len(frame[0][0])

    def largest(c: int, y: int, x: int) -> int:
        rows = range(step.stride * y - step.pad, step.stride * y - step.pad + step.kernel)
        columns = range(step.stride * x - step.pad, step.stride * x - step.pad + step.kernel)
        return max(frame[c][i][j] for i in rows for j in columns if 0 <= i < height and 0 <= j < width)

    out_height, out_width = (
        len(range(0, size + 2 * step.pad - step.kernel + 1, step.stride)) for size in (height, width)
    )
    return _each_pixel(len(frame), out_height, out_width, largest)


def avg_pool(step: AvgPool, taken: Sequence[Frame]) -> Frame:
    (frame,) = taken
    height, width = len(frame[0]), len(frame[0][0])
    tall, wide = (height, width) if step.kernel == "frame" else (int(step.kernel), int(step.kernel))

    def average(c: int, y: int, x: int) -> int:
        top, left = step.stride * y, step.stride * x
        total = sum(frame[c][i][j] for i in range(top, top + tall) for j in range(left, left + wide))
        return _saturated(Fraction(total * step.multiplier, 2**step.shift), step)

    out_height, out_width = (len(range(0, n - k + 1, step.stride)) for n, k in ((height, tall), (width, wide)))
    return _each_pixel(len(frame), out_height, out_width, average)


def linear(step: Linear, taken: Sequence[Frame]) -> Frame:
    (frame,) = taken
    weight, bias = step.weight.tolist(), step.bias.tolist()

    def output(k: int, y: int, x: int) -> int:
        acc = bias[k]
        for c, rows in enumerate(frame):
            for i, row in enumerate(rows):
                for j, element in enumerate(row):
                    acc += (weight[k][c] if step.weight.ndim == 2 else weight[k][c][i][j]) * element
        if step.multiplier is None or step.out_shift is None:
            return acc
        return _saturated(Fraction(acc * int(step.multiplier[k]), 2**step.out_shift), step)

    return _each_pixel(len(weight), 1, 1, output)


def concat(step: Concat, taken: Sequence[Frame]) -> Frame:
    return [channel for frame in taken for channel in frame]


def upsample(step: Upsample, taken: Sequence[Frame]) -> Frame:
    (frame,) = taken
    n = step.factor
    return _each_pixel(len(frame), n * len(frame[0]), n * len(frame[0][0]), lambda c, y, x: frame[c][y // n][x // n])


def argmax(step: Argmax, taken: Sequence[Frame]) -> Frame:
    scores = [channel[0][0] for channel in taken[0]]
    return [[[scores.index(max(scores))]]]


#: The integer that each mode rounds a fraction to. Python itself rounds half to even.
ROUND: Mapping[str, Callable[[Fraction], int]] = {
    "half_even": round,
    "half_up": lambda value: math.ceil(value) if value.denominator == 2 else round(value),
    "floor": math.floor,
}
#: The function of each op.
RUN: Mapping[str, Callable[[Any, Sequence[Frame]], Frame]] = {
    LayerStep.op: layer,
    Add.op: add,
    MaxPool.op: max_pool,
    AvgPool.op: avg_pool,
    Linear.op: linear,
    Concat.op: concat,
    Upsample.op: upsample,
    Argmax.op: argmax,
}


def _each_pixel(channels: int, height: int, width: int, element: Callable[[int, int, int], int]) -> Frame:
    return [[[element(c, y, x) for x in range(width)] for y in range(height)] for c in range(channels)]


def _saturated(value: Fraction, step: Add | AvgPool | Linear) -> int:
    """``value`` rounded and cut to the format of the step's result."""
    bits = step.out_bits
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if step.out_signed else (0, 2**bits - 1)
    relu = not isinstance(step, AvgPool) and step.relu
    return min(max(ROUND[step.rounding](value), 0 if relu else low), high)
