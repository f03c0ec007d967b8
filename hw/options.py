"""The command-line options of a reloadable unit, the same for every command that builds one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from golden.contract.layer_config import FIELD_RANGES, LayerConfig
from golden.contract.ranges import Range
from golden.support.cli import UserError
from hw.plan.reload import Reload

#: ``--attn-shift`` without a say, where the layer does not need more: wider shifts make wider accumulators.
ATTN_SHIFT = Range(0, 7)


def add_reload_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a unit whose layer comes at run time")
    group.add_argument(
        "--reloadable", action="store_true", help="weights, constants, frame size and shifts come over AXI"
    )
    group.add_argument("--single-buffered", action="store_true", help="memory for one set of weights only")
    for name, default in (("attn-shift", f"0:{ATTN_SHIFT.high}"), ("out-shift", f"0:{FIELD_RANGES['out_shift'][1]}")):
        group.add_argument(
            f"--{name}", type=_limits_text(name), metavar="LOW:HIGH", help=f"shifts that it takes (default: {default})"
        )


def reload_of(args: argparse.Namespace, config: LayerConfig) -> Reload | None:
    """What the options ask for; None without ``--reloadable``. Raises `UserError` where they do not go together."""
    if not args.reloadable:
        for option in ("single_buffered", "attn_shift", "out_shift"):
            if getattr(args, option):
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
