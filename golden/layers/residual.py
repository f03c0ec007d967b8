"""Residual networks of random weights, in integers: networks too large to check in.

The graphs are those of arXiv 1512.03385, batch norms folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.layers.random_layer import random_layer


def random_resnet(
    seed: int, *, side: int, widths: Sequence[int], blocks: Sequence[int], classes: int, large: bool = False
) -> IntegerNetwork:
    """A residual network of basic blocks in 8 bits, from a colour image to a class.

    Args:
        seed: of the weights.
        side: height and width of the image.
        widths: channels of each stage. Each stage but the first halves the frame.
        blocks: number of blocks of each stage.
        classes: outputs of the classifier.
        large: whether the stem is 7x7 with a stride of 2, and a max pool follows it.
    """
    builder = _Builder(seed, side)
    x = builder.layer("stem", IMAGE, widths[0], kernel=7 if large else 3, stride=2 if large else 1, relu=True)
    if large:
        x = builder.append(MaxPool(name="pool", inputs=(x,), kernel=3, stride=2, pad=1))
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for block in range(1, count + 1):
            x = builder.block(f"stage{stage}_block{block}", x, width, stride=2 if stage > 1 and block == 1 else 1)
    return builder.network(builder.classifier(x, classes))


class _Builder(NetworkBuilder):
    """Each method appends steps and returns the name of the last one."""

    def __init__(self, seed: int, side: int) -> None:
        super().__init__(Result(channels=3, height=side, width=side, bits=8, signed=False))
        self.rng = np.random.default_rng(seed)

    def block(self, name: str, x: str, width: int, stride: int) -> str:
        first = self.layer(f"{name}_first", x, width, stride=stride, relu=True)
        second = self.layer(f"{name}_second", first, width, relu=False)
        if stride > 1 or self.results[x].channels != width:
            x = self.layer(f"{name}_shortcut", x, width, kernel=1, stride=stride, relu=False)
        # Each operand counts half of its step. So the sum saturates seldom.
        return self.append(
            Add(
                name=f"{name}_add",
                inputs=(second, x),
                multipliers=(2**14, 2**14),
                shift=15,
                out_bits=8,
                out_signed=False,
                relu=True,
            )
        )

    def layer(self, name: str, x: str, channels: int, *, kernel: int = 3, stride: int = 1, relu: bool) -> str:
        taken = self.results[x]
        layer = random_layer(
            self.rng,
            in_channels=taken.channels,
            out_channels=channels,
            height=taken.height,
            width=taken.width,
            kernel=kernel,
            stride=stride,
            attn_offsets=(),
            attn_shift=0,
            in_signed=taken.signed,
            out_signed=not relu,
            relu=relu,
        )
        return self.append(LayerStep(name=name, inputs=(x,), layer=layer))

    def classifier(self, x: str, classes: int) -> str:
        taken = self.results[x]
        weight = self.rng.integers(-127, 127, (classes, taken.channels), endpoint=True)
        bias = np.zeros(classes, np.int64)
        head = Linear(name="head", inputs=(x,), weight_bits=8, out_bits=48, out_signed=True, weight=weight, bias=bias)
        self.append(head.as_narrow_as_its_bound(taken))
        return self.append(Argmax(name="answer", inputs=("head",)))
