"""X-volution in the place of convolutions of any network, and merged for inference."""

from __future__ import annotations

import fnmatch
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from golden.operators.convolution import geometry
from golden.operators.norms import is_batch_norm
from golden.operators.parts import copy_with, refuse_hooks
from golden.operators.sliding import check_choice
from golden.operators.takers import Takers
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

#: Options of `XVolution` that each replaced Conv2d decides.
FROM_CONV = ("kernel_size", "stride", "padding", "groups", "bias", "device", "dtype")
#: Options of `XVolution` that the caller decides.
OPTIONS = tuple(
    parameter.name
    for parameter in inspect.signature(XVolution).parameters.values()
    if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in FROM_CONV
)

Choice = str | Iterable[str] | Callable[[str, nn.Conv2d], bool]


def replace_convolutions(
    module: nn.Module, chosen: Choice, *, norms: str | Mapping[str, str] = "fold", **options: Any
) -> nn.Module:
    """Replace chosen convolutions of ``module`` by `XVolution`, in place: all of them or, on error, none.

    Each `XVolution` takes over the shape of its Conv2d. Its static branch takes over the Parameters
    weight and bias themselves, frozen or shared as before. Its attention branch is new, so the
    network needs training afterwards. Make the optimiser after this call.

    An `XVolution` has a batch norm in each branch. The batch norm that followed the Conv2d becomes that
    of the static branch, and the identity takes its place. So the static branch computes what both
    computed. A norm that cannot be taken over stays behind the `XVolution`, with a warning.

    Args:
        module: any network, or a single Conv2d.
        chosen: qualified names as in ``module.named_modules()``, one or several, or a function
            ``(name, conv) -> bool`` that is asked about each convolution. The name of a Conv2d
            chooses it. The name of another module chooses all convolutions inside. A name with
            ``*``, ``?`` or ``[]`` is a pattern for the names of convolutions, and ``*`` matches
            dots, too. Convolutions inside an `XVolution` are not replaced again.
        norms: ``"fold"`` takes over the batch norms that are seen to follow (`golden.operators.takers`).
            A mapping tells more of them, each by the names of Conv2d and norm. ``"keep"`` takes over
            none, without a warning.
        options: of `XVolution`: product, heads, directions, shift, branch_norm, ...

    Returns:
        ``module``, or its replacement where it is itself a chosen Conv2d.

    Raises:
        UserError: for a Conv2d that X-volution cannot express, by its name; for a name or predicate
            that chooses no Conv2d; for a norm of the mapping that cannot be taken over; and for an
            option that is unknown or not the caller's.

    Warns:
        UserWarning: naming each norm that stays behind, and why.
    """
    for option in options:
        if option in FROM_CONV:
            raise UserError(f"option {option!r} is taken from each Conv2d, allowed are {', '.join(OPTIONS)}")
        if option not in OPTIONS:
            raise UserError(f"option {option!r} is unknown, allowed are {', '.join(OPTIONS)}")
    convs = _chosen(module, chosen)
    xvolutions: dict[nn.Module, XVolution] = {}
    for name, conv in convs.items():
        _check_not_wrapped(module, name, conv)
        try:
            xvolutions[conv] = _as_xvolution(conv, options)
        except UserError as error:
            raise UserError(f"{_quoted(name)}: {error}") from None
    identities: dict[nn.Module, nn.Module] = {}
    for name, norm in _norms(module, convs, norms).items():
        xvolutions[convs[name]].conv_norm = norm
        identities[norm] = nn.Identity().train(norm.training)
    return _substitute(module, {**xvolutions, **identities})


def merge_all(module: nn.Module) -> nn.Module:
    """A copy of ``module`` with each `XVolution` in its merged form. ``module`` stays as it was.

    A DataParallel or DistributedDataParallel is left out: the copy has the network that it wraps.

    Raises `UserError` where there is no XVolution, and for one that cannot be merged
    (`XVolution.merge`), by its name.
    """
    replacements: dict[nn.Module, nn.Module] = {}
    for name, part in module.named_modules():
        if isinstance(part, XVolution):
            try:
                replacements[part] = part.merge()
            except UserError as error:
                raise UserError(f"{_quoted(name)}: {error}") from None
    if not replacements:
        raise UserError(f"there is no XVolution to merge in this {type(module).__name__}")
    return copy_with(module, replacements)


def _chosen(module: nn.Module, chosen: Choice) -> dict[str, nn.Conv2d]:
    """The chosen convolutions by qualified name."""
    # A module shared by several parents has several names. Each name can choose it.
    modules = dict(module.named_modules(remove_duplicate=False))
    taken = {part for xvolution in modules.values() if isinstance(xvolution, XVolution) for part in xvolution.modules()}
    convs = {name: part for name, part in modules.items() if isinstance(part, nn.Conv2d) and part not in taken}
    if callable(chosen):
        found = {name: conv for name, conv in convs.items() if chosen(name, conv)}
        if not found:
            raise UserError(f"the predicate chooses none of the {len(convs)} Conv2d of this {type(module).__name__}")
        return found
    names = [chosen] if isinstance(chosen, str) else list(chosen) if isinstance(chosen, Iterable) else []
    if not names:
        raise UserError(f"chosen {chosen!r} is neither a name, nor a list of at least one, nor a predicate")
    found = {}
    for name in names:
        matching = _matching(name, modules, convs)
        if not matching:
            what = f"is a {type(modules[name]).__name__} with" if name in modules else "matches"
            raise UserError(f"{_quoted(name)} {what} no Conv2d that could be replaced in this {type(module).__name__}")
        found |= matching
    return found


def _matching(name: Any, modules: Mapping[str, nn.Module], convs: Mapping[str, nn.Conv2d]) -> dict[str, nn.Conv2d]:
    """Convolutions that a name or pattern chooses. A name that exists is never a pattern."""
    if not isinstance(name, str):
        raise UserError(f"name {name!r} is a {type(name).__name__}, allowed is text")
    if name in modules:
        inside = f"{name}." if name else ""
        return {key: conv for key, conv in convs.items() if key == name or key.startswith(inside)}
    return {key: conv for key, conv in convs.items() if fnmatch.fnmatchcase(key, name)}


def _norms(
    module: nn.Module, convs: Mapping[str, nn.Conv2d], norms: str | Mapping[str, str]
) -> dict[str, nn.BatchNorm2d]:
    """The norms to take over, by the names of their convolutions. Warns of those that stay behind."""
    told = norms if isinstance(norms, Mapping) else {}
    if not isinstance(norms, Mapping):
        check_choice("norms", norms, ("fold", "keep"))
    modules = dict(module.named_modules(remove_duplicate=False))
    found: dict[str, nn.BatchNorm2d] = {}
    for name, norm in told.items():
        if name not in convs:
            raise UserError(f"norms names {name!r}, which is not one of the convolutions to replace")
        if norm not in modules:
            raise UserError(f"norms names {norm!r}, which is no module of this {type(module).__name__}")
        if modules[norm] in found.values():
            raise UserError(f"norms names {norm!r} twice, allowed is one convolution before it")
        reason = _why_not(modules[norm], convs[name])
        if reason:
            raise UserError(f"{_quoted(norm)} cannot be taken over: it {reason}")
        found[name] = cast(nn.BatchNorm2d, modules[norm])
    takers = Takers(module)
    for name, conv in convs.items():
        if norms == "keep" or name in told:
            continue
        follower, reason = _follower(takers, name, conv)
        if follower is not None and not reason:
            found[name] = cast(nn.BatchNorm2d, modules[follower])
        elif follower is not None:
            what = f"{_quoted(name)} is replaced by an XVolution, which has norms of its own"
            warnings.warn(f"{what}, and its norm {follower!r} stays behind: {reason}", stacklevel=3)
    return found


def _follower(takers: Takers, name: str, conv: nn.Conv2d) -> tuple[str | None, str]:
    """Name of the norm that follows ``conv``, None for none, and why it cannot be taken over, empty where it can."""
    seen = takers.of(name)
    if seen is None:
        norm = takers.norm_registered_next(name)
        return norm, f"nobody can see what follows here; norms={{{name!r}: {norm!r}}} takes it over, 'keep' keeps it"
    taker = next((taker for taker in seen if taker.is_norm), None)
    if taker is None or taker.module is None:
        return None, ""
    if len(seen) > 1:
        return taker.name, "more than the norm takes what the convolution computes"
    if not takers.called_once(taker.name):
        return taker.name, "it is not seen to be called once"
    reason = _why_not(taker.module, conv)
    return taker.name, f"it {reason}" if reason else ""


def _why_not(norm: nn.Module, conv: nn.Conv2d) -> str:
    """Why ``norm`` cannot be the norm of a static branch, empty where it can."""
    if not is_batch_norm(norm):
        return f"is a {type(norm).__name__}, allowed are BatchNorm2d and SyncBatchNorm"
    if norm.num_features != conv.out_channels:
        return f"has {norm.num_features} channels, the convolution has {conv.out_channels}"
    return ""


def _check_not_wrapped(module: nn.Module, name: str, conv: nn.Conv2d) -> None:
    """Raise `UserError` where ``conv`` is in a network that learns in several processes."""
    for wrapper, part in module.named_modules():
        if isinstance(part, nn.parallel.DistributedDataParallel) and conv in set(part.modules()):
            raise UserError(
                f"{_quoted(wrapper)} is a DistributedDataParallel, which would not train what is new in place of "
                f"{name!r}, replace first and wrap afterwards"
            )


def _as_xvolution(conv: nn.Conv2d, options: Mapping[str, Any]) -> XVolution:
    """An `XVolution` around the Parameters of ``conv``, which is left as it is."""
    sliding = geometry(conv)
    if is_parametrized(conv):
        raise UserError("is parametrised, allowed is a Conv2d with plain parameters (parametrise its replacement)")
    refuse_hooks(conv, name="the convolution", allowed=())
    xvolution = XVolution(
        conv.in_channels,
        conv.out_channels,
        **sliding,
        bias=conv.bias is not None,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
        **options,
    )
    xvolution.conv.weight = conv.weight
    xvolution.conv.bias = conv.bias
    xvolution.train(conv.training)
    return xvolution


def _substitute(module: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """``module`` with each key replaced by its value wherever it is registered. Nothing can fail half-way."""
    # A module shared by several parents has several names.
    for name, part in list(module.named_modules(remove_duplicate=False)):
        if name and part in replacements:
            module.set_submodule(name, replacements[part])
    return replacements.get(module, module)


def _quoted(name: str) -> str:
    return f"module {name!r}" if name else "the module itself"
