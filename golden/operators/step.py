"""The steps of a network by name. Training, merging, quantisation and the integer network all follow them.

Ops, as in network files (`golden.contract.network`)::

    layer      a convolution with its batch norm, an X-volution or a batch norm, then perhaps a ReLU
    add        a + b, then perhaps a ReLU
    max_pool   the largest element of each window; options kernel, stride, pad
    avg_pool   the mean of each window; options kernel (or "frame"), stride
    linear     a linear map of the mean of each channel, or of all pixels, then perhaps a ReLU
    concat     the channels of all inputs, one after the other
    upsample   each pixel factor x factor times; option factor
    argmax     the index of the largest channel
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation.

    Attributes:
        name: what later steps know its result by.
        op: what is done.
        inputs: names of earlier steps, or `IMAGE`.
        relu: whether negative results become 0.
        ceiling: what results above it become, with ``relu``; None: they stay as they are.
        options: numbers that the op needs, by name.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    relu: bool = False
    ceiling: float | None = None
    options: Mapping[str, int | str] = field(default_factory=dict)
