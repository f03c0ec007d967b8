"""A network as named steps in floats: to be trained, merged, and quantised."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.networks.step import IMAGES, POOL, Step
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import batch_norm_affine


class Mergeable(Protocol):
    """A part with a merged form, such as `golden.operators.xvolution.XVolution`."""

    def merge(self) -> DynamicConv2d: ...


class Network(nn.Module):
    """Images ``[N, C, H, W]`` to outputs ``[N, outputs]``, step by step.

    Args:
        steps: in the order of the data flow. The last is the ``head``.
        parts: the modules of ``layer`` and ``head`` steps, by name.

    Attributes:
        steps: the given steps.
        parts: the given parts, as `torch.nn.ModuleDict`.
        attended: names of the layers that were put in a convolution's place by a variant.
    """

    def __init__(self, steps: Sequence[Step], parts: Mapping[str, nn.Module], attended: Sequence[str] = ()) -> None:
        super().__init__()
        self.steps = tuple(steps)
        self.parts = nn.ModuleDict(parts)
        self.attended = tuple(attended)

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """The result of every step, and the images, by name."""
        values = {IMAGES: images}
        for step in self.steps:
            inputs = [values[name] for name in step.inputs]
            y = self._result(step, inputs)
            values[step.name] = F.relu(y) if step.relu else y
        return values

    def forward(self, images: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, outputs]``."""
        return self.values(images)[self.steps[-1].name]

    def _result(self, step: Step, inputs: list[Tensor]) -> Tensor:
        if step.kind == "add":
            return inputs[0] + inputs[1]
        if step.kind == "max_pool":
            return F.max_pool2d(inputs[0], *POOL)
        x = inputs[0].mean((2, 3)) if step.kind == "head" else inputs[0]
        return self.parts[step.name](x)

    def merged(self) -> Network:
        """This network with each layer in its merged form, `DynamicConv2d`, ready for quantisation.

        A batch norm that stands alone becomes a depthwise 1x1 convolution. The network must be
        in eval mode. Its parameters are copied.

        Raises:
            UserError: for a layer without a merged form, or a network in training mode.
        """
        parts: dict[str, nn.Module] = {}
        for name, part in self.parts.items():
            if isinstance(part, nn.Linear):
                parts[name] = copy.deepcopy(part)
            elif isinstance(part, nn.BatchNorm2d):
                parts[name] = _depthwise(part)
            else:
                parts[name] = cast(Mergeable, part).merge()
        return Network(self.steps, parts, self.attended).train(self.training)


def parameter_count(module: nn.Module) -> int:
    """Trained numbers of ``module``, batch norms included."""
    return sum(parameter.numel() for parameter in module.parameters())


def _depthwise(norm: nn.BatchNorm2d) -> DynamicConv2d:
    scale, shift = batch_norm_affine(norm)
    channels = norm.num_features
    dtype = None if norm.running_mean is None else norm.running_mean.dtype
    conv = DynamicConv2d(channels, channels, kernel_size=1, groups=channels, attn_offsets=(), dtype=dtype)
    with torch.no_grad():
        conv.conv_weight.copy_(scale[:, None, None, None])
        conv.bias.copy_(shift)
    return conv
