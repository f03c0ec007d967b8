"""Networks of the field, built from their published structures, a quarter as wide: all of each is read."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.convert.convert import convert
from tests.support.tiers import nightly, thorough

WIDTH = 16


def unit(
    c: int, o: int, kernel: int, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Module:
    conv = nn.Conv2d(c, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o), *([] if act is None else [act(inplace=True)]))


class BasicBlock(nn.Module):
    """Of ResNet-18 (arXiv 1512.03385)."""

    def __init__(self, c: int, o: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = unit(c, o, 3, stride), unit(o, o, 3, act=None)
        self.down = unit(c, o, 1, stride, act=None) if stride > 1 or c != o else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.second(self.first(x))
        out += x if self.down is None else self.down(x)
        return F.relu(out, inplace=True)


def resnet18() -> nn.Module:
    blocks, channels = [], WIDTH
    for stage in range(4):
        for block in range(2):
            outputs = WIDTH * 2**stage
            blocks.append(BasicBlock(channels, outputs, 2 if stage and not block else 1))
            channels = outputs
    stem = [unit(3, WIDTH, 7, 2), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, 10))


class InvertedResidual(nn.Module):
    """Of MobileNetV2 (arXiv 1801.04381)."""

    def __init__(self, c: int, o: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = c * expand
        expansion = [unit(c, wide, 1, act=nn.ReLU6)] if expand > 1 else []
        depthwise = unit(wide, wide, 3, stride, wide, nn.ReLU6)
        self.conv, self.same = nn.Sequential(*expansion, depthwise, unit(wide, o, 1, act=None)), stride == 1 and c == o

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.same else self.conv(x)


def mobilenet_v2() -> nn.Module:
    layers, channels = [unit(3, 8, 3, 2, act=nn.ReLU6)], 8
    settings = [(1, 4, 1, 1), (6, 6, 2, 2), (6, 8, 3, 2), (6, 16, 4, 2), (6, 24, 3, 1), (6, 40, 3, 2), (6, 80, 1, 1)]
    for expand, outputs, count, stride in settings:
        for block in range(count):
            layers.append(InvertedResidual(channels, outputs, 1 if block else stride, expand))
            channels = outputs
    head = [unit(channels, 320, 1, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, *head, nn.Linear(320, 10))


def mobilenet_v1() -> nn.Module:
    """Of arXiv 1704.04861, as MLPerf Tiny's visual wake words has it, at a quarter of the width."""
    layers, channels = [unit(3, 8, 3, 2)], 8
    for outputs, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
        layers += [unit(channels, channels, 3, stride, channels), unit(channels, outputs, 1)]
        channels = outputs
    return nn.Sequential(*layers, nn.AvgPool2d(3), nn.Flatten(), nn.Linear(channels, 2))


#: Of each network: its side, and the steps that it becomes, by op.
CASES = {
    resnet18: (64, {"layer": 20, "max_pool": 1, "add": 8, "linear": 1}),
    mobilenet_v2: (64, {"layer": 52, "add": 10, "linear": 1}),
    mobilenet_v1: (96, {"layer": 27, "linear": 1}),
}


@pytest.mark.parametrize("made", [pytest.param(made, marks=nightly if i else thorough) for i, made in enumerate(CASES)])
def test_networks_of_the_field(made: type[nn.Module]) -> None:
    """The float network is the source's, or the conversion would refuse it. Minmax is quick, and loses least here."""
    torch.manual_seed(0)
    side, ops = CASES[made]
    module = made().train()
    images = torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(1))
    for _ in range(20):
        module(images)  # its batch norms learn the statistics that they have
    converted = convert(module.eval(), images.numpy().astype(np.float64), method="minmax")
    assert Counter(step.op for step in converted.network.steps) == ops
    assert converted.images == 6 and converted.changed == 0
    assert converted.differences[converted.network.output].part < 0.1
