"""Options: how a unit or a network is asked for on the command line of every command that builds one."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as brief
from typing import Any, TypeVar

from golden.contract.fields import parse_object
from golden.contract.folding import DEFAULT_LANES, Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, LayerConfig
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.result import MOST
from golden.contract.ranges import Range
from golden.layers import DEFAULT, NAMES
from golden.support.cli import UserError, bounded, file_path
from golden.support.numbers import number
from golden.support.options import add_folding, add_layer
from golden.support.progress import spinner
from hw.estimate.choose_for_device import Chosen, Space, choose
from hw.estimate.choose_network_folding import cheapest_within
from hw.estimate.layer_space import LayerSpace
from hw.estimate.network_space import NetworkSpace
from hw.estimate.wish import LEAST, Wish
from hw.network.config import NetworkConfig, multiplying
from hw.network.folding import check_foldings, up_to_lanes
from hw.plan.config import DEFAULT_NAME, UnitConfig, check_name
from hw.plan.made_of import MATERIALS, USUAL, MadeOf
from hw.plan.reload import Reload
from hw.targets.devices import CLOCK_MHZ, DEVICES, Device, find_device
from hw.targets.families import ECP5, GENERIC, TARGETS, Target, find_target

#: Default of ``--attn-shift`` where the layer does not need more. Larger shifts make wider accumulators.
ATTN_SHIFT = Range(0, 7)

Config = TypeVar("Config", UnitConfig, NetworkConfig)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options ask for.

    Attributes:
        config: the unit or the network.
        device: the device that it is for; None where none was named.
        chosen: how the folding was chosen for the device; None where it was given.
    """

    config: UnitConfig | NetworkConfig
    device: Device | None
    chosen: Chosen[UnitConfig] | Chosen[NetworkConfig] | None


def add_unit_options(parser: argparse.ArgumentParser, *, target: str, reloadable: bool = True) -> None:
    """Add the options that `hardware` reads.

    Args:
        target: the default target.
        reloadable: whether the command takes reloadable units.
    """
    add = parser.add_argument
    add_layer(parser, NAMES, DEFAULT, networks=True)
    add_folding(parser)
    add("--target", type=_target, help=f"FPGA family, one of {', '.join(TARGETS)} (default: {target})")
    add("--pack", choices=["auto", "none"], default="auto", help="whether products share multipliers (default: auto)")
    add(
        "--name",
        type=_name,
        default=DEFAULT_NAME,
        help=f"of the top module; other modules and all files begin with it (default: {DEFAULT_NAME})",
    )
    add("--inline", action="store_true", help="all words in the Verilog, no memory files beside it")
    of = "are made of: DSPs or adders (default: dsp"
    add("--products", choices=MATERIALS, help=f"what products with weights {of})")
    add(
        "--requantise",
        choices=MATERIALS,
        help=f"what products of sums and multipliers {of}, in a network adders where they take turns)",
    )
    parser.set_defaults(default_target=target, reloadable=False)
    _add_network_options(parser)
    _add_device_options(parser)
    if reloadable:
        _add_reload_options(parser)


def hardware(args: argparse.Namespace, model: Layer | IntegerNetwork) -> Asked:
    """The unit or network that the options ask for. Raises `UserError` where they do not go together."""
    _check_reload_options(args)
    device = None if args.device is None else find_device(args.device)
    wish = _wish(args, device)
    target = TARGETS[args.target or (args.default_target if device is None else device.target.name)]
    if isinstance(model, IntegerNetwork):
        network = _network_config(args, model, target)
        return _asked(network, device, wish, NetworkSpace)
    return _asked(_unit_config(args, model, target), device, wish, LayerSpace)


def _asked(
    config: Config, device: Device | None, wish: Wish | None, space: Callable[[Config, Wish], Space[Config]]
) -> Asked:
    if wish is None:
        return Asked(config=config, device=device, chosen=None)
    with spinner("choosing the folding"):
        chosen = choose(space(config, wish))
    return Asked(config=chosen.found.config, device=device, chosen=chosen)


def _unit_config(args: argparse.Namespace, layer: Layer, target: Target) -> UnitConfig:
    for option in ("lanes", "cycles", "folding"):
        if getattr(args, option) is not None:
            raise UserError(f"--{option} {getattr(args, option)} is for a network, a layer has --simd and --pe")
    for option in ("simd", "pe"):
        if _chooser(args) and getattr(args, option) is not None:
            asked = f"--{option} {getattr(args, option)} cannot be chosen together with {_chooser(args)}"
            raise UserError(f"{asked}, which chooses the folding")
    return UnitConfig(
        layer=layer,
        folding=Folding.choose(layer.config, args.simd, args.pe),
        target=target,
        pack=args.pack == "auto",
        reload=_reload(args, layer.config),
        made_of=_made_of(args),
        name=args.name,
    )


def _network_config(args: argparse.Namespace, network: IntegerNetwork, target: Target) -> NetworkConfig:
    for option in ("simd", "pe"):
        if getattr(args, option) is not None:
            asked = f"--{option} {getattr(args, option)} is for a layer"
            raise UserError(f"{asked}, a network has --lanes, --cycles and --folding")
    if args.reloadable:
        raise UserError("--reloadable is for a layer, the weights of a network are built in")
    given = [f"--{option}" for option in ("lanes", "cycles", "folding") if getattr(args, option) is not None]
    given += [_chooser(args)] if _chooser(args) else []
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} do not go together, each chooses the folding")
    base = NetworkConfig(
        network=network,
        foldings=up_to_lanes(network, args.lanes or DEFAULT_LANES),
        target=target,
        pack=args.pack == "auto",
        made_of=dict.fromkeys(multiplying(network), _made_of(args)),
        name=args.name,
    )
    if args.cycles is not None:
        return replace(base, foldings=cheapest_within(base, args.cycles))
    if args.folding is not None:
        return _with_foldings(base, args.folding)
    return base


def _chooser(args: argparse.Namespace) -> str:
    """The option that has the folding chosen for a device; empty where none does."""
    return "--fps" if args.fps is not None else "--fastest" if args.fastest else ""


def _wish(args: argparse.Namespace, device: Device | None) -> Wish | None:
    """What is to be reached on the device; None where the folding is not chosen for it.

    Raises `UserError` for options that do not go together.
    """
    if device is not None:
        # Portable Verilog is synthesised and placed for an ECP5.
        targets = (device.target, GENERIC) if device.target is ECP5 else (device.target,)
        if args.target is not None and TARGETS[args.target] not in targets:
            raise UserError(f"target {args.target} is not that of {device.name}, which is {device.target.name}")
    if args.fps is not None and args.fastest:
        raise UserError("--fps and --fastest do not go together, each chooses the folding")
    for option in ("mhz", "fill"):
        if getattr(args, option) is not None and not _chooser(args):
            raise UserError(f"--{option} {number(getattr(args, option))} needs --fps or --fastest")
    if not _chooser(args):
        return None
    asked = f"--fps {number(args.fps)}" if args.fps is not None else "--fastest"
    if device is None:
        raise UserError(f"{asked} needs --device, one of {', '.join(DEVICES)}")
    if args.target == GENERIC.name:
        raise UserError(f"target {GENERIC.name} does not go with {asked}: synthesis chooses what it takes")
    return Wish(device=device, fps=args.fps, clock_mhz=args.mhz, fill=1 if args.fill is None else args.fill)


def _made_of(args: argparse.Namespace) -> MadeOf:
    return MadeOf(products=args.products, requantise=args.requantise)


def folding_text(config: NetworkConfig) -> str:
    """What ``--folding`` reads."""
    fields = {
        name: {"simd": f.simd, "pe": f.pe, **config.made_of.get(name, USUAL).asked}
        for name, f in config.foldings.items()
    }
    return json.dumps(fields, indent=2) + "\n"


def _with_foldings(base: NetworkConfig, path: Path) -> NetworkConfig:
    """``base`` with the foldings in a file, and with what the file says that multiplications are made of.

    Raises `UserError`, naming file and step, for any that the network cannot have.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"folding file {path}: {error}") from None
    try:
        found = {name: _folding_of(name, fields) for name, fields in parse_object(text).items()}
        check_foldings(base.network, {name: folding for name, (folding, _) in found.items()})
        made_of = {name: own for name, (_, own) in found.items() if own}
        merged = {name: replace(base.made_of.get(name, USUAL), **own) for name, own in made_of.items()}
        return replace(
            base, foldings={name: folding for name, (folding, _) in found.items()}, made_of={**base.made_of, **merged}
        )
    except UserError as error:
        raise UserError(f"folding file {path}: {error}") from None


def _folding_of(step: str, fields: object) -> tuple[Folding, dict[str, Any]]:
    """A step's folding, and what of its multiplications the file says."""
    lanes, materials = {"simd", "pe"}, {"products", "requantise"}
    if (
        not isinstance(fields, dict)
        or not lanes <= set(fields) <= lanes | materials
        or not all(type(fields[name]) is int and fields[name] >= 1 for name in lanes)
        or not all(fields[name] in MATERIALS for name in materials & set(fields))
    ):
        allowed = 'allowed is {"simd": S, "pe": P} of integers from 1 on'
        also = f'and "products" and "requantise" of {" or ".join(MATERIALS)}'
        raise UserError(f"step {step!r}: {brief(fields)} is not a folding, {allowed}, {also}")
    return Folding(simd=fields["simd"], pe=fields["pe"]), {name: fields[name] for name in materials & set(fields)}


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("a network").add_argument
    add(
        "--lanes",
        type=bounded(int, 1, MOST),
        metavar="N",
        help=f"each side of each step takes the largest divisor of its channels up to N (default: {DEFAULT_LANES})",
    )
    add(
        "--cycles",
        type=bounded(int, 1, 2**48),
        metavar="N",
        help="each step takes at most N cycles a frame, with the fewest multipliers",
    )
    add("--folding", type=file_path, metavar="FILE", help="each step as FILE says, JSON as --write-folding writes it")


def _add_device_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("a device").add_argument
    clocks = ", ".join(f"{mhz:g} for {target}" for target, mhz in CLOCK_MHZ.items())
    add("--device", metavar="DEVICE", type=_device, help=f"the device that it is for, one of {', '.join(DEVICES)}")
    add(
        "--fps",
        type=bounded(float, sys.float_info.min, sys.float_info.max),
        metavar="N",
        help=f"choose the least folding that reaches so many frames a second: {LEAST}",
    )
    add("--fastest", action="store_true", help="choose the folding with the fewest cycles a frame that fits the device")
    add(
        "--mhz",
        type=bounded(float, 1, 1000, " MHz"),
        metavar="MHZ",
        help=f"clock that foldings are taken to run at, all the same (default: {clocks})",
    )
    add(
        "--fill",
        type=bounded(float, 0.01, 1),
        metavar="SHARE",
        help="share of the device that may be used (default: 1)",
    )


def _add_reload_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a unit whose layer comes at run time")
    group.add_argument(
        "--reloadable", action="store_true", help="weights, constants, frame size and shifts come over AXI"
    )
    group.add_argument("--single-buffered", action="store_true", help="memory for one set of weights only")
    for name, default in (("attn-shift", f"0:{ATTN_SHIFT.high}"), ("out-shift", f"0:{FIELD_RANGES['out_shift'][1]}")):
        group.add_argument(
            f"--{name}", type=_limits_text(name), metavar="LOW:HIGH", help=f"shifts that it takes (default: {default})"
        )


def _check_reload_options(args: argparse.Namespace) -> None:
    """Raise `UserError` for options of reloadable units without ``--reloadable``."""
    for option in ("single_buffered", "attn_shift", "out_shift"):
        if getattr(args, option, None) and not args.reloadable:
            raise UserError(f"--{option.replace('_', '-')} needs --reloadable")


def _reload(args: argparse.Namespace, config: LayerConfig) -> Reload | None:
    if not args.reloadable:
        return None
    attn_shift = args.attn_shift or Range(0, max(ATTN_SHIFT.high, config.attn_shift))
    out_shift = args.out_shift or Range(*FIELD_RANGES["out_shift"])
    return Reload(attn_shift=attn_shift, out_shift=out_shift, single_buffered=args.single_buffered)


def _limits_text(option: str) -> Callable[[str], Range]:
    low, high = FIELD_RANGES[option.replace("-", "_")]

    def parse(text: str) -> Range:
        match = re.fullmatch(r"(\d{1,2}):(\d{1,2})", text)
        if match is None or not low <= int(match[1]) <= int(match[2]) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not LOW:HIGH with {low} <= LOW <= HIGH <= {high}")
        return Range(int(match[1]), int(match[2]))

    return parse


def _target(text: str) -> str:
    return _told(lambda: find_target(text).name)


def _device(text: str) -> str:
    return _told(lambda: find_device(text).name)


def _name(text: str) -> str:
    return _told(lambda: check_name(text))


def _told(check: Callable[[], str]) -> str:
    """What ``check`` returns. A `UserError` of it is raised as argparse wants it."""
    try:
        return check()
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
