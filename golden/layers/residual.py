"""Residual networks of random weights, in integers: networks too large to check in.

The graphs are those of arXiv 1512.03385, batch norms folded into the convolutions, and of
`golden.networks.resnet`. Steps have the same names as there.

The weights of each output sum to about 0, and biases are small. So what comes out depends on the image.
Multipliers follow from the weights and from how far elements typically deviate from their mean, which
is carried along from step to step. So the results of all depths spread over their formats: few
saturate, and none vanish.

A recipe of power-of-two scales takes for each multiplier the power of two next to it, in logarithm. Images
and weights are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_config import NEIGHBOURS
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import FRAME, AvgPool
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.contract.powers import in_lowest_terms, nearest_power
from golden.contract.ranges import Range
from golden.layers.random_layer import random_layer, scaled

#: Deviations of a sum that its format reaches to: one sum in a few hundred saturates.
REACH = 3
#: What a ReLU leaves of the standard deviation of a sum with mean 0, and of one whose second operand is not negative.
RELU_LEFT, SUM_LEFT = 0.58, 0.8
#: Mean square behind a ReLU or a sum, divided by the variance.
RELU_SQUARE = 1.5
#: A bias is one of `random_layer` divided by this: large ones would hide what an image is.
BIAS_PART = 16
#: Where the multipliers of an `Add` and of an average have their binary point.
ADD_SHIFT, MEAN_SHIFT = 14, 20


def resnet8_xvolution() -> IntegerNetwork:
    """The ResNet-8 of the studies: 28x28x1, X-volutions in its last stage. Seed 8."""
    return random_resnet(8, side=28, channels=1, widths=(16, 32, 64), blocks=(1, 1, 1), classes=10, attended={3})


def resnet8() -> IntegerNetwork:
    """ResNet-8 at 32x32x3, ten classes: the structure of MLPerf Tiny's image classifier. Seed 8."""
    return random_resnet(8, side=32, widths=(16, 32, 64), blocks=(1, 1, 1), classes=10)


def resnet8_po2() -> IntegerNetwork:
    """`resnet8` with multipliers that are powers of two in all steps."""
    return random_resnet(8, side=32, widths=(16, 32, 64), blocks=(1, 1, 1), classes=10, powers_of_two=True)


def resnet20() -> IntegerNetwork:
    """ResNet-20 at 32x32x3, ten classes. Seed 20."""
    return random_resnet(20, side=32, widths=(16, 32, 64), blocks=(3, 3, 3), classes=10)


def resnet20_po2() -> IntegerNetwork:
    """`resnet20` with multipliers that are powers of two in all steps."""
    return random_resnet(20, side=32, widths=(16, 32, 64), blocks=(3, 3, 3), classes=10, powers_of_two=True)


def resnet20_xvolution() -> IntegerNetwork:
    """ResNet-20 at 32x32x3, ten classes, X-volutions in its last stage. Seed 20."""
    return random_resnet(20, side=32, widths=(16, 32, 64), blocks=(3, 3, 3), classes=10, attended={3})


def resnet34() -> IntegerNetwork:
    """ResNet-34 at 224x224x3, 1000 classes. Seed 34."""
    return random_resnet(34, side=224, widths=(64, 128, 256, 512), blocks=(3, 4, 6, 3), classes=1000, large=True)


def random_resnet(
    seed: int,
    *,
    side: int,
    channels: int = 3,
    widths: Sequence[int],
    blocks: Sequence[int],
    classes: int,
    large: bool = False,
    attended: Collection[int] = (),
    powers_of_two: bool = False,
) -> IntegerNetwork:
    """A residual network of basic blocks in 8 bits, from an image to a class.

    Args:
        seed: of the weights.
        side: height and width of the image.
        channels: of the image.
        widths: channels of each stage. Each stage but the first halves the frame.
        blocks: number of blocks of each stage.
        classes: outputs of the classifier.
        large: whether the stem is 7x7 with a stride of 2, and a max pool follows it. The classifier then
            takes the frame's mean, rounded, else the frame's sum.
        attended: stages, from 1, whose 3x3 convolutions are X-volutions of the product ``hadamard``.
        powers_of_two: whether all multipliers of layers and additions are powers of two. Not for ``large``
            networks, whose mean divides by a number of pixels that is none.
    """
    assert not (large and powers_of_two)
    image = Result(channels=channels, height=side, width=side, bits=8, signed=False)
    builder = _Builder(seed, image, powers_of_two=powers_of_two)
    x = builder.layer("stem", IMAGE, widths[0], kernel=7 if large else 3, stride=2 if large else 1, relu=True)
    if large:
        x = builder.max_pool("pool", x)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = builder.block(f"stage{stage}_block{block}", x, width, stride=stride, attended=stage in attended)
    if large:
        x = builder.frame_mean("mean", x)
    return builder.network(builder.classifier(x, classes))


class _Builder(NetworkBuilder):
    """Each method appends steps and returns the name of the last one."""

    def __init__(self, seed: int, image: Result, *, powers_of_two: bool) -> None:
        super().__init__(image)
        self.powers_of_two = powers_of_two
        self.rng = np.random.default_rng(seed)
        #: About the standard deviation of the elements of each result; an image's elements are uniform.
        self.spread = {IMAGE: image.limits.high / 12**0.5}

    def block(self, name: str, x: str, width: int, stride: int, attended: bool) -> str:
        first = self.layer(f"{name}_first", x, width, stride=stride, relu=True, attended=attended)
        second = self.layer(f"{name}_second", first, width, relu=False, attended=attended)
        if stride > 1 or self.results[x].channels != width:
            x = self.layer(f"{name}_shortcut", x, width, kernel=1, stride=stride, relu=False)
        return self.add(f"{name}_add", second, x)

    def add(self, name: str, *operands: str) -> str:
        """The sum of two operands that count the same."""
        limit = Range.of_format(8, signed=False).high
        # An operand that is not negative has about as large a mean as its deviation.
        mean, left = (0, RELU_LEFT) if self.results[operands[1]].signed else (1, SUM_LEFT)
        deviation = limit / (mean + REACH * 2**0.5)
        spreads = np.array([self.spread[operand] for operand in operands])
        scales = self.allowed(deviation / spreads)
        multipliers, shift = self.lowest(np.rint(scales * 2**ADD_SHIFT).astype(np.int64), ADD_SHIFT)
        self.spread[name] = left * float(np.linalg.norm(scales * spreads))
        first, second = map(int, multipliers)
        return self.append(
            Add(
                name=name,
                inputs=operands,
                multipliers=(first, second),
                shift=shift,
                out_bits=8,
                out_signed=False,
                relu=True,
            )
        )

    def layer(
        self, name: str, x: str, channels: int, *, kernel: int = 3, stride: int = 1, relu: bool, attended: bool = False
    ) -> str:
        taken = self.results[x]
        layer = random_layer(
            self.rng,
            in_channels=taken.channels,
            out_channels=channels,
            height=taken.height,
            width=taken.width,
            kernel=kernel,
            stride=stride,
            attn_offsets=NEIGHBOURS if attended else (),
            attn_shift=5 if attended else 0,
            in_signed=taken.signed,
            out_signed=not relu,
            relu=relu,
        )
        layer = dataclasses.replace(
            layer,
            conv_weight=_balanced(layer.conv_weight, axes=(1, 2, 3)),
            attn_weight=_balanced(layer.attn_weight, axes=(2,)) if attended else layer.attn_weight,
            bias=layer.bias // BIAS_PART,
        )
        deviation = layer.config.out_range.high / REACH
        sums = _typical_sums(layer, self.spread[x])
        scales = self.allowed(deviation / sums)
        layer = scaled(layer, scales)
        multiplier, out_shift = self.lowest(layer.multiplier, layer.config.out_shift)
        config = dataclasses.replace(layer.config, out_shift=out_shift)
        layer = dataclasses.replace(layer, config=config, multiplier=multiplier)
        self.spread[name] = float(np.sqrt(np.square(scales * sums).mean())) * (RELU_LEFT if relu else 1)
        return self.append(LayerStep(name=name, inputs=(x,), layer=layer))

    def allowed(self, scales: np.ndarray) -> np.ndarray:
        """``scales``, or the powers of two next to them."""
        return nearest_power(scales) if self.powers_of_two else scales

    def lowest(self, multipliers: np.ndarray, shift: int) -> tuple[np.ndarray, int]:
        """``multipliers`` and ``shift``, in lowest terms where they are powers of two."""
        return in_lowest_terms(multipliers, shift) if self.powers_of_two else (multipliers, shift)

    def max_pool(self, name: str, x: str) -> str:
        # Behind a ReLU the largest of 3x3 elements deviates about as far as one of them.
        self.spread[name] = self.spread[x]
        return self.append(MaxPool(name=name, inputs=(x,), kernel=3, stride=2, pad=1))

    def frame_mean(self, name: str, x: str) -> str:
        taken = self.results[x]
        multiplier = round(2**MEAN_SHIFT / (taken.height * taken.width))
        return self.append(
            AvgPool(
                name=name,
                inputs=(x,),
                kernel=FRAME,
                stride=1,
                multiplier=multiplier,
                shift=MEAN_SHIFT,
                out_bits=8,
                out_signed=False,
            )
        )

    def classifier(self, x: str, classes: int) -> str:
        taken = self.results[x]
        weight = self.rng.integers(-127, 127, (classes, taken.channels), endpoint=True)
        weight, bias = _balanced(weight, axes=(1,)), np.zeros(classes, np.int64)
        head = Linear(name="head", inputs=(x,), weight_bits=8, out_bits=48, out_signed=True, weight=weight, bias=bias)
        self.append(head.as_narrow_as_its_bound(taken))
        return self.append(Argmax(name="answer", inputs=("head",)))


def _balanced(weight: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """8-bit ``weight``, shifted so that its sums over ``axes`` are about 0.

    What the elements have in common then cancels.
    """
    means = weight.mean(axis=axes, keepdims=True)
    return np.clip(weight - np.rint(means).astype(np.int64), -127, 127)


def _typical_sums(layer: Layer, spread: float) -> np.ndarray:
    """About the root mean square of ``acc`` of each output, ``[O]``, for elements whose deviation is ``spread``.

    Weights of a ``hadamard`` layer are random and balanced, so the squares of the terms add up. A term
    of the attention is a centre, behind a ReLU, times the neighbour's difference from the mean.
    """
    conv, attn = (
        np.square(weight.astype(np.float64)).reshape(len(weight), -1).sum(axis=1)
        for weight in (layer.conv_weight, layer.attn_weight)
    )
    squares = 4**layer.config.attn_shift * spread**2 * conv + RELU_SQUARE * spread**4 * attn
    return np.sqrt(squares + np.square(layer.bias.astype(np.float64)))
