"""Residual networks (arXiv 1512.03385, with pre-activation 1603.05027) as steps, with a variant in chosen stages.

A ``unit`` is a convolution or what replaces it, batch norms included. A basic block with
post-activation, and one with pre-activation, are::

    post   relu(unit2(relu(unit1(x))) + shortcut(x))
    pre    unit2(relu(unit1(a))) + shortcut(x or a),   a = relu(norm(x))

The shortcut is ``x`` itself where the block keeps the shape. Else it is a 1x1 unit, of ``x`` with
post-activation and of ``a`` with pre-activation. Every unit ends in its own batch norm. So a batch
norm follows the last convolution of a pre-activation block, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from golden.contract.network.network import IMAGE
from golden.networks.variants import Variant, plain_unit
from golden.operators.network import Network, parameter_count
from golden.operators.sliding import check_choice
from golden.operators.step import Step
from golden.support.arrays import plain
from golden.support.cli import UserError

#: The max pool behind the stem of networks for large images.
POOL = {"kernel": 3, "stride": 2, "pad": 1}
#: Where the activation stands in a block.
BLOCKS = ("post", "pre")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The shape of a residual network of one depth.

    Attributes:
        blocks: number of blocks in each stage. From the second stage on, the first block halves the frame.
        widths: channels of the 3x3 convolutions of each stage.
        expansion: output channels of a block, divided by its width. It is 4 for bottlenecks, else 1.
        large: whether images are of ImageNet's size. Then the stem is 7x7 with a stride of 2, and a
            max pool follows it.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    expansion: int = 1
    large: bool = False


SMALL = (16, 32, 64)
LARGE = (64, 128, 256, 512)
ARCHITECTURES = {
    8: Architecture(blocks=(1, 1, 1), widths=SMALL),
    14: Architecture(blocks=(2, 2, 2), widths=SMALL),
    20: Architecture(blocks=(3, 3, 3), widths=SMALL),
    34: Architecture(blocks=(3, 4, 6, 3), widths=LARGE, large=True),
    50: Architecture(blocks=(3, 4, 6, 3), widths=LARGE, expansion=4, large=True),
}


def resnet(
    depth: int,
    *,
    in_channels: int,
    outputs: int,
    block: str = "post",
    variant: Variant | None = None,
) -> Network:
    """A residual network with freshly drawn weights (PyTorch's global seed).

    Args:
        depth: one of `ARCHITECTURES`: 8, 14 or 20 for small images (8x8 is enough), 34 or 50 for
            large images.
        in_channels: of the images.
        outputs: of the network.
        block: ``post`` or ``pre`` activation; 50 has ``post`` only.
        variant: what takes the place of 3x3 convolutions. None keeps all of them.

    Raises:
        UserError: naming the argument, its value and what is allowed.
    """
    check_choice("depth", depth, tuple(ARCHITECTURES))
    check_choice("block", block, BLOCKS)
    architecture = ARCHITECTURES[depth]
    variant = Variant() if variant is None else variant
    stages = len(architecture.blocks)
    for stage in variant.stages:
        if type(plain(stage)) is not int or not 1 <= stage <= stages:
            raise UserError(f"stages has {stage!r}, allowed with depth {depth} are 1 to {stages}")
    if architecture.expansion > 1 and (block == "pre" or variant.place != "both"):
        raise UserError(f"depth {depth} has bottlenecks, allowed are block 'post' and place 'both'")
    builder = _Builder(variant)
    return builder.network(architecture, in_channels, outputs, pre=block == "pre")


class _Builder:
    """Collects steps and parts. A method that adds steps returns the name of the last one."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.steps: list[Step] = []
        self.parts: dict[str, nn.Module] = {}
        self.attended: list[str] = []

    def network(self, architecture: Architecture, in_channels: int, outputs: int, *, pre: bool) -> Network:
        channels = architecture.widths[0]
        kernel, stride = (7, 2) if architecture.large else (3, 1)
        # With pre-activation the first block has its own norm and ReLU.
        x = self.layer("stem", IMAGE, plain_unit(in_channels, channels, kernel, stride=stride), relu=not pre)
        if architecture.large:
            x = self.add_step(Step(name="pool", op="max_pool", inputs=(x,), options=POOL))
        for stage, (blocks, width) in enumerate(zip(architecture.blocks, architecture.widths, strict=True), start=1):
            for index in range(blocks):
                stride = 2 if stage > 1 and index == 0 else 1
                name = f"stage{stage}_block{index + 1}"
                out = width * architecture.expansion
                if architecture.expansion > 1:
                    x = self.bottleneck(name, x, stage, channels, width, out, stride)
                elif pre:
                    x = self.pre_block(name, x, stage, channels, out, stride)
                else:
                    x = self.post_block(name, x, stage, channels, out, stride)
                channels = out
        if pre:
            x = self.layer("norm", x, nn.BatchNorm2d(channels), relu=True)
        self.parts["head"] = nn.Linear(channels, outputs)
        self.add_step(Step(name="head", op="linear", inputs=(x,)))
        return Network(self.steps, self.parts, self.attended)

    def post_block(self, name: str, x: str, stage: int, channels: int, out: int, stride: int) -> str:
        y = self.two_units(name, x, stage, channels, out, stride)
        shortcut = self.shortcut(name, x, channels, out, stride)
        return self.add_step(Step(name=f"{name}_add", op="add", inputs=(y, shortcut), relu=True))

    def pre_block(self, name: str, x: str, stage: int, channels: int, out: int, stride: int) -> str:
        signed = self.variant.signed(stage, "first")
        a = self.layer(f"{name}_norm", x, nn.BatchNorm2d(channels), relu=not signed)
        y = self.two_units(name, a, stage, channels, out, stride)
        changes = channels != out or stride != 1
        shortcut = self.shortcut(name, a if changes else x, channels, out, stride)
        return self.add_step(Step(name=f"{name}_add", op="add", inputs=(y, shortcut)))

    def two_units(self, name: str, x: str, stage: int, channels: int, out: int, stride: int) -> str:
        middle = self.middle_width(stage, channels, out, stride)
        signed = self.variant.signed(stage, "second")
        y = self.convolution(f"{name}_first", x, stage, "first", channels, middle, stride, relu=not signed)
        return self.convolution(f"{name}_second", y, stage, "second", middle, out, 1, relu=False)

    def bottleneck(self, name: str, x: str, stage: int, channels: int, width: int, out: int, stride: int) -> str:
        middle = self.bottleneck_width(stage, channels, width, out, stride)
        signed = self.variant.signed(stage, "middle")
        y = self.layer(f"{name}_reduce", x, plain_unit(channels, middle, 1), relu=not signed)
        y = self.convolution(f"{name}_middle", y, stage, "middle", middle, middle, stride, relu=True)
        y = self.layer(f"{name}_expand", y, plain_unit(middle, out, 1), relu=False)
        shortcut = self.shortcut(name, x, channels, out, stride)
        return self.add_step(Step(name=f"{name}_add", op="add", inputs=(y, shortcut), relu=True))

    def shortcut(self, name: str, x: str, channels: int, out: int, stride: int) -> str:
        if channels == out and stride == 1:
            return x
        return self.layer(f"{name}_shortcut", x, plain_unit(channels, out, 1, stride=stride), relu=False)

    def convolution(
        self, name: str, x: str, stage: int, position: str, channels: int, out: int, stride: int, *, relu: bool
    ) -> str:
        """A 3x3 convolution, or what the variant puts there."""
        if not self.variant.replaces(stage, position):
            return self.layer(name, x, plain_unit(channels, out, 3, stride=stride), relu=relu)
        self.attended.append(name)
        return self.layer(name, x, self.variant.unit(channels, out, stride=stride), relu=relu)

    def layer(self, name: str, x: str, part: nn.Module, *, relu: bool) -> str:
        self.parts[name] = part
        return self.add_step(Step(name=name, op="layer", inputs=(x,), relu=relu))

    def add_step(self, step: Step) -> str:
        self.steps.append(step)
        return step.name

    def middle_width(self, stage: int, channels: int, out: int, stride: int) -> int:
        """Channels between a basic block's two convolutions: ``out``, or for ``wide`` the `even_width`."""

        def plain(middle: int) -> list[nn.Module]:
            return [
                plain_unit(channels, middle, 3, stride=stride, device="meta"),
                plain_unit(middle, out, 3, device="meta"),
            ]

        def attended() -> list[nn.Module]:
            first, second = plain(out)
            if self.variant.replaces(stage, "first"):
                first = self.variant.xvolution(channels, out, stride=stride, device="meta")
            if self.variant.replaces(stage, "second"):
                second = self.variant.xvolution(out, out, stride=1, device="meta")
            return [first, second]

        return self.even_width(stage, out, plain, attended)

    def bottleneck_width(self, stage: int, channels: int, width: int, out: int, stride: int) -> int:
        """Channels of a bottleneck's 3x3 convolution: ``width``, or for ``wide`` the `even_width`."""

        def plain(middle: int) -> list[nn.Module]:
            return [
                plain_unit(channels, middle, 1, device="meta"),
                plain_unit(middle, middle, 3, stride=stride, device="meta"),
                plain_unit(middle, out, 1, device="meta"),
            ]

        def attended() -> list[nn.Module]:
            reduce, _, expand = plain(width)
            return [reduce, self.variant.xvolution(width, width, stride=stride, device="meta"), expand]

        return self.even_width(stage, width, plain, attended)

    def even_width(
        self,
        stage: int,
        width: int,
        plain: Callable[[int], Sequence[nn.Module]],
        attended: Callable[[], Sequence[nn.Module]],
    ) -> int:
        """Middle channels that a plain block needs for the number of parameters nearest to an attended block's.

        A stage that the variant ``wide`` is not for keeps ``width``.
        """
        if self.variant.kind != "wide" or stage not in self.variant.stages:
            return width

        def count(units: Sequence[nn.Module]) -> int:
            return sum(parameter_count(unit) for unit in units)

        wanted = count(attended())
        low, high = width, 16 * width  # the upper limit is far above what any option takes
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(plain(middle)) <= wanted else (low, middle)
        return min((low, high), key=lambda middle: abs(count(plain(middle)) - wanted))
