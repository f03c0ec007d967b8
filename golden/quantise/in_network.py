"""One layer of any float network in integers, and what the layer gets to see."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from golden.operators.norms import channel_affine
from golden.operators.parts import copy_with
from golden.operators.takers import Takers
from golden.quantise.integer_layer import IntegerLayer
from golden.quantise.layer import quantise
from golden.support.cli import UserError

#: Options of `quantise` that the network decides.
FROM_NETWORK = ("norm", "relu")


def quantise_in(network: nn.Module, name: str, *inputs: Any, **options: Any) -> nn.Module:
    """A copy of ``network`` whose layer ``name`` computes in integers, an `IntegerLayer`.

    The frames that the layer gets for ``inputs`` calibrate it. A norm that alone takes the layer's
    result is folded in, and the identity takes its place. A ReLU that alone takes what then comes out
    becomes the layer's, too. This is seen by tracing (`golden.operators.takers`). A norm or ReLU
    behind anything else, an addition for one, is not the layer's and stays in floats. So does all that
    cannot be seen.

    Args:
        network: in eval mode. It stays as it is.
        name: of a Conv2d, an XVolution or a DynamicConv2d, as in ``network.named_modules()``.
        inputs: what ``network`` is called with, a batch of images for one.
        options: of `golden.quantise.layer.quantise`, but for ``norm`` and ``relu``.

    Returns:
        The copy. Its module ``name`` has the integer layer as ``layer``. A network that is wrapped in
        DataParallel or DistributedDataParallel is copied without it, so names lose their ``module``.

    Raises:
        UserError: as `layer_inputs` and `quantise` raise it, naming the module, and for an option that the
            network decides.

    Warns:
        UserWarning: naming a norm that follows and stays in floats, and why.
    """
    for option in FROM_NETWORK:
        if option in options:
            raise UserError(f"option {option!r} follows from the network, allowed are other options of quantise()")
    frames = layer_inputs(network, name, *inputs)
    layer = network.get_submodule(name)
    takers = Takers(network, given=len(inputs))
    norm = _norm_behind(takers, name, getattr(layer, "out_channels", 0))
    behind = takers.of(name if norm is None else norm)
    relu = behind is not None and len(behind) == 1 and behind[0].is_relu
    folded = None if norm is None else network.get_submodule(norm)
    try:
        integers = quantise(layer, frames, norm=folded, relu=relu, **options)
    except UserError as error:
        raise UserError(f"module {name!r}: {error}") from None
    replacements: dict[nn.Module, nn.Module] = {layer: IntegerLayer(integers).eval()}
    if folded is not None:
        replacements[folded] = nn.Identity().eval()
    return copy_with(network, replacements)


def layer_inputs(network: nn.Module, name: str, *inputs: Any) -> Tensor:
    """The frames ``[N, C, H, W]`` that module ``name`` gets when ``network`` is called with ``inputs``.

    Raises `UserError` for a network in training mode, which the call would change; for a name that is
    none of its modules; and for a module that gets no frames, or frames of several sizes.
    """
    learning = next((key for key, part in network.named_modules() if part.training), None)
    if learning is not None:
        where = f"module {learning!r}" if learning else "the network"
        raise UserError(f"{where} is in training mode, allowed is eval mode (call eval())")
    modules = dict(network.named_modules(remove_duplicate=False))
    if name not in modules:
        raise UserError(f"module {name!r} is not in this {type(network).__name__}")
    seen: list[Tensor] = []

    def note(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append((*given, *named.values())[0])

    handle = modules[name].register_forward_pre_hook(note, with_kwargs=True)
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        handle.remove()
    sizes = {tuple(frames.shape[1:]) for frames in seen}
    if len(sizes) != 1:
        found = "is not called" if not seen else f"gets frames of the sizes {sorted(sizes)}, allowed is one size"
        raise UserError(f"module {name!r} {found}")
    return torch.cat(seen)


def _norm_behind(takers: Takers, name: str, channels: int) -> str | None:
    """Name of the norm that alone takes the ``channels`` of module ``name``, and can be folded in.

    Warns of a norm that stays.
    """
    behind = takers.of(name)
    if behind is None:
        norm = takers.norm_registered_next(name)
        reason = "nobody can see what follows the layer; quantise(..., norm=...) folds it in"
    else:
        taker = next((taker for taker in behind if taker.is_norm), None)
        if taker is None or taker.module is None:
            return None
        norm = taker.name
        reason = _why_not(takers, taker.name, taker.module, alone=len(behind) == 1, channels=channels)
    if norm is not None and reason:
        warnings.warn(f"norm {norm!r} behind module {name!r} stays in floats: {reason}", stacklevel=3)
        return None
    return norm


def _why_not(takers: Takers, name: str, norm: nn.Module, *, alone: bool, channels: int) -> str:
    """Why a norm cannot be folded into the layer before it, empty where it can."""
    if not alone:
        return "more than the norm takes what the layer computes"
    if not takers.called_once(name):
        return "it is not seen to be called once"
    try:
        channel_affine(norm, channels, name="it")
    except UserError as error:
        return str(error)
    return ""
