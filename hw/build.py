"""``python -m hw.build``: a network or a layer becomes Verilog and a manifest."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from golden.layers import layer_path, load_model
from golden.support import cli
from golden.support.cli import UserError
from golden.support.numbers import number
from golden.support.progress import spinner
from golden.support.tables import show
from golden.support.terminal import say
from hw.blocks.memory_file import INCLUDED
from hw.control.files import register_files
from hw.estimate.chosen_rows import chosen_rows
from hw.estimate.estimate import Estimate, estimate
from hw.estimate.fit import verdict
from hw.estimate.layer_space import check_fit
from hw.estimate.network import check_network_fit, estimate_network
from hw.export.integration import build_files, integration_files
from hw.export.interfaces import kind
from hw.export.network_verilog import NetworkCore, generate_network
from hw.export.verilog import Core, generate
from hw.network.config import NetworkConfig
from hw.network.plan import NetworkPlan
from hw.network_build import estimate_rows, steps_table, summary
from hw.network_picture import picture
from hw.options import add_unit_options, folding_text, hardware
from hw.plan.dsp_count import dsp_counts
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import image_beats
from hw.targets.devices import CAPACITY
from hw.targets.families import GENERIC

EXAMPLES = """\
examples:
  python -m hw.build                              the default network, to build/
  python -m hw.build --lanes 8                    twice the multipliers, half the cycles
  python -m hw.build --cycles 1000 --estimate     each step within 1,000 cycles: what it will cost
  python -m hw.build digits_layer --simd 8 --pe 4  one layer
  python -m hw.build my_layer.npz --out rtl/      a layer file of your own
  python -m hw.build --target ecp5 --estimate     what it will cost, no files
  python -m hw.build tiny --device ecp5-85f --estimate  whether it fits, no files
  python -m hw.build tiny --device ecp5-85f --fps 500  the least folding that is fast enough
  python -m hw.build --device ecp5-45f --fastest  the fewest cycles a frame that fit
  python -m hw.build tiny --reloadable            weights, frame size and shifts come over AXI
  python -m hw.build --name stem --out rtl/       stem.v: beside other units in one design
  python -m hw.build my_network.npz --cycles 8192  a network, each step within 8,192 cycles
  python -m hw.build --estimate --picture hw.svg  a picture of the hardware, with widths and FIFOs
"""


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    asked = hardware(args, load_model(args.layer))
    config, choice = asked.config, {} if asked.chosen is None else chosen_rows(asked.chosen)
    if isinstance(config, NetworkConfig):
        return _build_network(args, config, choice)
    if args.write_folding is not None:
        raise UserError(f"--write-folding {args.write_folding} is for a network, a layer has --simd and --pe")
    if args.picture is not None:
        raise UserError(f"--picture {args.picture} is for a network")
    if args.estimate:
        show(_estimate_table(args.layer, estimate(config), args.device, choice))
        return 0
    if args.device:
        check_fit(config, args.device)
    with spinner("generating Verilog"):
        core = generate(config, inline=args.inline)
    with _written(args, core, unit_files(core)):
        show(_summary(args.layer, core, args.device, choice))
    return 0


def _build_network(args: argparse.Namespace, config: NetworkConfig, choice: Mapping[str, str]) -> int:
    cli.check_outputs([args.write_folding, args.picture], inputs=[layer_path(args.layer), args.folding])
    with spinner("computing the schedule"):
        plan = NetworkPlan(config)
        schedule = plan.schedule
    texts = {args.write_folding: folding_text(config)} if args.write_folding is not None else {}
    if args.picture is not None:
        texts[args.picture] = picture(plan)
    network = estimate_network(plan)
    fits = {} if args.device is None else {f"fits {args.device}": verdict(network, args.device)}
    if args.estimate:
        show(steps_table(args.layer, plan, network))
        show(summary(plan, schedule, {**estimate_rows(network, args.device), **fits, **choice}))
    else:
        if args.device is not None:
            check_network_fit(plan, args.device)
        with spinner("generating Verilog"):
            core = generate_network(plan, inline=args.inline)
        with _written(args, core, build_files(core.verilog, core.manifest, core.memories)):
            show(steps_table(args.layer, plan))
            show(summary(plan, schedule, {**fits, **choice}))
    for path, text in texts.items():
        with cli.replacing(path) as stream:
            stream.write(text)
        say(f"wrote {path}")
    return 0


@contextmanager
def _written(args: argparse.Namespace, core: Core | NetworkCore, files: Mapping[str, str | bytes]) -> Iterator[None]:
    """Write files and remove those of an earlier build. The body says what was built, then follow the names."""
    inputs = [layer_path(args.layer), args.folding]
    cli.check_folder(args.out, files, beside=[args.write_folding, args.picture], inputs=inputs)
    former = _former(args.out / f"{core.config.name}.json")
    cli.write_files(args.out, files)
    removed, left = cli.remove_former(args.out, former, files)
    yield
    _say_files(core, args.out, files)
    if removed:
        say(f"removed, as this {kind(core.manifest)} has none: {', '.join(removed)}")
    if left:
        say(f"left, as they were changed since the last build: {', '.join(left)}")


def unit_files(core: Core) -> dict[str, str | bytes]:
    """All files of a unit by their names (`hw.export.integration.build_files`)."""
    return build_files(core.verilog, core.manifest, core.memories, register_files(Shapes(core.config)))


def _former(manifest: Path) -> dict[str, str]:
    """The files that an earlier build of this name has written, with their sha256."""
    try:
        files = json.loads(manifest.read_text())["files"]
        return {name: digest for name, digest in files.items() if isinstance(digest, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # there is none, or it is of someone else


def _say_files(core: Core | NetworkCore, folder: Path, files: Mapping[str, str | bytes]) -> None:
    verilog, manifest, *_ = files
    say(f"wrote {folder / verilog} and {folder / manifest}")
    if memories := core.manifest.get("memory_files"):
        ways = {"`include" if name.endswith(INCLUDED) else "$readmemh" for name in memories["files"]}
        count, where = number(len(memories["files"])), memories["folder"]
        say(f"and beside them, for {' and '.join(sorted(ways))}, {count} files in {where}")
    if isinstance(core, Core) and (registers := register_files(Shapes(core.config))):
        say(f"and beside them, of its registers, {', '.join(registers)}")
    *others, last = integration_files(core.manifest)
    say(f"and beside them, for FuseSoC, IP-XACT and Vivado, {', '.join(others)} and {last}")


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="python -m hw.build", description=__doc__, epilog=EXAMPLES)
    add = parser.add_argument
    add_unit_options(parser, target=GENERIC.name)
    add("--estimate", action="store_true", help="only say what the unit will cost, write nothing")
    add("--write-folding", type=cli.file_path, metavar="FILE", help="write a network's folding for --folding")
    add("--picture", type=cli.file_path, metavar="FILE", help="write a network's nodes and streams as a picture, SVG")
    add("--out", type=cli.file_path, default=Path("build"), metavar="DIR", help="where to write (default: build)")
    return parser


def _summary(name: str, core: Core, device: str | None, choice: Mapping[str, str]) -> Table:
    config, timing, shapes = core.config, core.manifest["timing"], Shapes(core.config)
    c = config.layer.config
    table = Table(title=f"xvolution: {name}", show_header=False)
    rows = {
        "layer": f"{c.in_channels} -> {c.out_channels} channels, {c.height}x{c.width}",
        "kernel": f"{c.kernel}x{c.kernel}, stride {c.stride}, {c.padding}, groups {c.groups}",
        "attention": f"{len(c.attn_offsets)} offsets",
        **_reload_rows(core),
        **_build_rows(shapes),
        **({} if device is None else {f"fits {device}": verdict(estimate(config), device)}),
        "row store": f"{shapes.schedule.slots} rows of {number(shapes.row_depth)} x {shapes.column_group.size} bit",
        "accumulator": f"{shapes.ranges.accumulator.signed_bits} bit, from the "
        + ("weights" if config.reload is None else "formats"),
        "first output": f"{number(timing['predicted_latency'])} cycles after the first input",
        "frame": f"{number(timing['predicted_frame_cycles'])} cycles (ideal {number(timing['ideal_frame_cycles'])})",
        **choice,
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
    return {"reloadable": f"{sets} of weights, each of {number(beats)} beats; {', '.join(shifts)}"}


def _build_rows(shapes: Shapes) -> dict[str, str]:
    """What was chosen for the layer, and the multipliers that follow from it."""
    counts = {kind: count for kind, count in dsp_counts(shapes).items() if count}
    parts = ", ".join(f"{number(count)} {kind}" for kind, count in counts.items())
    return {
        "target": f"{shapes.target.name}, {'two products in a multiplier' if shapes.plan.packed else 'not packed'}",
        "folding": f"simd {shapes.folding.simd}, pe {shapes.folding.pe}",
        "multipliers": f"{number(sum(counts.values()))}: {parts}" if counts else "0",
    }


def _estimate_table(name: str, unit: Estimate, device: str | None, choice: Mapping[str, str]) -> Table:
    table = Table(title=f"xvolution: {name}, estimated", show_header=False)

    def amount(key: str) -> str:
        of = "" if device is None else f" of {number(getattr(CAPACITY[device], key))}"
        return f"{number(getattr(unit, key))}{of}"

    rows = {
        **_build_rows(unit.shapes),
        "first output": f"{number(unit.latency)} cycles after the first input",
        "frame": f"{number(unit.frame_cycles)} cycles (exact)",
        "LUT": f"about {amount('lut')}",
        "FF": f"about {amount('ff')}",
        "DSP": "synthesis chooses" if unit.dsp is None else f"{amount('dsp')} (exact)",
        "BRAM": "synthesis chooses"
        if unit.bram is None
        else f"{amount('bram')}, each of {unit.shapes.target.fabric.block_kbit} kbit",
        **({} if device is None else {f"fits {device}": verdict(unit, device)}),
        **choice,
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


if __name__ == "__main__":
    cli.run(main)
