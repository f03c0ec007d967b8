"""Which modules are a scale and a shift of each channel while they evaluate, and so can be folded into weights."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from golden.operators.parts import detached_copy, in_float64, plain_type, refuse_hooks, settled
from golden.support.cli import UserError

#: PyTorch's batch norms of frames. While they evaluate, they are a formula of their statistics.
BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
BatchNorm = nn.BatchNorm2d | nn.SyncBatchNorm

#: What a module is probed with: magnitudes that reach all of float32, and frames from one pixel up.
MAGNITUDES = (1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e30)
SIZES = ((1, 1), (2, 3), (5, 4))
#: Frames in a probe.
FRAMES = 3
#: The most that a probe may be off, as a part of the terms that it adds.
TOLERANCE = 1e-9


def channel_affine(norm: nn.Module, channels: int, *, name: str = "the norm") -> tuple[Tensor, Tensor]:
    """What ``norm`` is while it evaluates: ``norm(y)[o] = scale[o] * y[o] + shift[o]``.

    The identity has a scale of 1 and a shift of 0. `BATCH_NORMS` have what their statistics give. Any
    other module has what probes show: random frames of all magnitudes of float32, on which it must
    be a scale and a shift. So a frozen batch norm of somebody's own is folded. A group norm is
    refused, and so is a batch norm with an activation inside.

    Args:
        norm: the module. It is left as it is.
        channels: O, of the frames that it takes.
        name: what messages call it.

    Returns:
        ``(scale, shift)``, ``[O]`` each, in float64 on the CPU (not every device has float64).

    Raises:
        UserError: for a module that is training or takes the statistics of its batch, as it has no
            fixed scale; for one with hooks; and for one that is anything but a scale and a shift.
    """
    if plain_type(norm) is nn.Identity:
        refuse_hooks(norm, name=name)
        return torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    if any(part.training for part in norm.modules()):
        raise UserError(f"{name} is in training mode, allowed is eval mode, where its scale is fixed (call eval())")
    refuse_hooks(norm, name=name)
    if is_batch_norm(norm):
        scale, shift = _formula(settled(norm), name)
        if len(scale) != channels:
            raise UserError(f"{name} has {len(scale)} channels, allowed are the {channels} that come in")
        return scale, shift
    return _probed(norm, channels, name)


def is_batch_norm(norm: nn.Module) -> TypeGuard[BatchNorm]:
    """Whether ``norm`` is one of `BATCH_NORMS`, parametrised or not, and not of a class made from one."""
    return plain_type(norm) in BATCH_NORMS


def _formula(norm: BatchNorm, name: str) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise UserError(f"{name} keeps no running statistics, allowed is a batch norm that does")
    mean, variance = in_float64(norm.running_mean), in_float64(norm.running_var)
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * in_float64(norm.weight)
    shift = -mean * scale
    return scale, shift if norm.bias is None else shift + in_float64(norm.bias)


def _probed(norm: nn.Module, channels: int, name: str) -> tuple[Tensor, Tensor]:
    """Scale and shift as a copy of ``norm`` shows them, which is a `UserError` where it has none."""
    refusal = UserError(
        f"{name} is a {plain_type(norm).__name__}, allowed are batch norms, Identity, "
        "and what only scales and shifts each channel in eval mode"
    )
    probe = detached_copy(norm).cpu().double().eval()
    generator = torch.Generator().manual_seed(0)

    def answer(x: Tensor) -> Tensor:
        try:
            with torch.no_grad():
                y = probe(x)
        except Exception as error:  # a module of somebody's own raises what it likes
            raise refusal from error
        if not isinstance(y, Tensor) or y.shape != x.shape:
            raise refusal
        return y

    # The larger the probes, the less a large mean rounds the scale.
    large = torch.full((1, channels, 1, 1), 2.0**20, dtype=torch.float64)
    scale = ((answer(large) - answer(-large)) / (2 * large)).flatten()
    shift = answer(torch.zeros_like(large)).flatten()
    by_channel = (slice(None), None, None)
    for magnitude in MAGNITUDES:
        for size in SIZES:
            x = magnitude * torch.randn(FRAMES, channels, *size, generator=generator, dtype=torch.float64)
            wanted = scale[by_channel] * x + shift[by_channel]
            terms = (scale[by_channel] * x).abs() + shift.abs()[by_channel] + scale.abs()[by_channel]
            # Written so that what is not a number is refused.
            if not ((answer(x) - wanted).abs() <= TOLERANCE * terms).all():
                raise refusal
    return scale, shift
