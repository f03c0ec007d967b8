"""Networks of the field, from their published structures: converted and built for UltraScale+, beside peers' figures.

Those of MLPerf Tiny are whole. Each is converted from PyTorch, with random weights, to 8 bits. Each of its steps takes
at most the cycles that the published entry takes for a frame, with as few multipliers as it can. Its Verilog is
simulated, compared with the integer model bit by bit, and its area is estimated.

Networks that torchvision and timm have are a quarter as wide, for frames of 64x64 pixels. Each is converted, and its
hardware is planned: what every step takes, when every beat moves, and what it will cost. What cannot be converted is
shown with the reason.

Examples:
    python -m scripts.structures
    python -m scripts.structures --only resnet18 --page docs/import.md
    python -m scripts.structures --only resnet50 --conversion      in seconds, without its hardware
    python -m scripts.structures --page docs/import.md

With --page the tables are written into a page. With --only, too, other networks' rows stay as they are there.

Exit status: 0 if all that was simulated agrees with the integer models, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

from golden.contract.folding import DEFAULT_LANES
from golden.contract.network.network import IntegerNetwork
from golden.convert.convert import Conversion, convert
from golden.networks.published import FIELD, MLPERF_TINY, settled
from golden.support import cli
from golden.support.cli import UserError
from golden.support.numbers import number
from golden.support.progress import bars
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.estimate.choose_network_folding import cheapest_within
from hw.estimate.network import estimate_network
from hw.export.network_verilog import generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.targets.families import TARGETS
from scripts.marked_page import MarkedPage, page_table
from sim.bulk.simulate import simulate
from sim.cases.stimulus import random_images

TARGET = TARGETS["xcup"]
SEED = 0
#: Images that scales follow from, of MLPerf Tiny and of the field.
IMAGES, FEW = 16, 4
#: Frames that are simulated. The last one ends an interval behind the one before.
FRAMES = 3
#: The part of its width that a network of the field has, and the side of its frames.
WIDTH, SIDE = 0.25, 64
BEGIN, END = "<!-- structures: python -m scripts.structures --page -->\n", "<!-- end of structures -->\n"
TINY_COLUMNS = ("network", "by", "on", "cycles", "DSP", "LUT", "FF", "BRAM36", "MAC/DSP", "MHz", "frames/s")
FIELD_COLUMNS = ("network", "steps", "multiplications", "changed", "cycles", "DSP", "LUT", "BRAM36")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A published network of MLPerf Tiny.

    Attributes:
        network: which of `MLPERF_TINY`.
        by, on: who made it, and the device.
        mhz, fps: clock, and the median throughput in frames a second.
        lut, ff, dsp, bram: area, with block RAMs of 36 kbit; None where it is not said, or cannot be.
    """

    network: str
    by: str
    on: str
    mhz: float
    fps: float
    lut: int
    ff: int
    dsp: int
    bram: float | None

    @property
    def cycles(self) -> int:
        """Cycles of a frame."""
        return int(self.mhz * 1e6 / self.fps)


_FPGACONVNET = "fpgaConvNet, MLPerf Tiny 1.1, closed"
#: Of github.com/mlcommons/tiny_results_v1.1, closed/fpgaconvnet: its README.md, and performance/results.txt of each.
#: The README gives the first one 28 block RAMs and says that they are 55 % of the device's, which has 545.
ENTRIES = (
    Entry(
        network="image classification",
        by=_FPGACONVNET,
        on="ZC706",
        mhz=187,
        fps=6789.576,
        lut=108_000,
        ff=99_000,
        dsp=525,
        bram=None,
    ),
    Entry(
        network="visual wake words",
        by=_FPGACONVNET,
        on="ZC706",
        mhz=200,
        fps=1388.295,
        lut=133_000,
        ff=124_000,
        dsp=564,
        bram=366,
    ),
)


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    chosen = [name for name in (*MLPERF_TINY, *FIELD) if options.only in (None, name)]
    page = None if options.page is None else MarkedPage(path=options.page, begin=BEGIN, end=END)
    folder = cli.output_directory(options.out)
    cli.check_outputs([folder / "structures.json", options.page])
    found: dict[str, list[dict[str, Any]]] = {"tiny": [], "field": []}
    with cli.replacing(folder / "structures.json") as stream, bars() as bar:
        task = bar.add_task("", total=len(chosen))
        for name in chosen:
            bar.update(task, description=name)
            kind, measure = ("tiny", measure_tiny) if name in MLPERF_TINY else ("field", measure_field)
            found[kind].append(measure(name, options))
            bar.advance(task)
        stream.write(json.dumps(found, indent=2) + "\n")
    if found["tiny"]:
        show(_table(TINY_COLUMNS, _tiny_cells(found["tiny"]), words=3))
    if found["field"]:
        show(_table(FIELD_COLUMNS, map(_field_cells, found["field"]), words=1))
    if page is not None:
        page.write(_markdown(found, page.figures))
        say(f"wrote {page.path}")
    say(f"wrote {folder / 'structures.json'}")
    return 0 if all(row["passed"] for row in found["tiny"]) else 1


def converted(made: Callable[[], nn.Module], side: int, images: int) -> Conversion:
    """A network with random weights, whose batch norms know their inputs, in 8 bits. Minmax loses least of these."""
    torch.manual_seed(SEED)
    batch = torch.randn(images, 3, side, side, generator=torch.Generator().manual_seed(SEED + 1))
    return convert(settled(made(), batch), batch.numpy().astype(np.float64), method="minmax")


def measure_tiny(name: str, options: Any) -> dict[str, Any]:
    """A network of MLPerf Tiny, as fast as its published entry: simulated, and estimated."""
    made, side = MLPERF_TINY[name]
    (entry,) = (entry for entry in ENTRIES if entry.network == name)
    network = converted(made, side, IMAGES).network
    base = _config(network)
    plan = NetworkPlan(replace(base, foldings=cheapest_within(base, entry.cycles)))
    core = generate_network(plan)
    result = simulate(core, random_images(np.random.default_rng(SEED), network.image, FRAMES))
    passed = result.passed and not result.timing_complaints(core.manifest["timing"])
    return {"network": name, **_costs(plan), "frame_cycles": result.frame_cycles[-1], "passed": passed}


def measure_field(name: str, options: Any) -> dict[str, Any]:
    """A network of the field: converted, and its hardware planned if that is asked for; or why not."""
    try:
        conversion = converted(lambda: FIELD[name](WIDTH), SIDE, FEW)
    except UserError as error:
        return {"network": name, "refused": str(error)}
    steps = conversion.network.steps
    macs = sum(step.macs for step in steps)
    row = {"network": name, "steps": len(steps), "macs": macs, "changed": conversion.changed}
    if options.conversion:
        return row
    plan = NetworkPlan(_config(conversion.network))
    return {**row, **_costs(plan), "frame_cycles": plan.schedule.interval}


def _config(network: IntegerNetwork) -> NetworkConfig:
    return NetworkConfig(network=network, foldings=up_to_lanes(network, DEFAULT_LANES), target=TARGET)


def _costs(plan: NetworkPlan) -> dict[str, Any]:
    cost = estimate_network(plan)
    macs = sum(step.macs for step in plan.config.network.steps)
    assert cost.bram is not None
    blocks = cost.bram * TARGET.fabric.block_kbit / 36
    return {"macs": macs, "dsp": cost.dsp, "lut": cost.lut, "ff": cost.ff, "bram36": blocks, "uram": cost.uram}


def _tiny_cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Each network, and its published entry behind it."""
    cells = []
    for row in rows:
        cycles = row["frame_cycles"]
        shown = number(cycles) if row["passed"] else "wrong"
        areas = [number(row[key]) for key in ("dsp", "lut", "ff", "bram36")]
        used = row["macs"] / (row["dsp"] * cycles) if cycles else 0.0
        cells.append([row["network"], "this project", TARGET.name, shown, *areas, f"{used:.2f}", "", ""])
        (entry,) = (entry for entry in ENTRIES if entry.network == row["network"])
        blocks = "" if entry.bram is None else number(entry.bram)
        areas = [number(entry.dsp), number(entry.lut), number(entry.ff), blocks]
        used = row["macs"] / (entry.dsp * entry.cycles)
        speed = [f"{entry.mhz:.0f}", f"{entry.fps:,.0f}"]
        cells.append([row["network"], entry.by, entry.on, number(entry.cycles), *areas, f"{used:.2f}", *speed])
    return cells


def _field_cells(row: Mapping[str, Any]) -> list[str]:
    if "refused" in row:
        return [row["network"], f"refused: {row['refused']}", *[""] * (len(FIELD_COLUMNS) - 2)]
    figures = [number(row[key]) if key in row else "" for key in ("frame_cycles", "dsp", "lut", "bram36")]
    return [row["network"], number(row["steps"]), number(row["macs"]), f"{100 * row['changed']:.0f} %", *figures]


def _table(columns: Sequence[str], rows: Any, *, words: int) -> Table:
    table = table_of(*columns, words=words)
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(found: Mapping[str, Sequence[Mapping[str, Any]]], earlier: str) -> str:
    """Both tables as a page has them. What was not measured stays as it was ``earlier``."""
    measured = [*_tiny_cells(found["tiny"]), *map(_field_cells, found["field"])]
    kept = [[cell.strip() for cell in line.split("|")[1:-1]] for line in earlier.splitlines() if line.startswith("|")]
    tables = []
    for names, columns, words in ((MLPERF_TINY, TINY_COLUMNS, 3), (FIELD, FIELD_COLUMNS, 1)):
        rows = []
        for name in names:
            now, before = ([cells for cells in own if cells[:1] == [name]] for own in (measured, kept))
            rows += now or before
        tables.append(page_table(columns, rows, words=words))
    return "\n\n".join(tables) + "\n"


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.structures", description=__doc__)
    add = parser.add_argument
    names = (*MLPERF_TINY, *FIELD)
    add("--only", choices=names, metavar="NETWORK", help=f"this network alone: {', '.join(names)}")
    add("--conversion", action="store_true", help="convert networks of the field, plan no hardware of them")
    add("--page", type=cli.file_path, metavar="FILE", help="write the tables into this page, too")
    out = Path("build/structures")
    add("--out", type=cli.file_path, default=out, metavar="DIR", help=f"where to write (default: {out})")
    return parser


if __name__ == "__main__":
    cli.run(main)
