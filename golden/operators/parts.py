"""Parts of layers as they compute: weights as a forward pass uses them, and nothing that a new module would lose.

PyTorch has two ways to make a weight from others. Weight norm and spectral norm of the older kind,
and pruning, are hooks that set the weight before each forward pass. Between two passes the weight
may be stale. Parametrisations, weight norm and spectral norm of the newer kind among them, compute
the weight whenever it is read. Both can be baked into a plain weight. Any other hook may compute
anything, so it is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from golden.support.cli import UserError

#: Hooks that set a weight before each forward pass, and do nothing else.
WEIGHT_HOOKS = (WeightNorm, SpectralNorm, BasePruningMethod)

#: What PyTorch wraps a network in to train it on several devices.
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)

M = TypeVar("M", bound=nn.Module)


def in_float64(tensor: Tensor) -> Tensor:
    """``tensor`` in float64 on the CPU, detached. Weights that are folded in float64 are rounded once."""
    return tensor.detach().cpu().double()


def detached_copy(module: M, memo: Mapping[int, object] | None = None) -> M:
    """A deep copy of ``module``, also where it holds tensors that autograd computed, as a pruned weight is.

    ``memo`` is that of `copy.deepcopy`: what stands in for the objects with these ids.
    """
    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return copy.deepcopy(module, {**computed, **(memo or {})})


def copy_with(module: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """A copy of ``module`` with each key of ``replacements`` replaced by its value wherever it is.

    A DataParallel or DistributedDataParallel is left out: the copy has the network that it wraps.
    """
    memo = {id(part): replacement for part, replacement in replacements.items()}
    # Those inside come first, so that what is around them is copied without them.
    for part in reversed(list(module.modules())):
        if isinstance(part, WRAPPERS):
            memo[id(part)] = detached_copy(part.module, memo)
    return detached_copy(module, memo)


def settled(part: M) -> M:
    """A copy of ``part`` in eval mode, each weight as the forward pass in eval mode would use it."""
    copied = detached_copy(part).eval()
    with torch.no_grad():
        for _, hook in hooks(copied):
            if isinstance(hook, WEIGHT_HOOKS):
                hook(copied, ())
    return copied


def plain_type(part: nn.Module) -> type[nn.Module]:
    """The class of ``part``. Parametrising a module puts it in a class of its own, which does not count."""
    return type_before_parametrizations(part)


def refuse_own_forward(layer: nn.Module, base: type[nn.Module]) -> None:
    """Raise `UserError` where the class of ``layer`` computes something else than its ``base``."""
    kind = plain_type(layer)
    if kind.forward is not base.forward:
        raise UserError(f"{kind.__name__} has a forward of its own, allowed is that of {base.__name__}")


def refuse_hooks(module: nn.Module, *, name: str = "", allowed: tuple[type, ...] = WEIGHT_HOOKS) -> None:
    """Raise `UserError` where something that a new module would lose runs with ``module`` or a part of it.

    It is a hook, or a ``forward`` that was set on an object. Hooks of the ``allowed`` types pass.

    Args:
        module: the module that another will stand for.
        name: what messages call ``module``. None of its own: "the layer".
        allowed: types of hooks.
    """
    for key, part in module.named_modules(prefix=name):
        where = key or "the layer"
        if "forward" in vars(part):
            raise UserError(f"{where} has a forward that was set on the object, which would be lost, remove it first")
        for kind, hook in hooks(part):
            if not isinstance(hook, allowed):
                called = getattr(hook, "__qualname__", type(hook).__qualname__)
                raise UserError(f"{where} has the {kind} {called!r}, which would be lost, remove it first")


def hooks(part: nn.Module) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Kind and function of each hook that runs before or after ``part``, forwards or backwards.

    PyTorch tells of hooks only to who registers one: the handle knows all hooks of its kind.
    """
    for kind in ("forward_pre_hook", "forward_hook", "full_backward_pre_hook", "full_backward_hook", "backward_hook"):
        # A twin shares the hooks. What registering notes beside them stays with the twin.
        twin = nn.Module.__new__(nn.Module)
        vars(twin).update(vars(part))
        try:
            handle = getattr(twin, f"register_{kind}")(lambda *_: None)
        except RuntimeError:  # there is a backward hook of the other kind, which allows none of this one beside it
            continue
        registered = handle.hooks_dict_ref()
        handle.remove()
        for hook in tuple(registered.values()):
            yield kind.replace("_", " "), hook


def is_plain(part: nn.Module) -> bool:
    """Whether ``part`` holds its weights themselves: nothing sets or computes them."""
    return not is_parametrized(part) and not any(isinstance(hook, WEIGHT_HOOKS) for _, hook in hooks(part))
