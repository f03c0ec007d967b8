"""A network as named steps in floats: to be trained, merged, and quantised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.network.avg_pool import FRAME
from golden.contract.network.network import IMAGE
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import Mergeable, filled
from golden.operators.norms import channel_affine, is_batch_norm
from golden.operators.parts import plain_type, refuse_hooks, settled
from golden.operators.step import Step
from golden.support.cli import UserError


class Network(nn.Module):
    """Images ``[N, C, H, W]`` to outputs ``[N, outputs]``, step by step.

    Args:
        steps: in the order of the data flow. The result of the last comes out.
        parts: the modules of ``layer`` and ``linear`` steps, by name.

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
        values = {IMAGE: images}
        for step in self.steps:
            inputs = [values[name] for name in step.inputs]
            y = self._result(step, inputs)
            values[step.name] = y.clamp(0, step.ceiling) if step.relu else y
        return values

    def forward(self, images: Tensor) -> Tensor:
        """``[N, C, H, W]`` to the last result: ``[N, outputs]`` behind a linear map, else ``[N, K, Ho, Wo]``."""
        last = self.steps[-1]
        y = self.values(images)[last.name]
        return y.flatten(1) if last.op in ("linear", "argmax") else y

    def _result(self, step: Step, inputs: list[Tensor]) -> Tensor:
        part = dict(self.parts.items()).get(step.name)
        return RESULT[step.op](step, part, inputs)

    def merged(self) -> Network:
        """This network with each layer in its merged form, `DynamicConv2d`, ready for quantisation.

        A norm that stands alone becomes a depthwise 1x1 convolution, where it is a scale and a shift
        (`golden.operators.norms.channel_affine`). The network must be in eval mode. Its parameters are copied.

        Raises:
            UserError: naming the layer, where it has no merged form or is in training mode.
        """
        steps: list[Step] = []
        parts: dict[str, nn.Module] = {}
        attended: list[str] = []
        channels: dict[str, int | None] = {IMAGE: None}
        like = next(self.parameters())
        for step in self.steps:
            taken = channels[step.name] = _channels(step, channels)
            inner = Network([step], {})
            if step.name in self.parts:
                inner = self._merged_step(step, taken, like)
                channels[step.name] = _outputs(inner, taken)
            steps += inner.steps
            parts |= inner.parts.items()
            if step.name in self.attended:
                attended += inner.parts
        return Network(steps, parts, attended).train(self.training)

    def _merged_step(self, step: Step, channels: int | None, like: Tensor) -> Network:
        """What stands for ``step`` and its part in the merged network."""
        try:
            merged = _merged(self.parts[step.name], channels, like)
        except UserError as error:
            raise UserError(f"layer {step.name!r}: {error}") from None
        return merged.in_place_of(step) if isinstance(merged, Network) else Network([step], {step.name: merged})

    def in_place_of(self, step: Step) -> Network:
        """This network as steps of another, where it takes what ``step`` takes, and gives what that gives.

        Its last step has the name of ``step``. The names of the others begin with it.
        """
        last = self.steps[-1].name
        (source,) = step.inputs
        names = {IMAGE: source, last: step.name} | {
            own.name: f"{step.name}_{own.name}" for own in self.steps if own.name != last
        }
        steps = [
            dataclasses.replace(own, name=names[own.name], inputs=tuple(names[name] for name in own.inputs))
            for own in self.steps
        ]
        steps[-1] = dataclasses.replace(steps[-1], relu=step.relu, ceiling=step.ceiling)
        return Network(steps, {names[name]: part for name, part in self.parts.items()})


def _layer(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    assert part is not None
    return part(inputs[0])


def _add(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] + inputs[1]


def _max_pool(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    kernel, stride, pad = (int(step.options[name]) for name in ("kernel", "stride", "pad"))
    return F.max_pool2d(inputs[0], kernel, stride, pad)


def _avg_pool(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    (x,) = inputs
    if step.options["kernel"] == FRAME:
        return x.mean((2, 3), keepdim=True)
    return F.avg_pool2d(x, int(step.options["kernel"]), int(step.options["stride"]))


def _linear(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    assert isinstance(part, nn.Linear)
    (x,) = inputs
    features = x.mean((2, 3)) if takes_means(part, x.shape[1]) else x.flatten(1)
    return part(features)[:, :, None, None]


def _concat(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(inputs), dim=1)


def _upsample(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    return F.interpolate(inputs[0], scale_factor=int(step.options["factor"]), mode="nearest")


def _argmax(step: Step, part: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0].argmax(dim=1, keepdim=True)


#: What each op makes of a step, its module and its inputs ``[N, C, H, W]``: ``[N, K, Ho, Wo]``.
RESULT: Mapping[str, Callable[[Step, nn.Module | None, Sequence[Tensor]], Tensor]] = {
    "layer": _layer,
    "add": _add,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "linear": _linear,
    "concat": _concat,
    "upsample": _upsample,
    "argmax": _argmax,
}


def takes_means(linear: nn.Linear, channels: int) -> bool:
    """Whether ``linear`` takes the mean of each of ``channels``. Else it takes every pixel of every channel."""
    return linear.in_features == channels


def parameter_count(module: nn.Module) -> int:
    """Trained numbers of ``module``, batch norms included."""
    return sum(parameter.numel() for parameter in module.parameters())


def _channels(step: Step, known: Mapping[str, int | None]) -> int | None:
    """Channels of what ``step`` takes, for a ``concat`` of all together. None: not known, as those of images."""
    counts = [known[name] for name in step.inputs]
    if step.op != "concat":
        return counts[0]
    return None if None in counts else sum(filter(None, counts))


def _outputs(network: Network, taken: int | None) -> int | None:
    """Channels of what ``network`` gives, where its image has ``taken``."""
    last = [part for part in network.parts.values() if isinstance(part, DynamicConv2d)]
    return last[-1].out_channels if last else taken


def _merged(part: nn.Module, channels: int | None, like: Tensor) -> nn.Module:
    """A ``part`` that takes ``channels`` (None: as many as images have) in its merged form.

    Where it has no tensor of its own, its merged form has the dtype and device of ``like``.
    """
    if isinstance(part, nn.Linear):
        return _plain_linear(part)
    if isinstance(part, Mergeable):
        return part.merge()
    return _depthwise(part, channels, like)


def _plain_linear(linear: nn.Linear) -> nn.Linear:
    """A copy of ``linear`` with the weights that its forward pass uses."""
    if plain_type(linear) is not nn.Linear:
        raise UserError(f"is a {plain_type(linear).__name__}, allowed is Linear itself, not a subclass")
    refuse_hooks(linear)
    own = settled(linear)
    plain = nn.Linear(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
    for name, _ in list(plain.named_parameters()):
        weight = getattr(own, name)
        setattr(plain, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
    return plain


def _depthwise(norm: nn.Module, channels: int | None, like: Tensor) -> DynamicConv2d:
    """A norm that stands alone as a convolution of each channel by itself."""
    if channels is None:
        if not is_batch_norm(norm):
            raise UserError(f"takes the images and is a {plain_type(norm).__name__}, allowed are batch norms")
        channels = norm.num_features
    scale, shift = channel_affine(norm, channels)
    like = next((t for t in (*norm.parameters(), *norm.buffers()) if t.is_floating_point()), like)
    conv = DynamicConv2d(
        channels, channels, kernel_size=1, groups=channels, attn_offsets=(), device=like.device, dtype=like.dtype
    )
    return filled(conv, conv_weight=scale[:, None, None, None], bias=shift)
