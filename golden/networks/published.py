"""Networks of the field as plain PyTorch modules, from the structures that were published. Their weights are random.

`MLPERF_TINY` has those of the benchmark MLPerf Tiny, `FIELD` those that torchvision and timm have by the same names,
of any width. Frames are padded as PyTorch pads, the same on all sides. TensorFlow, in which MLPerf Tiny was trained,
pads frames of even sides at a stride of 2 below and to the right alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Passes of random images from which batch norms learn their statistics.
PASSES = 20


def settled(module: nn.Module, images: Tensor) -> nn.Module:
    """``module`` in eval mode, its batch norms with the statistics that it has on ``images`` ``[N, C, H, W]``."""
    module.train()
    with torch.no_grad():
        for _ in range(PASSES):
            module(images)
    return module.eval()


def unit(
    c: int,
    o: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Module:
    """A convolution, a batch norm, and what follows; None: nothing."""
    conv = nn.Conv2d(c, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o), *([] if act is None else [act(inplace=True)]))


class Residual(nn.Module):
    """``relu(body(x) + x)``, or a projection of ``x``."""

    def __init__(self, body: nn.Module, projection: nn.Module | None) -> None:
        super().__init__()
        self.body, self.down = body, projection

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``."""
        out = self.body(x)
        out += x if self.down is None else self.down(x)
        return F.relu(out, inplace=True)


def basic(c: int, o: int, stride: int) -> nn.Module:
    """The block of ResNet-18."""
    projection = unit(c, o, 1, stride, act=None) if stride > 1 or c != o else None
    return Residual(nn.Sequential(unit(c, o, 3, stride), unit(o, o, 3, act=None)), projection)


def bottleneck(c: int, o: int, stride: int, *, groups: int = 1, width: int | None = None) -> nn.Module:
    """The block of ResNet-50, with the stride in its 3x3 convolution as torchvision has it."""
    inner = o // 4 if width is None else width
    body = nn.Sequential(unit(c, inner, 1), unit(inner, inner, 3, stride, groups=groups), unit(inner, o, 1, act=None))
    return Residual(body, unit(c, o, 1, stride, act=None) if stride > 1 or c != o else None)


def stages(
    block: Callable[[int, int, int], nn.Module], c: int, widths: Sequence[int], counts: Sequence[int]
) -> list[nn.Module]:
    """Blocks of stages. Each stage but the first halves the frame."""
    made = []
    for stage, (width, count) in enumerate(zip(widths, counts, strict=True)):
        for index in range(count):
            made.append(block(c, width, 2 if stage and not index else 1))
            c = width
    return made


def head(c: int, classes: int, *dropout: nn.Module) -> list[nn.Module]:
    """The mean of each channel, and a classifier."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropout, nn.Linear(c, classes)]


def image_classification() -> nn.Module:
    """ResNet-8, 32x32x3, ten classes (arXiv 2106.07597)."""
    widths = (16, 32, 64)
    return nn.Sequential(unit(3, 16, 3), *stages(basic, 16, widths, (1, 1, 1)), *head(64, 10))


def visual_wake_words() -> nn.Module:
    """MobileNetV1 at a quarter of its width, 96x96x3, two classes (arXiv 2106.07597)."""
    return mobilenet_v1(0.25, 2)


def resnet(block: Callable[[int, int, int], nn.Module], counts: Sequence[int], width: float, grown: int) -> nn.Module:
    """A ResNet for ImageNet (arXiv 1512.03385); its stages have ``grown`` times the channels of ResNet-18."""
    first = round(64 * width)
    stem = [unit(3, first, 7, 2), nn.MaxPool2d(3, 2, 1)]
    widths = [grown * first * 2**stage for stage in range(4)]
    return nn.Sequential(*stem, *stages(block, first, widths, counts), *head(widths[-1], 10))


def resnet18(width: float) -> nn.Module:
    return resnet(basic, (2, 2, 2, 2), width, 1)


def resnet34(width: float) -> nn.Module:
    return resnet(basic, (3, 4, 6, 3), width, 1)


def resnet50(width: float) -> nn.Module:
    return resnet(bottleneck, (3, 4, 6, 3), width, 4)


def resnext50_32x4d(width: float) -> nn.Module:
    """Groups between one and all channels (arXiv 1611.05431)."""

    def block(c: int, o: int, stride: int) -> nn.Module:
        return bottleneck(c, o, stride, groups=max(2, round(32 * width)), width=o // 2)

    return resnet(block, (3, 4, 6, 3), width, 4)


def vgg11_bn(width: float) -> nn.Module:
    """arXiv 1409.1556, with batch norms. The classifier takes 7x7 pixels of frames of 224."""
    layers: list[nn.Module] = []
    c = 3
    for o in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if o:
            layers.append(unit(c, round(o * width), 3))
            c = round(o * width)
        else:
            layers.append(nn.MaxPool2d(2, 2))
    wide = round(4096 * width)
    linears = [nn.Linear(c, wide), nn.ReLU(True), nn.Dropout(), nn.Linear(wide, wide), nn.ReLU(True), nn.Dropout()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *linears, nn.Linear(wide, 10))


def mobilenet_v1(width: float, classes: int = 10) -> nn.Module:
    """arXiv 1704.04861."""
    outputs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    c = round(32 * width)
    layers = [unit(3, c, 3, 2)]
    for channels, stride in outputs:
        o = round(channels * width)
        layers += [unit(c, c, 3, stride, groups=c), unit(c, o, 1)]
        c = o
    return nn.Sequential(*layers, *head(c, classes))


class Inverted(nn.Module):
    """The block of MobileNetV2 and MnasNet: to more channels, depthwise, back, and ``x`` added where it fits."""

    def __init__(self, c: int, o: int, stride: int, expand: int, kernel: int, act: type[nn.Module]) -> None:
        super().__init__()
        wide = c * expand
        expansion = [unit(c, wide, 1, act=act)] if expand > 1 else []
        depthwise = unit(wide, wide, kernel, stride, groups=wide, act=act)
        self.body, self.same = nn.Sequential(*expansion, depthwise, unit(wide, o, 1, act=None)), stride == 1 and c == o

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``."""
        return x + self.body(x) if self.same else self.body(x)


def inverted(
    width: float, rows: Sequence[Sequence[int]], act: type[nn.Module], first: Sequence[nn.Module], c: int
) -> nn.Module:
    """``rows`` are expansion, channels, blocks, stride and kernel."""
    layers = list(first)
    for expand, channels, count, stride, kernel in rows:
        o = max(4, round(channels * width))
        for index in range(count):
            layers.append(Inverted(c, o, 1 if index else stride, expand, kernel, act))
            c = o
    last = round(1280 * width)
    return nn.Sequential(*layers, unit(c, last, 1, act=act), *head(last, 10, nn.Dropout(0.2)))


def mobilenet_v2(width: float) -> nn.Module:
    """arXiv 1801.04381."""
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    c = round(32 * width)
    return inverted(width, [(*row, 3) for row in rows], nn.ReLU6, [unit(3, c, 3, 2, act=nn.ReLU6)], c)


def mnasnet1_0(width: float) -> nn.Module:
    """arXiv 1807.11626, in torchvision's form without squeezing."""
    rows = [
        (3, 24, 3, 2, 3),
        (3, 40, 3, 2, 5),
        (6, 80, 3, 2, 5),
        (6, 96, 2, 1, 3),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ]
    c, o = round(32 * width), max(4, round(16 * width))
    stem = [unit(3, c, 3, 2), unit(c, c, 3, groups=c), unit(c, o, 1, act=None)]
    return inverted(width, rows, nn.ReLU, stem, o)


class RepVggBlock(nn.Module):
    """The block of RepVGG while it trains: 3x3, 1x1 and, where it fits, the batch norm of ``x``, summed."""

    def __init__(self, c: int, o: int, stride: int) -> None:
        super().__init__()
        self.dense, self.point = unit(c, o, 3, stride, act=None), unit(c, o, 1, stride, act=None)
        self.norm = nn.BatchNorm2d(c) if stride == 1 and c == o else None

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``."""
        out = self.dense(x) + self.point(x)
        return F.relu(out if self.norm is None else out + self.norm(x))


def repvgg_a0(width: float) -> nn.Module:
    """arXiv 2101.03697."""
    widths = [round(channels * width) for channels in (48, 48, 96, 192, 1280)]
    layers: list[nn.Module] = []
    c = 3
    for o, count in zip(widths, (1, 2, 4, 14, 1), strict=True):
        for index in range(count):
            layers.append(RepVggBlock(c, o, 1 if index else 2))
            c = o
    return nn.Sequential(*layers, *head(c, 10))


class Fire(nn.Module):
    """The block of SqueezeNet: few channels, then 1x1 and 3x3 beside each other."""

    def __init__(self, c: int, few: int, o: int) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = nn.Conv2d(c, few, 1), nn.Conv2d(few, o, 1), nn.Conv2d(few, o, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, 2 O, H, W]``."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


def squeezenet1_1(width: float) -> nn.Module:
    """arXiv 1602.07360. Its pools would add windows that reach over the end, of which frames of 64 pixels have none."""
    c = round(64 * width)
    layers: list[nn.Module] = [nn.Conv2d(3, c, 3, 2), nn.ReLU(True)]
    pairs = [(16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256)]
    for pair in (None, *pairs):
        if pair is None:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        else:
            few, o = (round(channels * width) for channels in pair)
            layers.append(Fire(c, few, o))
            c = 2 * o
    return nn.Sequential(
        *layers, nn.Dropout(), nn.Conv2d(c, 10, 1), nn.ReLU(True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class Dense(nn.Module):
    """A stage of DenseNet: each layer takes the results of all before it."""

    def __init__(self, c: int, grown: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(c + index * grown),
                nn.ReLU(),
                unit(c + index * grown, 4 * grown, 1),
                nn.Conv2d(4 * grown, grown, 3, padding=1, bias=False),
            )
            for index in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, H, W]``."""
        found = [x]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        return torch.cat(found, 1)


def densenet121(width: float) -> nn.Module:
    """arXiv 1608.06993."""
    c, grown = round(64 * width), round(32 * width)
    layers: list[nn.Module] = [unit(3, c, 7, 2), nn.MaxPool2d(3, 2, 1)]
    for stage, count in enumerate((6, 12, 24, 16)):
        layers.append(Dense(c, grown, count))
        c += count * grown
        norm = [nn.BatchNorm2d(c), nn.ReLU(True)]
        layers += norm if stage == 3 else [*norm, nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2)]
        c = c if stage == 3 else c // 2
    return nn.Sequential(*layers, *head(c, 10))


def alexnet(width: float) -> nn.Module:
    """arXiv 1404.5997. Its first kernel is 11x11."""
    sizes = [3, *(round(channels * width) for channels in (64, 192, 384, 256, 256))]
    pairs = list(itertools.pairwise(sizes))
    kernels = [(11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    layers: list[nn.Module] = []
    for index, ((c, o), geometry) in enumerate(zip(pairs, kernels, strict=True)):
        layers += [nn.Conv2d(c, o, *geometry), nn.ReLU(True)]
        layers += [nn.MaxPool2d(3, 2)] if index in (0, 1, 4) else []
    return nn.Sequential(*layers, *head(sizes[-1], 10))


#: The networks of MLPerf Tiny that take images, with the side of a frame.
MLPERF_TINY: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "image classification": (image_classification, 32),
    "visual wake words": (visual_wake_words, 96),
}
#: Networks by the names of torchvision and timm: each makes one of a width, as a part of the published one.
FIELD: Mapping[str, Callable[[float], nn.Module]] = {
    made.__name__: made
    for made in (
        resnet18,
        resnet34,
        resnet50,
        vgg11_bn,
        mobilenet_v1,
        mobilenet_v2,
        mnasnet1_0,
        repvgg_a0,
        squeezenet1_1,
        densenet121,
        resnext50_32x4d,
        alexnet,
    )
}
