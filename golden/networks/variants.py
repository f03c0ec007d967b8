"""What takes the place of the 3x3 convolutions in chosen stages of a residual network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from golden.operators.linear_shift import LinearShift
from golden.operators.sliding import check_choice
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

#: Kinds of variants.
KINDS = ("conv", "wide", "linear_shift", "xvolution")
#: Which of a basic block's two convolutions are replaced.
PLACES = ("both", "first", "second")
#: What the replaced convolutions see.
FEATURES = ("relu", "signed", "normed")
#: Options of `XVolution` that `LinearShift` lacks, with the values that it allows.
PRODUCT_ONLY = {"weighting": 1, "stack": 1, "branch_norm": True}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a network has in place of its 3x3 convolutions.

    Attributes:
        kind: ``conv`` keeps the convolutions. ``xvolution`` is `XVolution`. There are two controls of
            ``xvolution``. ``linear_shift`` is `LinearShift`, which has as many parameters, but no
            product. ``wide`` is plain convolutions with more channels inside the blocks, for about as
            many parameters.
        stages: numbers of the stages, from 1.
        place: which convolutions of a basic block are replaced. A bottleneck has only one 3x3.
        options: of `XVolution`: product, heads, directions, shift, weighting, stack, branch_norm.
        zero_init: whether the attention branch's batch norm starts at a scale of 0, so that the network
            starts as a plain one.
        features: what the replaced convolutions see. ``relu`` is what a plain convolution would see.
            ``signed`` leaves out the ReLU before them, so that they see the output of a batch norm,
            half of it negative. Only a ReLU inside the block is left out: the one before the second
            convolution or a bottleneck's middle, with pre-activation also before the first.
            ``normed`` is `XVolution`'s ``feature_norm``, for the attention branch only. ``signed``
            and ``normed`` merge exactly.
    """

    kind: str = "conv"
    stages: frozenset[int] = frozenset()
    place: str = "both"
    options: Mapping[str, Any] = field(default_factory=dict)
    zero_init: bool = False
    features: str = "relu"

    def __post_init__(self) -> None:
        check_choice("variant", self.kind, KINDS)
        check_choice("place", self.place, PLACES)
        check_choice("features", self.features, FEATURES)
        check_choice("zero_init", self.zero_init, (True, False))
        if self.features == "normed" and self.kind == "linear_shift":
            raise UserError("features 'normed' is not for variant 'linear_shift', which has no product to norm for")
        for name, only in PRODUCT_ONLY.items():
            if self.kind == "linear_shift" and self.options.get(name, only) != only:
                raise UserError(f"{name} {self.options[name]!r} is not for variant 'linear_shift', allowed is {only}")

    def replaces(self, stage: int, position: str) -> bool:
        """Whether the ``first`` or ``second`` convolution of a block, or a bottleneck's ``middle``, is replaced."""
        return (
            self.kind != "conv" and stage in self.stages and (position == "middle" or self.place in ("both", position))
        )

    def signed(self, stage: int, position: str) -> bool:
        """Whether the ReLU before the convolution at ``position`` is left out."""
        return self.kind != "wide" and self.features == "signed" and self.replaces(stage, position)

    def unit(self, in_channels: int, out_channels: int, *, stride: int, device: str | None = None) -> nn.Module:
        """What stands in a replaced 3x3 convolution's place, batch norms included."""
        if self.kind == "wide":
            return plain_unit(in_channels, out_channels, 3, stride=stride, device=device)
        if self.kind == "linear_shift":
            options = {name: value for name, value in self.options.items() if name not in PRODUCT_ONLY}
            unit: nn.Module = LinearShift(in_channels, out_channels, stride=stride, device=device, **options)
        else:
            unit = self.xvolution(in_channels, out_channels, stride=stride, device=device)
        if self.zero_init and isinstance(unit.attn_norm, nn.BatchNorm2d):
            nn.init.zeros_(unit.attn_norm.weight)
        return unit

    def xvolution(self, in_channels: int, out_channels: int, *, stride: int, device: str | None = None) -> XVolution:
        """The X-volution with these options; ``wide`` and ``linear_shift`` are its controls."""
        options: dict[str, Any] = {**self.options, "feature_norm": self.features == "normed"}
        return XVolution(in_channels, out_channels, stride=stride, device=device, **options)


def plain_unit(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, device: str | None = None
) -> XVolution:
    """A convolution and its batch norm: X-volution without directions."""
    return XVolution(in_channels, out_channels, kernel_size=kernel_size, stride=stride, directions=(), device=device)
