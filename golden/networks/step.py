"""The steps of a network by name. Training, merging, quantisation and the integer network all follow them.

Kinds of steps::

    layer      a convolution with its batch norm, an X-volution or a batch norm, then perhaps a ReLU
    add        a + b, then perhaps a ReLU
    max_pool   the largest of 3x3 pixels, at every second pixel
    head       the mean of all pixels of each channel, then a linear map
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The name that steps know the images by.
IMAGES = "images"
#: Size, stride and padding of a ``max_pool``.
POOL = (3, 2, 1)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation.

    Attributes:
        name: what later steps know its result by.
        kind: what is done.
        inputs: names of earlier steps, or `IMAGES`; two for ``add``, else one.
        relu: whether negative results become 0.
    """

    name: str
    kind: Literal["layer", "add", "max_pool", "head"]
    inputs: tuple[str, ...]
    relu: bool = False
