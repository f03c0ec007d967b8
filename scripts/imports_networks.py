"""The networks of `scripts.imports`, as somebody writes them who does not know this project.

Each is written once. A `Kit` says what its parts are made of: PyTorch's own modules, or Brevitas's with their
quantisers. Parts have the same names in all of them, so that what was trained in floats starts the others.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CHANNELS, CLASSES = 1, 10
#: Channels of the residual network's stages: half of those of MLPerf Tiny's ResNet-8.
WIDTHS = (8, 16, 32)
#: Of each separable block: its channels and its stride.
SEPARABLE = ((16, 1), (32, 2), (32, 1), (64, 2))


class Kit(Protocol):
    """What networks are made of. Each method makes a module."""

    @property
    def norms(self) -> bool:
        """Whether convolutions have batch norms behind them, else a bias."""

    def image(self) -> nn.Module:
        """What images come through."""

    def conv(self, channels: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
        """A convolution, padded by half its kernel."""

    def relu(self) -> nn.Module:
        """A ReLU."""

    def add(self) -> nn.Module:
        """A sum of two."""

    def mean(self) -> nn.Module:
        """What means of frames come through."""

    def linear(self, features: int, outputs: int) -> nn.Module:
        """The linear map that gives the scores."""


class _Sum(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


@dataclass(frozen=True, kw_only=True)
class Floats:
    """PyTorch's own modules."""

    norms: bool = True

    def image(self) -> nn.Module:
        return nn.Identity()

    def conv(self, channels: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
        return nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, groups=groups, bias=not self.norms)

    def relu(self) -> nn.Module:
        return nn.ReLU()

    def add(self) -> nn.Module:
        return _Sum()

    def mean(self) -> nn.Module:
        return nn.Identity()

    def linear(self, features: int, outputs: int) -> nn.Module:
        return nn.Linear(features, outputs)


class Brevitas:
    """Modules of Brevitas. Images, and weights of the first and the last step, have 8 bits.

    Batch norms scale each channel by itself. So scales are powers of two only where batch norms are in the weights.

    Args:
        bits: of all other weights and activations.
        po2: whether scales are powers of two. Those of weights are one for each channel, but for the scores.
    """

    def __init__(self, *, bits: int, po2: bool) -> None:
        from brevitas import nn as modules
        from brevitas import quant
        from brevitas.quant.fixed_point import Int8WeightPerChannelFixedPoint

        kind = "PerTensorFixedPoint" if po2 else "PerTensorFloat"
        self.norms = not po2
        self._made = modules
        self._bits = bits
        self._signed, self._unsigned = getattr(quant, f"Int8Act{kind}"), getattr(quant, f"Uint8Act{kind}")
        self._weights = Int8WeightPerChannelFixedPoint if po2 else quant.Int8WeightPerChannelFloat
        self._scores = quant.Int8WeightPerTensorFixedPoint if po2 else quant.Int8WeightPerTensorFloat
        self._bias = quant.Int32Bias

    def image(self) -> nn.Module:
        made: nn.Module = self._made.QuantIdentity(act_quant=self._signed, return_quant_tensor=True)
        return made

    def conv(self, channels: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
        made: nn.Module = self._made.QuantConv2d(
            channels,
            outputs,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=not self.norms,
            bias_quant=None if self.norms else self._bias,
            weight_quant=self._weights,
            weight_bit_width=8 if channels == CHANNELS else self._bits,
        )
        return made

    def relu(self) -> nn.Module:
        options = {"act_quant": self._unsigned, "bit_width": self._bits, "return_quant_tensor": True}
        made: nn.Module = self._made.QuantReLU(**options)
        return made

    def add(self) -> nn.Module:
        options = {"input_quant": self._signed, "input_bit_width": self._bits, "output_quant": None}
        made: nn.Module = self._made.QuantEltwiseAdd(**options, return_quant_tensor=True)
        return made

    def mean(self) -> nn.Module:
        made: nn.Module = self._made.QuantIdentity(act_quant=self._unsigned, return_quant_tensor=True)
        return made

    def linear(self, features: int, outputs: int) -> nn.Module:
        options = {"weight_quant": self._scores, "bias_quant": self._bias}
        made: nn.Module = self._made.QuantLinear(features, outputs, bias=True, **options)
        return made


class Unit(nn.Module):
    """A convolution and its batch norm, if it has one."""

    def __init__(self, kit: Kit, channels: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = kit.conv(channels, outputs, kernel, stride, groups)
        self.norm = nn.BatchNorm2d(outputs) if kit.norms else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


class Block(nn.Module):
    """Two units, and a way around them."""

    def __init__(self, kit: Kit, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = Unit(kit, channels, outputs, 3, stride), Unit(kit, outputs, outputs, 3)
        changes = stride != 1 or channels != outputs
        self.shortcut = Unit(kit, channels, outputs, 1, stride) if changes else nn.Identity()
        self.relu, self.add, self.end = kit.relu(), kit.add(), kit.relu()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.end(self.add(self.second(self.relu(self.first(x))), self.shortcut(x)))
        return y


class Separable(nn.Sequential):
    """A depthwise convolution, then one of single pixels (arXiv 1704.04861)."""

    def __init__(self, kit: Kit, channels: int, outputs: int, stride: int) -> None:
        depthwise = Unit(kit, channels, channels, 3, stride, channels)
        super().__init__(depthwise, kit.relu(), Unit(kit, channels, outputs, 1), kit.relu())


class Classifier(nn.Module):
    """A stem that halves the frame, ``blocks``, the mean of each of ``features`` channels, and a linear map."""

    def __init__(self, kit: Kit, blocks: nn.Sequential, features: int) -> None:
        super().__init__()
        self.image, self.relu, self.mean = kit.image(), kit.relu(), kit.mean()
        self.stem, self.blocks = Unit(kit, CHANNELS, WIDTHS[0], 3, 2), blocks
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), kit.linear(features, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[N, 1, H, W]`` from 0 to 1, to scores ``[N, 10]``."""
        frames = self.blocks(self.relu(self.stem(self.image(x))))
        scores: Tensor = self.head(torch.flatten(self.mean(self.pool(frames)), 1))
        return scores


def residual(kit: Kit) -> Classifier:
    """As MLPerf Tiny's ResNet-8, with half the channels, and a stem that halves the frame."""
    strides = (1, 2, 2)
    taken = (WIDTHS[0], *WIDTHS[:-1])
    blocks = [Block(kit, *sides) for sides in zip(taken, WIDTHS, strides, strict=True)]
    return Classifier(kit, nn.Sequential(*blocks), WIDTHS[-1])


def separable(kit: Kit) -> Classifier:
    """Depthwise-separable convolutions, as in MobileNetV1."""
    blocks, channels = [], WIDTHS[0]
    for outputs, stride in SEPARABLE:
        blocks.append(Separable(kit, channels, outputs, stride))
        channels = outputs
    return Classifier(kit, nn.Sequential(*blocks), channels)


def without_norms(network: nn.Module) -> Mapping[str, Any]:
    """The parameters of ``network``, in eval mode, with each batch norm in the weights before it."""
    folded = copy.deepcopy(network)
    for unit in [module for module in folded.modules() if isinstance(module, Unit)]:
        assert isinstance(unit.conv, nn.Conv2d) and isinstance(unit.norm, nn.BatchNorm2d)
        unit.conv, unit.norm = fuse_conv_bn_eval(unit.conv, unit.norm), nn.Identity()
    return folded.state_dict()


def started(floats: Classifier, kit: Kit) -> Classifier:
    """The residual network made of ``kit``, with the parameters of ``floats``."""
    network = residual(kit)
    left = network.load_state_dict(floats.state_dict() if kit.norms else without_norms(floats), strict=False)
    assert not left.unexpected_keys
    return network
