"""``python -m hw.build``: a layer becomes Verilog and a manifest."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from golden import cli
from golden.layers import DEFAULT, NAMES, load_layer
from golden.streams import Folding
from hw.target import GENERIC, TARGETS, find_target
from hw.verilog import Core, generate

EXAMPLES = """\
examples:
  python -m hw.build                              the default layer, to build/
  python -m hw.build --simd 8 --pe 4              twice the multipliers, half the cycles
  python -m hw.build --target xcup                DSP48E2s, two products in each
  python -m hw.build my_layer.npz --out rtl/      a layer file of your own
"""


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    console = Console(stderr=True)
    target = find_target(args.target)
    with console.status("generating Verilog"):
        layer = load_layer(args.layer)
        core = generate(layer, Folding.choose(layer.config, args.simd, args.pe), target, pack=args.pack == "auto")
    write(core, args.out)
    Console().print(_summary(args.layer, core))
    print(f"wrote {args.out / 'xvolution.v'} and {args.out / 'xvolution.json'}")
    return 0


def write(core: Core, folder: Path) -> None:
    """Write ``xvolution.v`` and ``xvolution.json``, both or neither."""
    cli.output_directory(folder)
    with contextlib.ExitStack() as stack:
        verilog = stack.enter_context(cli.replacing(folder / "xvolution.v"))
        manifest = stack.enter_context(cli.replacing(folder / "xvolution.json"))
        verilog.write(core.verilog)
        json.dump(core.manifest, manifest, indent=2)
        manifest.write("\n")


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="python -m hw.build", description=__doc__, epilog=EXAMPLES)
    named = ", ".join(NAMES)
    parser.add_argument(
        "layer", nargs="?", default=DEFAULT, metavar="LAYER", help=f"a layer file, or {named} (default: {DEFAULT})"
    )
    parser.add_argument("--simd", type=int, help="input channels per cycle, a divisor of in_channels")
    parser.add_argument("--pe", type=int, help="output channels per cycle, a divisor of out_channels")
    parser.add_argument("--target", default=GENERIC.name, help=f"one of {', '.join(TARGETS)} (default: {GENERIC.name})")
    parser.add_argument(
        "--pack", choices=["auto", "none"], default="auto", help="whether products share multipliers (default: auto)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build"), metavar="DIR", help="where to write (default: build)"
    )
    return parser


def _summary(name: str, core: Core) -> Table:
    config, timing = core.config, core.manifest["timing"]
    c, g = config.layer.config, config.geometry
    macs = config.folding.pe * config.lane_channels
    table = Table(title=f"xvolution: {name}", show_header=False)
    products = {
        "conv": macs * len(g.conv_taps),
        "attention": macs * len(g.attn_taps),
        "centre": macs if g.attn_taps else 0,
        "requantise": config.folding.pe,
    }
    rows = {
        "layer": f"{c.in_channels} -> {c.out_channels} channels, {c.height}x{c.width}",
        "kernel": f"{c.kernel}x{c.kernel}, stride {c.stride}, {c.padding}, groups {c.groups}",
        "attention": f"{len(c.attn_offsets)} offsets",
        "folding": f"simd {config.folding.simd}, pe {config.folding.pe}",
        "target": f"{config.target.name}, {'two products in a multiplier' if config.plan.packed else 'not packed'}",
        "multiplications": ", ".join(f"{count} {kind}" for kind, count in products.items() if count),
        "row store": f"{config.prediction.slots} rows of {config.row_depth} x {config.column_group.size} bit",
        "accumulator": f"{config.ranges.accumulator.signed_bits} bit, from the weights",
        "first output": f"{timing['predicted_latency']} cycles after the first input",
        "frame": f"{timing['predicted_frame_cycles']} cycles (ideal {timing['ideal_frame_cycles']})",
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


if __name__ == "__main__":
    cli.run(main)
