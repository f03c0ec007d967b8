"""Cycles, area and clock of units and of whole networks against the ideal, and beside what peers reach.

Unless a row says otherwise, a unit's layer is 3x3, 16 -> 16 channels, 32x32, 8 bit, with all eight
attention directions. Everything is simulated with frames back to back, compared bit by bit, and
synthesised. Reloadable units are synthesised alone; tests simulate such ones. What is for an ECP5 is
placed and routed (85F, speed grade 6). The units' peer is FINN's RTL chain of padding, sliding window
and matrix-vector unit. It computes the same convolution, without attention and without requantisation.
Its figures were measured once, in Verilator and with Yosys for 7 series. The networks' peers are as
their authors report them.

Examples:
    python -m scripts.bench                       everything: hours the first time
    python -m scripts.bench --kind units          units alone: about half an hour
    python -m scripts.bench --kind networks --page docs/figures.md
    python -m scripts.bench --network resnet8     one network; with --page, its row alone is written
    python -m scripts.bench --only xcup --seeds 1
    python -m scripts.bench --kind units --cycles  no synthesis, a minute
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from golden.contract.costs import useful_macs
from golden.contract.folding import Folding
from golden.layers.random_layer import random_layer
from golden.support import cli
from golden.support.cli import UserError
from golden.support.numbers import number
from golden.support.progress import bars
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.export.verilog import Core, generate
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.synth.performance import Performance
from hw.synth.synthesis import PLACEABLE, synthesise
from hw.targets.families import TARGETS
from scripts import bench_networks
from scripts.estimate import RELOAD
from scripts.marked_page import MarkedPage
from sim.bulk.simulate import simulate
from sim.cases.stimulus import random_frames
from sim.simulator.simulators import SIMULATORS

SEED = 16
FRAMES = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """One unit of the table.

    Attributes:
        target: FPGA family.
        simd, pe: folding.
        what: what distinguishes its layer or build, in words.
        pack: whether products may share a multiplier.
        reload: what may change at run time; None for a frozen unit.
        fields: fields of the layer that differ from those of the module's docstring.
    """

    target: str
    simd: int
    pe: int
    what: str = "signed input"
    pack: bool = True
    reload: Reload | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The peer's unit that is nearest to one of ours.

    Attributes:
        multipliers: number of convolution multipliers.
        stride: stride of the convolution.
        frame, ideal: cycles of a frame, measured and ideal.
        lut, ff, dsp, fmax: area and clock for 7 series; ``-`` where not known.
    """

    multipliers: int
    stride: int
    frame: int
    ideal: int
    lut: str = "-"
    ff: str = "-"
    dsp: str = "-"
    fmax: str = "-"


SIGNED: Mapping[str, Any] = {"in_signed": True}
PLAIN: Mapping[str, Any] = {"in_signed": True, "attn_offsets": ()}
HEADS_8: Mapping[str, Any] = {"in_signed": True, "product": "dynamic", "heads": 8}
HEADS_1: Mapping[str, Any] = {"in_signed": True, "product": "dynamic", "heads": 1}
ROWS = (
    Row(target="ecp5", simd=1, pe=2, fields=SIGNED),
    Row(target="ecp5", simd=1, pe=2, what="unsigned input"),
    Row(target="ecp5", simd=2, pe=4, fields=SIGNED),
    Row(target="ecp5", simd=2, pe=4, what="unsigned input"),
    Row(target="ecp5", simd=4, pe=2, what="4 bit", fields={**SIGNED, "in_bits": 4, "weight_bits": 4}),
    Row(target="ecp5", simd=2, pe=4, what="plain convolution", fields=PLAIN),
    Row(target="ecp5", simd=2, pe=2, what="dynamic, 8 heads", fields=HEADS_8),
    Row(target="ecp5", simd=2, pe=2, what="dynamic, 1 head", fields=HEADS_1),
    Row(target="ecp5", simd=2, pe=4, what="dynamic, 8 heads", fields=HEADS_8),
    Row(target="ecp5", simd=2, pe=4, what="dynamic, 1 head", fields=HEADS_1),
    Row(target="ecp5", simd=1, pe=1, what="reloadable", reload=RELOAD, fields=SIGNED),
    Row(target="ecp5", simd=2, pe=2, what="reloadable", reload=RELOAD, fields=SIGNED),
    Row(target="generic", simd=1, pe=2, fields=SIGNED),
    Row(target="xcup", simd=4, pe=4, fields=SIGNED),
    Row(target="xcup", simd=4, pe=4, what="unsigned input"),
    Row(target="xcup", simd=4, pe=4, what="signed, not packed", pack=False, fields=SIGNED),
    Row(target="xcup", simd=4, pe=4, what="plain, not packed", pack=False, fields=PLAIN),
    Row(target="xcup", simd=4, pe=4, what="plain, packed", fields=PLAIN),
    Row(target="xcup", simd=4, pe=4, what="dynamic, 8 heads", fields=HEADS_8),
    Row(target="xcup", simd=4, pe=4, what="dynamic, 1 head", fields=HEADS_1),
    Row(target="xcup", simd=8, pe=8, fields=SIGNED),
    Row(target="xcup", simd=8, pe=4, what="stride 2", fields={**SIGNED, "stride": 2}),
    Row(target="xc7", simd=1, pe=2, fields=SIGNED),
    Row(target="xc7", simd=2, pe=4, fields=SIGNED),
    Row(target="xc7", simd=4, pe=4, fields=SIGNED),
    Row(target="xc7", simd=4, pe=4, what="unsigned input"),
    Row(target="xc7", simd=4, pe=8, fields=SIGNED),
)
PEERS = (
    Peer(multipliers=16, stride=1, frame=147_536, ideal=147_456, lut="1.3 k", ff="2.6 k", dsp="8", fmax="62 to 66"),
    Peer(multipliers=64, stride=1, frame=36_887, ideal=36_864, lut="3.6 k", ff="8.2 k", dsp="32", fmax="69"),
    Peer(multipliers=256, stride=1, frame=9_280, ideal=9_216, lut="13.4 k", ff="31 k", dsp="128"),
    Peer(multipliers=256, stride=2, frame=2_369, ideal=2_304),
    Peer(multipliers=576, stride=1, frame=4_161, ideal=4_096, lut="28 k", ff="74 k", dsp="288"),
    Peer(multipliers=2304, stride=1, frame=1_157, ideal=1_024),
)
#: The place of the networks' figures in a page.
BEGIN, END = "<!-- networks: python -m scripts.bench --page -->\n", "<!-- end of networks -->\n"
#: Columns of the two tables. Together they would be wider than a terminal.
CYCLES = ("unit", "folding", "MACs", "ideal", "cycles", "used")
AREA = ("unit", "folding", "LUT", "FF", "DSP", "BRAM", "MHz", "MAC/DSP")


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    units, networks = _asked(options)
    page = None if options.page is None else MarkedPage(path=options.page, begin=BEGIN, end=END)
    folder = cli.output_directory(options.out)
    cli.check_outputs([folder / "bench.json", options.page])
    figures: dict[str, list[dict[str, Any]]] = {"units": [], "networks": []}
    # The file is opened first. If that failed after the runs, half an hour would be lost.
    with cli.replacing(folder / "bench.json") as stream, bars() as bar:
        task = bar.add_task("", total=len(units) + len(networks))
        for row in units:
            bar.update(task, description=f"{row.target} simd {row.simd} pe {row.pe}, {row.what}")
            figures["units"].append(_measure(row, options))
            bar.advance(task)
        for network in networks:
            bar.update(task, description=f"{network.target}, {network.what}")
            figures["networks"].append(bench_networks.measure(network, options))
            bar.advance(task)
        stream.write(json.dumps(figures, indent=2) + "\n")
    if units:
        show(_cycles_table(figures["units"]))
    if units and not options.cycles:
        show(_area_table(figures["units"]))
    if networks:
        show(bench_networks.table(figures["networks"]))
    if page is not None:
        page.write(bench_networks.markdown(figures["networks"], page.figures))
        say(f"wrote {page.path}")
    say(f"wrote {folder / 'bench.json'}")
    return 0 if all(row.get("passed", True) for rows in figures.values() for row in rows) else 1


def _asked(options: Any) -> tuple[list[Row], list[bench_networks.Row]]:
    """The units and networks that are to be measured. Raises `UserError` where a page would lack some of them."""
    kind = "networks" if options.network else options.kind
    if options.network and options.kind == "units":
        raise UserError(f"--network {options.network} is not of --kind units")
    units = [
        row
        for row in ROWS
        if kind != "networks" and options.only in (None, row.target) and not (options.cycles and row.reload)
    ]
    networks = [
        row
        for row in bench_networks.ROWS
        if kind != "units" and options.only in (None, row.target) and options.network in (None, row.network)
    ]
    if options.page is not None and (options.cycles or not networks):
        raise UserError(f"--page {options.page} needs all figures of a network")
    return units, networks


def _measure(row: Row, options: Any) -> dict[str, Any]:
    """Simulate and synthesise one unit. Returns its figures; None for each that there is not.

    The words of a reloadable unit would have to be loaded first. It is not simulated here.
    """
    rng = np.random.default_rng(SEED)
    layer = random_layer(rng, **({"in_channels": 16, "out_channels": 16, "height": 32, "width": 32} | dict(row.fields)))
    core = generate(
        UnitConfig(
            layer=layer,
            folding=Folding(simd=row.simd, pe=row.pe),
            target=TARGETS[row.target],
            pack=row.pack,
            reload=row.reload,
        )
    )
    timing = core.manifest["timing"]
    figures: dict[str, Any] = {
        "unit": f"{row.target}, {row.what}",
        "simd": row.simd,
        "pe": row.pe,
        "multiplications": _multiplications(core),
        "ideal_frame_cycles": timing["ideal_frame_cycles"],
    }
    cycles = timing["predicted_frame_cycles"]
    if row.reload is None:
        result = simulate(core, random_frames(rng, layer.config, FRAMES), simulator=options.simulator)
        cycles = result.frame_cycles[-1]
        passed = result.passed and not result.timing_complaints(timing)
        figures |= {"frame_cycles": cycles, "passed": passed}
    if options.cycles or cycles is None:
        return figures
    seeds = options.seeds if row.target in PLACEABLE else None
    synthesis = synthesise(core, seeds=seeds)
    macs, dsp = useful_macs(layer.config), synthesis.area.dsp
    performance = Performance(macs=macs, frame_cycles=cycles, dsp=dsp, fmax_mhz=synthesis.fmax_mhz)
    return figures | bench_networks.synthesised_figures(synthesis, performance)


def _multiplications(core: Core) -> int:
    """Number of multiplications in a cycle without those of requantisation, whatever hardware makes them."""
    shapes = Shapes(core.config)
    g, folding = shapes.geometry, shapes.folding
    taps = len(g.attn_taps)
    products = folding.pe * shapes.lane_channels * (len(g.conv_taps) + taps)
    if shapes.heads is not None:
        # First the products of the similarities, which all lanes share; then what each lane multiplies with them.
        return products + taps * (folding.simd + shapes.heads.at_once * folding.pe)
    return products + (folding.pe * shapes.lane_channels if taps else 0)


def _table(title: str, columns: Sequence[str]) -> Table:
    text = f"{title}: 3x3, 16 -> 16 channels, 32x32, 8 bit, 8 directions"
    table = table_of(*columns, title=text, box=box.SIMPLE, collapse_padding=True, pad_edge=False)
    return table


def _folding(row: dict[str, Any]) -> str:
    return f"{row['simd']} x {row['pe']}"


def _peer(peer: Peer) -> str:
    return "FINN, plain convolution" + (", stride 2" if peer.stride == 2 else "")


def _cycles_table(figures: list[dict[str, Any]]) -> Table:
    table = _table("cycles", CYCLES)
    for row in figures:
        if "frame_cycles" not in row:
            continue
        cycles = row["frame_cycles"]
        table.add_row(
            row["unit"],
            _folding(row),
            *(f"{row[key]:,}" for key in ("multiplications", "ideal_frame_cycles")),
            f"{cycles:,}" if row["passed"] else "wrong",
            f"{row['ideal_frame_cycles'] / cycles:.2%}" if cycles else "-",
        )
    table.add_section()
    for peer in PEERS:
        cells = (f"{peer.multipliers:,}", f"{peer.ideal:,}", f"{peer.frame:,}", f"{peer.ideal / peer.frame:.1%}")
        table.add_row(_peer(peer), "", *cells, style="dim")
    return table


def _area_table(figures: list[dict[str, Any]]) -> Table:
    table = _table("area and clock", AREA)
    for row in figures:
        fmax, efficiency = row.get("fmax_mhz"), row.get("dsp_efficiency")
        table.add_row(
            row["unit"],
            _folding(row),
            *(number(row[key]) if key in row else "-" for key in ("lut", "ff", "dsp", "bram")),
            f"{min(row['seeds'].values()):.0f} to {fmax:.0f}" if fmax else "-",
            f"{efficiency:.2f}" if efficiency else "-",
        )
    table.add_section()
    for peer in PEERS:
        table.add_row(_peer(peer), "", peer.lut, peer.ff, peer.dsp, "", peer.fmax, "", style="dim")
    return table


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.bench", description=__doc__)
    add = parser.add_argument
    add("--kind", choices=["units", "networks"], help="units or networks alone")
    names = list(dict.fromkeys(row.network for row in bench_networks.ROWS))
    add("--network", choices=names, metavar="NETWORK", help=f"this network alone: {', '.join(names)}")
    add("--only", choices=list(TARGETS), help="what is for one target")
    add("--page", type=cli.file_path, metavar="FILE", help="write the networks' figures into this page, too")
    add("--cycles", action="store_true", help="simulate only")
    add("--seeds", type=cli.bounded(int, 1, 100), default=3, help="placements, the fastest counts (default: 3)")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add(
        "--out",
        type=cli.file_path,
        default=Path("build/bench"),
        metavar="DIR",
        help="where to write (default: build/bench)",
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
