"""``python -m hw.build``: a layer becomes Verilog and a manifest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from golden.layers import layer_path, load_layer
from golden.support import cli
from golden.support.cli import UserError
from hw.control.files import register_files
from hw.estimate.choose_folding import Wish, choose_folding
from hw.estimate.estimate import Estimate, estimate
from hw.export.integration import integration_files
from hw.export.verilog import Core, generate
from hw.options import add_unit_options, unit_config
from hw.plan.dsp_count import dsp_counts
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import image_beats
from hw.targets.devices import CAPACITY, DEVICE_TARGET
from hw.targets.families import GENERIC, TARGETS

#: Clock in MHz that ``--fps`` counts with where ``--clock`` is not given.
CLOCK_MHZ = 200.0

EXAMPLES = """\
examples:
  python -m hw.build                              the default layer, to build/
  python -m hw.build --simd 8 --pe 4              twice the multipliers, half the cycles
  python -m hw.build my_layer.npz --out rtl/      a layer file of your own
  python -m hw.build --target ecp5 --estimate     what it will cost, no files
  python -m hw.build --device ecp5-85f --fps 500  the cheapest folding that is fast enough
  python -m hw.build --reloadable                 weights, frame size and shifts come over AXI
  python -m hw.build --name stem --out rtl/       stem.v: beside other units in one design
"""


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    wish = _wish(args)
    console = Console(stderr=True)
    with console.status("choosing the folding" if wish else "generating Verilog"):
        config = unit_config(args, load_layer(args.layer))
        if config.reload is not None and (args.estimate or wish):
            raise UserError(
                f"--reloadable cannot go with --{'estimate' if args.estimate else 'fps'}, which is for frozen units"
            )
        if wish:
            config = choose_folding(replace(config, target=TARGETS[DEVICE_TARGET]), wish).config
        if args.estimate:
            Console(markup=False).print(_estimate_table(args.layer, estimate(config), wish))
            return 0
        core = generate(config)
    files = unit_files(core)
    cli.check_folder(args.out, files, inputs=[layer_path(args.layer)])
    former = _former(args.out / f"{config.name}.json")
    cli.write_files(args.out, files)
    removed, left = cli.remove_former(args.out, former, files)
    Console(markup=False).print(_summary(args.layer, core))
    _say_files(core, args.out, files)
    if removed:
        print(f"removed, as this unit has none: {', '.join(removed)}")
    if left:
        print(f"left, as they were changed since the last build: {', '.join(left)}")
    return 0


def unit_files(core: Core) -> dict[str, str]:
    """Verilog, manifest and what other tools need of them, by file name.

    The manifest that is written also names the other files, with their sha256.
    """
    name = core.config.name
    others = integration_files(core.manifest) | register_files(Shapes(core.config))
    manifest = core.manifest | {"files": cli.sha256_of({f"{name}.v": core.verilog} | others)}
    return {f"{name}.v": core.verilog, f"{name}.json": json.dumps(manifest, indent=2) + "\n"} | others


def _former(manifest: Path) -> dict[str, str]:
    """The files that an earlier build of this name has written, with their sha256."""
    try:
        files = json.loads(manifest.read_text())["files"]
        return {name: digest for name, digest in files.items() if isinstance(digest, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # there is none, or it is of someone else


def _say_files(core: Core, folder: Path, files: Mapping[str, str]) -> None:
    verilog, manifest, *_ = files
    print(f"wrote {folder / verilog} and {folder / manifest}")
    if registers := register_files(Shapes(core.config)):
        print(f"and beside them, of its registers, {', '.join(registers)}")
    *others, last = integration_files(core.manifest)
    print(f"and beside them, for FuseSoC, IP-XACT and Vivado, {', '.join(others)} and {last}")


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="python -m hw.build", description=__doc__, epilog=EXAMPLES)
    add, devices = parser.add_argument, ", ".join(CAPACITY)
    add_unit_options(parser, target=GENERIC.name)
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
    add("--estimate", action="store_true", help="only say what the unit will cost, write nothing")
    add("--out", type=cli.file_path, default=Path("build"), metavar="DIR", help="where to write (default: build)")
    return parser


def _wish(args: argparse.Namespace) -> Wish | None:
    """What ``--fps`` asks for; None without ``--fps``. Raises `UserError` for options that do not go together."""
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


def _summary(name: str, core: Core) -> Table:
    config, timing, shapes = core.config, core.manifest["timing"], Shapes(core.config)
    c = config.layer.config
    table = Table(title=f"xvolution: {name}", show_header=False)
    rows = {
        "layer": f"{c.in_channels} -> {c.out_channels} channels, {c.height}x{c.width}",
        "kernel": f"{c.kernel}x{c.kernel}, stride {c.stride}, {c.padding}, groups {c.groups}",
        "attention": f"{len(c.attn_offsets)} offsets",
        **_reload_rows(core),
        **_build_rows(shapes),
        "row store": f"{shapes.schedule.slots} rows of {shapes.row_depth} x {shapes.column_group.size} bit",
        "accumulator": f"{shapes.ranges.accumulator.signed_bits} bit, from the "
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
    beats = image_beats(Shapes(core.config))
    shifts = [f"{name} {r.low} to {r.high}" for name, r in (("attn", reload.attn_shift), ("out", reload.out_shift))]
    sets = "one set" if reload.single_buffered else "two sets"
    return {"reloadable": f"{sets} of weights, each of {beats} beats; {', '.join(shifts)}"}


def _build_rows(shapes: Shapes) -> dict[str, str]:
    """What was chosen for the layer, and the multipliers that follow from it."""
    counts = {kind: count for kind, count in dsp_counts(shapes).items() if count}
    parts = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return {
        "target": f"{shapes.target.name}, {'two products in a multiplier' if shapes.plan.packed else 'not packed'}",
        "folding": f"simd {shapes.folding.simd}, pe {shapes.folding.pe}",
        "multipliers": f"{sum(counts.values())}: {parts}" if counts else "0",
    }


def _estimate_table(name: str, unit: Estimate, wish: Wish | None) -> Table:
    table = Table(title=f"xvolution: {name}, estimated", show_header=False)
    rows = _build_rows(unit.shapes) | {
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
        else f"{unit.bram:,g}{of('bram')} of {unit.shapes.target.fabric.block_kbit} kbit",
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


if __name__ == "__main__":
    cli.run(main)
