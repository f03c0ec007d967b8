"""The integer layer in fxpmath's fixed-point formats: the readable second opinion.

There is one function per stage, named as in the hardware. Each value is an `Fxp` array in a
stated format. The module shares no code with `golden.model.integer`. It is slow, and meant for
small frames.

Three habits of fxpmath shape the code:

- An unsigned array times a signed one goes through float64, so unsigned numbers live in a
  signed format that is one bit wider.
- Rounding goes through float64, which is wrong beyond 53 bits. `requantise` avoids that.
- ``a.equal(a + b)`` adds a dimension on every call, so a sum is a new array in its format.
"""

from __future__ import annotations

import itertools

import numpy as np
from fxpmath import Fxp
from fxpmath import functions as fxp

from golden.contract.layer import Layer
from golden.contract.layer_config import MULTIPLIER_BITS
from golden.contract.ranges import ACCUMULATOR_BITS

#: For each mode of rounding fxpmath's own, and what is added before it, in halves.
ROUND = {"half_even": ("around", 0), "half_up": ("floor", 1), "floor": ("floor", 0)}


def run(layer: Layer, x: np.ndarray) -> np.ndarray:
    """The layer's output frames, int64 ``[N, O, Ho, Wo]``, for integer frames ``[N, C, H, W]``.

    Raises `UserError` for frames that are not the layer's input, see `Layer.check_input`.
    """
    outputs = []
    for frame in layer.check_input(x):
        elements = window(layer, frame)
        sims = similarity(layer, elements)
        conv_sum, attn_sum = tap_macs(layer, elements, sims)
        combined = attention_combine(layer, elements, conv_sum, attn_sum)
        outputs.append(requantise(layer, channel_accumulate(layer, combined)).raw())
    return np.stack(outputs).astype(np.int64)


def window(layer: Layer, frame: np.ndarray) -> Fxp:
    """Each output position's neighbourhood, zeros outside the frame.

    Args:
        frame: integers ``[C, H, W]``.

    Returns:
        ``[C, Ho, Wo, 2R+1, 2R+1]`` with R the window radius. The element at distance
        ``(dy, dx)`` from the centre has the last two indices ``(R+dy, R+dx)``.
    """
    c = layer.config
    reach = range(-c.radius, c.radius + 1)
    elements = np.zeros((c.in_channels, c.out_height, c.out_width, len(reach), len(reach)), np.int64)
    for y, x, dy, dx in itertools.product(range(c.out_height), range(c.out_width), reach, reach):
        row = c.stride * y - c.pad + c.kernel // 2 + dy
        column = c.stride * x - c.pad + c.kernel // 2 + dx
        if 0 <= row < c.height and 0 <= column < c.width:
            elements[:, y, x, c.radius + dy, c.radius + dx] = frame[:, row, column]
    return Fxp(elements, like=_signed(c.in_bits if c.in_signed else c.in_bits + 1))


def similarity(layer: Layer, elements: Fxp) -> Fxp | None:
    """``sim[t,h]``: heads' inner products of centre and tap, rounded and saturated.

    Args:
        elements: ``[C, Ho, Wo, 2R+1, 2R+1]``.

    Returns:
        ``[T, heads, Ho, Wo]``; None for a ``hadamard`` layer, and for one without offsets.
    """
    c = layer.config
    if c.heads is None or c.sim_bits is None or c.sim_shift is None or not c.attn_offsets:
        return None
    sims = np.zeros((len(c.attn_offsets), c.heads, c.out_height, c.out_width), np.int64)
    for t, (dy, dx) in enumerate(c.attn_offsets):
        products = (_tap(layer, elements, 0, 0) * _tap(layer, elements, dy, dx)).raw()[0]
        for h, channels in enumerate(np.split(np.arange(c.in_channels), c.heads)):
            total = _exact(fxp.sum(Fxp(products[channels], like=_ACCUMULATOR), axis=0, out_like=_ACCUMULATOR))
            # The sum's lowest sim_shift bits become its fraction. The narrow format rounds it off.
            quotient = _signed(ACCUMULATOR_BITS, c.sim_shift)
            quotient.set_val(total.raw(), raw=True)
            sims[t, h] = Fxp(quotient, like=_signed(c.sim_bits)).raw()
    return Fxp(sims, like=_signed(c.sim_bits))


def tap_macs(layer: Layer, elements: Fxp, sims: Fxp | None = None) -> tuple[Fxp, Fxp]:
    """The two sums over taps that share the window: convolution and attention.

    Args:
        elements: ``[C, Ho, Wo, 2R+1, 2R+1]``.
        sims: ``[T, heads, Ho, Wo]``, or None.

    Returns:
        ``sum_i conv_weight[o,c,i] x[c,p+i]`` and ``sum_t attn_weight[o,c,t] x[c,p+t]``,
        ``[O, C/groups, Ho, Wo]`` each. With ``sims`` the terms of the second sum are
        ``attn_weight[o,c,t] sim[t,h(c)] x[c,p+t]``.
    """
    c = layer.config
    half = c.kernel // 2
    conv_sum = _zeros(layer)
    for dy, dx in itertools.product(range(-half, half + 1), repeat=2):
        weight = _weight(layer, layer.conv_weight[:, :, half + dy, half + dx])
        conv_sum = _sum(conv_sum, weight * _tap(layer, elements, dy, dx))
    attn_sum = _zeros(layer)
    for t, (dy, dx) in enumerate(c.attn_offsets):
        tap = _tap(layer, elements, dy, dx)
        if sims is not None:
            of_channel = np.repeat(sims.raw()[t], c.in_channels // sims.shape[1], axis=0)
            tap = Fxp(of_channel[None], like=sims, raw=True) * tap
        attn_sum = _sum(attn_sum, _weight(layer, layer.attn_weight[:, :, t]) * tap)
    return conv_sum, attn_sum


def attention_combine(layer: Layer, elements: Fxp, conv_sum: Fxp, attn_sum: Fxp) -> Fxp:
    """``2^attn_shift * conv_sum + x0 * attn_sum``, ``[O, C/groups, Ho, Wo]``.

    The ``dynamic`` product has no factor ``x0``.
    """
    attention = attn_sum if layer.config.product == "dynamic" else _tap(layer, elements, 0, 0) * attn_sum
    return _sum(conv_sum << layer.config.attn_shift, attention)


def channel_accumulate(layer: Layer, combined: Fxp) -> Fxp:
    """``acc``: the sum over input channels and the bias, ``[O, Ho, Wo]``."""
    bias = Fxp(layer.bias[:, None, None], like=_ACCUMULATOR)
    return _sum(_exact(fxp.sum(combined, axis=1, out_like=_ACCUMULATOR)), bias)


def requantise(layer: Layer, acc: Fxp) -> Fxp:
    """``saturate(round(acc * multiplier / 2^out_shift))``, ``[O, Ho, Wo]``.

    The scale is a fixed-point number with ``out_shift`` fraction bits, so the product is exact.
    The product may need 64 bits. Each mode of rounding commutes with adding an even integer. So
    the largest even integer in the product is set aside, and fxpmath rounds the remainder. The
    remainder is from 0 up to 2.5 with at most 47 fraction bits, which a float64 holds.
    """
    c = layer.config
    scale = _signed(MULTIPLIER_BITS + 1, c.out_shift)
    scale.set_val(layer.multiplier[:, None, None], raw=True)
    scaled = (acc * scale).raw()
    even = scaled >> (c.out_shift + 1) << 1
    how, halves = ROUND[c.rounding]
    rest = _signed(c.out_shift + 3, c.out_shift)
    rest.set_val((scaled - (even << c.out_shift) + (halves << c.out_shift >> 1)).astype(np.int64), raw=True)
    rounded = Fxp(rest, signed=True, n_word=3, n_frac=0, rounding=how, overflow="saturate")
    # relu on a signed output leaves no negative value: the format is unsigned, without the sign bit.
    negative = c.out_signed and not c.relu
    bits = c.out_bits if negative or not c.out_signed else c.out_bits - 1
    out = Fxp(None, signed=negative, n_word=bits, n_frac=0, rounding="around", overflow="saturate")
    return out.set_val(even + rounded.raw())


def _signed(n_word: int, n_frac: int = 0) -> Fxp:
    """A signed format of ``n_word`` bits, ``n_frac`` of them fraction."""
    return Fxp(None, signed=True, n_word=n_word, n_frac=n_frac, rounding="around", overflow="saturate")


_ACCUMULATOR = _signed(ACCUMULATOR_BITS)


def _zeros(layer: Layer) -> Fxp:
    c = layer.config
    return Fxp(np.zeros((c.out_channels, c.fan_in_channels, c.out_height, c.out_width), np.int64), like=_ACCUMULATOR)


def _weight(layer: Layer, weight: np.ndarray) -> Fxp:
    """Weights ``[O, C/groups]`` as ``[O, C/groups, 1, 1]``."""
    return Fxp(weight[:, :, None, None], like=_signed(layer.config.weight_bits))


def _tap(layer: Layer, elements: Fxp, dy: int, dx: int) -> Fxp:
    """One tap of the window, to be multiplied by `_weight`: ``[1, C, Ho, Wo]``, depthwise ``[C, 1, Ho, Wo]``."""
    tap = elements.raw()[..., layer.config.radius + dy, layer.config.radius + dx]
    return Fxp(tap[:, None] if layer.config.depthwise else tap[None], like=elements, raw=True)


def _sum(a: Fxp, b: Fxp) -> Fxp:
    return _exact(fxp.add(a, b, out_like=_ACCUMULATOR))


def _exact(total: Fxp) -> Fxp:
    """``total``, a sum in the accumulator's format. Raises `OverflowError` where it saturated."""
    status = total.get_status()
    if status["overflow"] or status["underflow"]:
        raise OverflowError(f"a sum leaves the accumulator's {ACCUMULATOR_BITS} bits")
    return total
