"""``python -m hw.synth``: what a unit or a network costs in an FPGA and how fast it is, from free tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from golden.layers import layer_path, load_model
from golden.support import cli
from golden.support.numbers import number
from golden.support.progress import spinner
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.estimate.chosen_rows import chosen_rows
from hw.export.network_verilog import generate_network
from hw.export.verilog import generate
from hw.network.config import NetworkConfig
from hw.network.plan import NetworkPlan
from hw.options import add_unit_options, hardware
from hw.synth.files import FILES, write_report
from hw.synth.placement import SPEEDS
from hw.synth.report import areas, model_name, report, rows
from hw.synth.synthesis import find_goal, synthesise
from hw.synth.toolchain import require
from hw.targets.area import shown_resources
from hw.targets.families import ECP5

EXAMPLES = """\
examples:
  python -m hw.synth --lanes 1                                the default network on an ECP5, placed and routed
  python -m hw.synth digits_layer --simd 1 --pe 2 --seeds 3   a layer, the fastest of three placements
  python -m hw.synth tiny --simd 1 --pe 1 --device ecp5-25f   on a small device
  python -m hw.synth --device ecp5-45f --fastest              as fast as fits into a device
  python -m hw.synth my_network.npz --target xcup             cells of an UltraScale+, no clock
"""


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    wanted = {name: getattr(args, name) for name in ("device", "speed", "seeds", "clock_mhz")}
    wish = hardware(args, load_model(args.layer))
    asked = NetworkPlan(wish.config) if isinstance(wish.config, NetworkConfig) else wish.config
    # What cannot work is refused now and not after minutes of work.
    find_goal(asked, **wanted)
    require("matplotlib", "jinja2")
    cli.check_folder(args.out, FILES, inputs=[layer_path(args.layer), args.folding])
    with spinner("generating Verilog") as status:
        inline = args.inline
        core = (
            generate_network(asked, inline=inline) if isinstance(asked, NetworkPlan) else generate(asked, inline=inline)
        )
        synthesis = synthesise(core, **wanted, status=status)
    figures = report(args.layer, core, synthesis)
    files = write_report(figures, synthesis, args.out)
    show(_summary(figures, {} if wish.chosen is None else chosen_rows(wish.chosen)))
    show(_areas(figures))
    *others, last = files
    say(f"wrote to {args.out}: {', '.join(others)} and {last}")
    return 0


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m hw.synth", description=__doc__, epilog=EXAMPLES)
    add, speeds = parser.add_argument, ", ".join(map(str, SPEEDS))
    add_unit_options(parser, target=ECP5.name)
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


def _summary(figures: dict[str, Any], choice: dict[str, str]) -> Table:
    table = Table(title=f"xvolution: {model_name(figures)}", show_header=False)
    for label, text in {**rows(figures), **choice}.items():
        table.add_row(label, text)
    return table


def _areas(figures: dict[str, Any]) -> Table:
    kind, parts = areas(figures)
    # A step has work of its own, a stage of a unit has not.
    work = {"MACs": "macs", "cycles": "cycles"} if kind == "step" else {}
    columns = work | shown_resources(figures["uram"])
    table = table_of(kind, *columns, title="where the area goes")
    for part, row in parts.items():
        table.add_row(part, *(number(row[key]) if key in row else "" for key in columns.values()))
    return table


if __name__ == "__main__":
    cli.run(main)
