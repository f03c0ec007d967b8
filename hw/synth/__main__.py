"""``python -m hw.synth``: what a layer's unit costs in an FPGA and how fast it is, from free tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from golden.layers import layer_path, load_layer
from golden.support import cli
from golden.support.numbers import number
from golden.support.progress import spinner
from golden.support.tables import show
from golden.support.terminal import say
from hw.export.verilog import generate
from hw.options import add_unit_options, unit_config
from hw.synth.files import FILES, write_report
from hw.synth.placement import DEVICES, SPEEDS
from hw.synth.report import report, rows
from hw.synth.synthesis import find_goal, synthesise
from hw.synth.toolchain import require
from hw.targets.area import RESOURCES
from hw.targets.families import ECP5

EXAMPLES = """\
examples:
  python -m hw.synth --simd 1 --pe 2                          the default layer on an ECP5, placed and routed
  python -m hw.synth --simd 2 --pe 4 --seeds 3                the fastest of three placements
  python -m hw.synth tiny --simd 1 --pe 1 --device ecp5-25f   on the smallest device
  python -m hw.synth my_layer.npz --target xcup               cells of an UltraScale+, no clock
"""


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    wanted = {name: getattr(args, name) for name in ("device", "speed", "seeds", "clock_mhz")}
    config = unit_config(args, load_layer(args.layer))
    # What cannot work is refused now and not after minutes of work.
    find_goal(config, **wanted)
    require("matplotlib", "jinja2")
    cli.check_folder(args.out, FILES, inputs=[layer_path(args.layer)])
    with spinner("generating Verilog") as status:
        core = generate(config, inline=args.inline)
        synthesis = synthesise(core, **wanted, status=status)
    figures = report(args.layer, core, synthesis)
    files = write_report(figures, synthesis, args.out)
    show(_summary(figures))
    show(_stages(figures))
    *others, last = files
    say(f"wrote to {args.out}: {', '.join(others)} and {last}")
    return 0


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m hw.synth", description=__doc__, epilog=EXAMPLES)
    add, devices, speeds = parser.add_argument, ", ".join(DEVICES), ", ".join(map(str, SPEEDS))
    add_unit_options(parser, target=ECP5.name)
    add("--device", help=f"{devices} (default: ecp5-85f)")
    add("--speed", type=int, help=f"speed grade, {speeds} (default: 6, the slowest)")
    add("--seeds", type=cli.bounded(int, 1, 100), metavar="N", help="placements, the fastest counts (default: 1)")
    add(
        "--clock",
        type=cli.bounded(float, 1, 1000, " MHz"),
        metavar="MHZ",
        dest="clock_mhz",
        help="clock that place-and-route aims for (default: 200)",
    )
    add(
        "--out",
        type=cli.file_path,
        default=Path("build/synth"),
        metavar="DIR",
        help="where to write (default: build/synth)",
    )
    return parser


def _summary(figures: dict[str, Any]) -> Table:
    table = Table(title=f"xvolution: {figures['layer']}", show_header=False)
    for label, text in rows(figures).items():
        table.add_row(label, text)
    return table


def _stages(figures: dict[str, Any]) -> Table:
    table = Table("stage", *RESOURCES, title="where the area goes")
    for column in table.columns[1:]:
        column.justify = "right"
    for stage, area in figures["stages"].items():
        table.add_row(stage, *(number(area[key]) for key in RESOURCES.values()))
    return table


if __name__ == "__main__":
    cli.run(main)
