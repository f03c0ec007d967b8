"""The integer layer: its description, and every refusal by name.

A layer computes, for output channel ``o`` at output position ``q`` (centre
``p = stride*q - pad + kernel//2`` in the input, zeros outside the frame),

    acc[o] = bias[o] + 2^attn_shift * sum_{c,i} conv_weight[o,c,i] x[c,p+i]
                     + sum_{c,t} attn_weight[o,c,t] x[c,p] x[c,p+attn_offsets[t]]
    y[o]   = saturate(round(acc[o] * multiplier[o] / 2^out_shift))

in exact integers. ``rounding`` says how `round` rounds, by default half to even
(`golden.contract.rounding`). This is the merged form of X-volution (arXiv 2106.02253) with the ``hadamard``
product. With the ``dynamic`` product each head ``h`` (consecutive channels) has a similarity at
each tap, which scales the attention. The similarity is the one intermediate that is rounded,
half to even whatever ``rounding`` is:

    sim[t,h] = saturate(round_half_even(sum_{c in h} x[c,p] x[c,p+attn_offsets[t]] / 2^sim_shift))
    acc[o]   = bias[o] + 2^attn_shift * sum_{c,i} conv_weight[o,c,i] x[c,p+i]
                       + sum_{c,t} attn_weight[o,c,t] sim[t,h(c)] x[c,p+attn_offsets[t]]

`golden.contract.layer_file` keeps a layer in a file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from golden.contract.bounds import accumulator_ranges
from golden.contract.fields import checked_array
from golden.contract.frames import check_frames
from golden.contract.layer_config import BIAS_BITS, MULTIPLIER_BITS, LayerConfig, LayerError
from golden.contract.ranges import ACCUMULATOR_BITS, Range
from golden.contract.rounding import HALF_EVEN
from golden.support.arrays import as_array


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Layer:
    """A quantised layer: `LayerConfig` and its integer arrays (kept as int64).

    Attributes:
        config: geometry and formats.
        conv_weight: ``[O, C/groups, K, K]``, magnitude at most ``config.weight_limit``.
        attn_weight: ``[O, C/groups, T]``, magnitude at most ``config.weight_limit``;
            ``T = len(config.attn_offsets)``.
        bias: ``[O]``, fits 32 bits signed.
        multiplier: ``[O]``, 1 to 65535.

    Raises `LayerError` for arrays outside the contract, and for weights whose proven bound
    on ``|acc|`` reaches 2^47.
    """

    config: LayerConfig
    conv_weight: np.ndarray
    attn_weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray

    def __post_init__(self) -> None:
        c = self.config
        limit = c.weight_limit
        bias_range = Range.of_format(BIAS_BITS, True)
        self._check_array("conv_weight", -limit, limit)
        self._check_array("attn_weight", -limit, limit)
        self._check_array("bias", bias_range.low, bias_range.high)
        self._check_array("multiplier", 1, 2**MULTIPLIER_BITS - 1)
        low, high = accumulator_ranges(self)
        bound = max(-int(low.min()), int(high.max()))
        if bound >= 2 ** (ACCUMULATOR_BITS - 1):
            raise LayerError(f"the proven bound on |acc| is {bound}, allowed is less than 2^{ACCUMULATOR_BITS - 1}")

    def __repr__(self) -> str:
        """One line: what the layer does, between which formats."""
        c = self.config
        words = [
            c.product if c.attn_offsets else "convolution",
            f"{c.in_channels} -> {c.out_channels} channels",
            f"frames {c.height}x{c.width}",
            f"kernel {c.kernel}x{c.kernel}",
            *([f"stride {c.stride}"] if c.stride > 1 else []),
            *([f"padding {c.padding}"] if c.padding != "same" else []),
            *(["depthwise"] if c.depthwise else []),
            *([f"attention at {len(c.attn_offsets)} offsets"] if c.attn_offsets else []),
            *([f"{c.heads} heads"] if c.heads is not None else []),
            f"input {_format(c.in_bits, c.in_signed)}, weights {c.weight_bits} bit",
            f"output {_format(c.out_bits, c.out_signed)}{' after ReLU' if c.relu else ''}",
            *([f"rounding {c.rounding}"] if c.rounding != HALF_EVEN else []),
        ]
        return f"Layer({', '.join(words)})"

    @classmethod
    def stand_in(cls, config: LayerConfig) -> Layer:
        """A layer of ``config`` with all weights 0, for uses where only the config counts."""
        zeros = {name: np.zeros(shape, np.int64) for name, shape in config.array_shapes.items()}
        return cls(config=config, **(zeros | {"multiplier": np.ones(config.out_channels, np.int64)}))

    def _check_array(self, name: str, low: int, high: int) -> None:
        array = checked_array(name, getattr(self, name), self.config.array_shapes[name], low, high)
        object.__setattr__(self, name, array)

    def check_input(self, x: ArrayLike) -> np.ndarray:
        """Frames as int64 ``[N, C, H, W]`` from integers ``[C, H, W]`` or ``[N, C, H, W]``.

        ``x`` is an array, a PyTorch tensor or nested lists. Raises `UserError` for another shape, a
        non-integer dtype or a value outside the format.
        """
        x = as_array("input", x)
        c = self.config
        source = f"in_bits {c.in_bits}, in_signed {c.in_signed}"
        return check_frames(x, (c.in_channels, c.height, c.width), c.in_range, source)


def _format(bits: int, signed: bool) -> str:
    return f"{bits} bit {'signed' if signed else 'unsigned'}"
