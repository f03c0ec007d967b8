"""Options: how a unit is asked for on the command line of every command that builds one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, LayerConfig
from golden.contract.ranges import Range
from golden.layers import DEFAULT, NAMES
from golden.support.cli import UserError
from golden.support.options import add_folding, add_layer
from hw.plan.config import DEFAULT_NAME, UnitConfig, check_name
from hw.plan.reload import Reload
from hw.targets.families import TARGETS, find_target

#: Default of ``--attn-shift`` where the layer does not need more. Larger shifts make wider accumulators.
ATTN_SHIFT = Range(0, 7)


def add_unit_options(parser: argparse.ArgumentParser, *, target: str, reloadable: bool = True) -> None:
    """Add the options that `unit_config` reads.

    Args:
        target: the default target.
        reloadable: whether the command takes reloadable units.
    """
    add = parser.add_argument
    add_layer(parser, NAMES, DEFAULT)
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
    parser.set_defaults(default_target=target, reloadable=False)
    if reloadable:
        _add_reload_options(parser)


def unit_config(args: argparse.Namespace, layer: Layer) -> UnitConfig:
    """The unit of ``layer`` that the options ask for. Raises `UserError` where they do not go together."""
    return UnitConfig(
        layer=layer,
        folding=Folding.choose(layer.config, args.simd, args.pe),
        target=TARGETS[args.target or args.default_target],
        pack=args.pack == "auto",
        reload=_reload(args, layer.config),
        name=args.name,
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


def _reload(args: argparse.Namespace, config: LayerConfig) -> Reload | None:
    if not args.reloadable:
        for option in ("single_buffered", "attn_shift", "out_shift"):
            if getattr(args, option, None):
                raise UserError(f"--{option.replace('_', '-')} needs --reloadable")
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


def _name(text: str) -> str:
    return _told(lambda: check_name(text))


def _told(check: Callable[[], str]) -> str:
    """What ``check`` returns. A `UserError` of it is raised as argparse wants it."""
    try:
        return check()
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
