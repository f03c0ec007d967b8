"""The extremes of a layer's formats, for bounds that hold whatever weights are loaded.

`golden.contract.bounds` proves ranges from actual weights. This module makes the weights that
give the extremes over all weights of a format. A sum ``sum_k w_k e_k`` is largest where every
``|w_k|`` is at its limit, and ``w_k`` has the sign of that end of ``e_k``'s range which is
farther from 0. The sum is least where all these signs are turned. A part of these weights gives
the extremes of that part of the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.contract.bounds import attention_elements
from golden.contract.layer_config import BIAS_BITS, MULTIPLIER_BITS, LayerConfig
from golden.contract.ranges import Range


@dataclass(frozen=True, kw_only=True, eq=False)
class Extremes:
    """Stands for all layers of ``config``: bounds of its four output channels hold for every layer.

    Channels 0 and 1 have the weights that make sums largest. Channels 2 and 3 have the negatives of
    these weights. Where neighbouring channels are paired, the first and the second channels of
    the pairs each reach both extremes.

    Attributes:
        conv_weight: ``[4, C/groups, K, K]``.
        attn_weight: ``[4, C/groups, T]``.
        bias: ``[4]``, the largest for channels 0 and 1, the least for channels 2 and 3.
        multiplier: ``[4]``, the largest.
    """

    config: LayerConfig

    @property
    def conv_weight(self) -> np.ndarray:
        c = self.config
        largest = np.full((c.fan_in_channels, c.kernel, c.kernel), _sign(c.in_range) * c.weight_limit)
        return _both(largest)

    @property
    def attn_weight(self) -> np.ndarray:
        c = self.config
        signs = np.array([_sign(element) for element in attention_elements(c)], np.int64)
        return _both(np.broadcast_to(signs * c.weight_limit, (c.fan_in_channels, len(signs))))

    @property
    def bias(self) -> np.ndarray:
        limits = Range.of_format(BIAS_BITS, True)
        return np.array([limits.high, limits.high, limits.low, limits.low])

    @property
    def multiplier(self) -> np.ndarray:
        return np.full(4, 2**MULTIPLIER_BITS - 1)


def _sign(element: Range) -> int:
    """Sign of that end of ``element`` which is farther from 0."""
    return 1 if element.high >= -element.low else -1


def _both(largest: np.ndarray) -> np.ndarray:
    signs: Sequence[int] = (1, 1, -1, -1)
    return np.stack([sign * largest for sign in signs])
