"""``python -m hw.build``: a layer becomes Verilog and a manifest."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.layers import DEFAULT, NAMES, load_layer
from golden.support import cli
from golden.support.cli import UserError
from hw.control.files import register_files
from hw.estimate.choose_folding import Wish, choose_folding
from hw.estimate.estimate import Estimate, estimate
from hw.export import integration_files
from hw.export.verilog import Core, generate
from hw.options import add_reload_options, reload_of
from hw.plan.config import UnitConfig
from hw.plan.multiplier_count import multiplier_counts
from hw.targets.devices import CAPACITY, DEVICE_TARGET
from hw.targets.families import TARGETS, find_target

#: Clock that ``--fps`` counts with where none is said.
CLOCK_MHZ = 200.0

EXAMPLES = """\
examples:
  python -m hw.build                              the default layer, to build/
  python -m hw.build --simd 8 --pe 4              twice the multipliers, half the cycles
  python -m hw.build my_layer.npz --out rtl/      a layer file of your own
  python -m hw.build --target ecp5 --estimate     what it will cost, no files
  python -m hw.build --device ecp5-85f --fps 500  the cheapest folding that is fast enough
  python -m hw.build --reloadable                 weights, frame size and shifts come over AXI
"""


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    wish = _wish(args)
    pack = args.pack == "auto"
    console = Console(stderr=True)
    with console.status("choosing the folding" if wish else "generating Verilog"):
        layer = load_layer(args.layer)
        reload = reload_of(args, layer.config)
        if reload is not None and (args.estimate or wish):
            raise UserError(
                f"--reloadable cannot go with --{'estimate' if args.estimate else 'fps'}, which is for frozen units"
            )
        config = _config(layer, args, wish)
        if args.estimate:
            Console(markup=False).print(_estimate_table(args.layer, estimate(config), wish))
            return 0
        core = generate(layer, config.folding, config.target, pack=pack, reload=reload)
    write(core, args.out)
    Console(markup=False).print(_summary(args.layer, core))
    print(f"wrote {args.out / 'xvolution.v'} and {args.out / 'xvolution.json'}")
    if reload is not None:
        print(f"and beside them, of its registers, {', '.join(register_files(core.config))}")
    print("and beside them, for FuseSoC, IP-XACT and Vivado, xvolution.core, component.xml and package_ip.tcl")
    return 0


def write(core: Core, folder: Path) -> None:
    """Write ``xvolution.v``, ``xvolution.json`` and what other tools need of them, all or nothing."""
    manifest = json.dumps(core.manifest, indent=2) + "\n"
    files = {"xvolution.v": core.verilog, "xvolution.json": manifest} | integration_files(core.manifest)
    files |= register_files(core.config)
    cli.write_files(folder, files)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="python -m hw.build", description=__doc__, epilog=EXAMPLES)
    add, named, devices = parser.add_argument, ", ".join(NAMES), ", ".join(CAPACITY)
    add("layer", nargs="?", default=DEFAULT, metavar="LAYER", help=f"a layer file, or {named} (default: {DEFAULT})")
    add("--target", help=f"one of {', '.join(TARGETS)} (default: generic)")
    add("--pack", choices=["auto", "none"], default="auto", help="whether products share multipliers (default: auto)")
    add("--simd", type=int, help="input channels per cycle, a divisor of in_channels")
    add("--pe", type=int, help="output channels per cycle, a divisor of out_channels")
    add("--device", choices=list(CAPACITY), metavar="DEVICE", help=f"with --fps: {devices}; implies --target ecp5")
    add(
        "--fps",
        type=cli.bounded(float, sys.float_info.min, sys.float_info.max),
        help="frames a second to reach: picks the cheapest folding that fits the device",
    )
    add(
        "--clock",
        type=cli.bounded(float, 1, 1000, " MHz"),
        metavar="MHZ",
        dest="clock_mhz",
        help=f"with --fps: clock to expect (default: {CLOCK_MHZ:g})",
    )
    add_reload_options(parser)
    add("--estimate", action="store_true", help="only say what the unit will cost, write nothing")
    add("--out", type=cli.file_path, default=Path("build"), metavar="DIR", help="where to write (default: build)")
    return parser


def _wish(args: argparse.Namespace) -> Wish | None:
    """What ``--fps`` asks for; None without. Raises `UserError` for options that do not go together."""
    if args.fps is None:
        for option, value in (("device", args.device), ("clock", args.clock_mhz)):
            if value is not None:
                raise UserError(f"--{option} {value} needs --fps")
        return None
    if args.device is None:
        raise UserError(f"--fps {args.fps:g} needs --device, one of {', '.join(CAPACITY)}")
    for option, value in (("simd", args.simd), ("pe", args.pe)):
        if value is not None:
            raise UserError(f"--{option} {value} cannot be chosen together with --fps, which chooses the folding")
    if args.target not in (None, DEVICE_TARGET):
        raise UserError(f"target {args.target} is not that of {args.device}, which is {DEVICE_TARGET}")
    return Wish(device=args.device, fps=args.fps, clock_mhz=args.clock_mhz or CLOCK_MHZ)


def _config(layer: Layer, args: argparse.Namespace, wish: Wish | None) -> UnitConfig:
    pack = args.pack == "auto"
    if wish:
        return choose_folding(layer, wish, pack=pack).config
    target = find_target(args.target or "generic")
    return UnitConfig(layer=layer, folding=Folding.choose(layer.config, args.simd, args.pe), target=target, pack=pack)


def _summary(name: str, core: Core) -> Table:
    config, timing = core.config, core.manifest["timing"]
    c = config.layer.config
    table = Table(title=f"xvolution: {name}", show_header=False)
    rows = {
        "layer": f"{c.in_channels} -> {c.out_channels} channels, {c.height}x{c.width}",
        "kernel": f"{c.kernel}x{c.kernel}, stride {c.stride}, {c.padding}, groups {c.groups}",
        "attention": f"{len(c.attn_offsets)} offsets",
        **_reload_rows(core),
        **_build_rows(config),
        "row store": f"{config.prediction.slots} rows of {config.row_depth} x {config.column_group.size} bit",
        "accumulator": f"{config.ranges.accumulator.signed_bits} bit, from the "
        + ("weights" if config.reload is None else "formats"),
        "first output": f"{timing['predicted_latency']} cycles after the first input",
        "frame": f"{timing['predicted_frame_cycles']} cycles (ideal {timing['ideal_frame_cycles']})",
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


def _reload_rows(core: Core) -> dict[str, str]:
    """What software may change."""
    reload = core.config.reload
    if reload is None:
        return {}
    beats = core.manifest["reload"]["weight_image_beats"]
    shifts = [f"{name} {r.low} to {r.high}" for name, r in (("attn", reload.attn_shift), ("out", reload.out_shift))]
    sets = "one set" if reload.single_buffered else "two sets"
    return {"reloadable": f"{sets} of weights, each of {beats} beats; {', '.join(shifts)}"}


def _build_rows(config: UnitConfig) -> dict[str, str]:
    """What was chosen for the layer, and the multipliers that follow from it."""
    counts = {
        kind: count for kind, count in multiplier_counts(config, in_fabric=config.attention_in_fabric).items() if count
    }
    parts = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return {
        "target": f"{config.target.name}, {'two products in a multiplier' if config.plan.packed else 'not packed'}",
        "folding": f"simd {config.folding.simd}, pe {config.folding.pe}",
        "multipliers": f"{sum(counts.values())}: {parts}" if counts else "0",
    }


def _estimate_table(name: str, unit: Estimate, wish: Wish | None) -> Table:
    table = Table(title=f"xvolution: {name}, estimated", show_header=False)
    rows = _build_rows(unit.config) | {
        "first output": f"{unit.latency} cycles after the first input",
        "frame": f"{unit.frame_cycles} cycles (exact)",
    }
    if wish:
        rate = 1e6 * wish.clock_mhz / unit.frame_cycles
        rows["rate"] = f"{rate:.1f} frames/s at {wish.clock_mhz:g} MHz, asked for {wish.fps:g}"

    def of(resource: str) -> str:
        return f" of {getattr(CAPACITY[wish.device], resource):,}" if wish else ""

    rows |= {
        "LUT": f"about {unit.lut:,}{of('lut')}",
        "FF": f"about {unit.ff:,}{of('ff')}",
        "DSP": "-" if unit.dsp is None else f"{unit.dsp:,}{of('dsp')} (exact)",
        "BRAM": "-"
        if unit.bram is None
        else f"{unit.bram:,g}{of('bram')} of {unit.config.target.fabric.block_kbit} kbit",
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


if __name__ == "__main__":
    cli.run(main)
