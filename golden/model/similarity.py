"""The integer model's similarity stage: how alike the centre and a neighbour are, head by head.

    sim[t,h] = saturate(round_half_even(sum_{c in h} x[c,p] x[c,p+t] / 2^sim_shift))

The stage runs in float64 and is exact. The sums are integers below 2^53. A division by a power of
two moves their exponents only. `numpy.rint` rounds half to even.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from golden.contract.layer_config import LayerConfig, SimilarityFormat
from golden.model.tiles import Scratch, Window


def similarities(
    config: LayerConfig, form: SimilarityFormat, windows: Iterable[Window], heads: int, scratch: Scratch
) -> np.ndarray:
    """``sim`` of a tile for ``heads`` heads: float64 ``[heads, T, n, rows, Wo]``.

    Args:
        config: of the layer.
        form: ``config.similarity``.
        windows: the tile's input channels of these heads. The channels of a single head may come
            in several windows.
        heads: number of heads; 1 where there is more than one window.
        scratch: where the result is kept.
    """
    sums = similarity_sums(config, windows, heads, scratch)
    sums *= 2.0**-form.shift
    np.rint(sums, out=sums)
    return sums.clip(form.limits.low, form.limits.high, out=sums)


def similarity_sums(config: LayerConfig, windows: Iterable[Window], heads: int, scratch: Scratch) -> np.ndarray:
    """``sum_{c in h} x[c,p] x[c,p+t]`` of a tile for ``heads`` heads: float64 ``[heads, T, n, rows, Wo]``.

    The arguments are those of `similarities`.
    """
    sums = np.empty(0)
    for part, window in enumerate(windows):
        centre = window.tap(0, 0)
        channels, *positions = centre.shape
        if part == 0:
            sums = scratch.take("similarities", np.float64, (heads, len(config.attn_offsets), *positions))
            sums[...] = 0
        product = scratch.take("product", np.float64, centre.shape)
        for t, offset in enumerate(config.attn_offsets):
            np.multiply(centre, window.tap(*offset), out=product)
            sums[:, t] += product.reshape(heads, channels // heads, *positions).sum(axis=1)
    return sums
