"""Accuracy of networks that other tools made: in the source's own runtime, in integers and in Verilog, side by side.

Each file is converted and written as a network file. The same test images go through the source (QONNX's executor, or
ONNX Runtime) and through the integer network, the first of them through its Verilog in a simulator, too. Batches that
were simulated are kept in a store, as by scripts.accuracy. So an interrupted run goes on where it was.

Examples:
    python -m scripts.imports
    python -m scripts.imports --only residual_int4_po2 --images 500
    python -m scripts.imports --page docs/import.md

With --page the table is written into a page.

Exit status: 0 if all numbers of the Verilog are those of the integer networks, and all cycles as predicted; 1 if not,
or if a batch failed; 2 for wrong input.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from golden.contract.folding import DEFAULT_LANES
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import network_bytes
from golden.convert.convert import convert
from golden.convert.measure import Measured, measure
from golden.convert.source import open_source
from golden.support import cli
from golden.support.cli import UserError
from golden.support.numbers import number
from golden.support.progress import progress, spinner
from golden.support.tables import show, table_of
from golden.support.terminal import say
from golden.training import Task, load_task
from hw.estimate.choose_network_folding import cheapest_within
from hw.export.network_verilog import NetworkCore, generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from scripts.checkout import in_checkout
from scripts.imports_sources import FOLDER, SOURCES, TASK, Source
from scripts.marked_page import MarkedPage, page_table
from scripts.studies.accuracy import Subject, jobs_of, total
from scripts.studies.batches import images_of, results_of
from scripts.studies.places import add_places
from scripts.studies.result import Result
from scripts.studies.store import Store
from scripts.studies.subjects import of_network
from scripts.studies.verdict import wrong
from sim.simulator.simulators import SIMULATORS, find_simulator

#: Cycles of a frame that each step may take.
CYCLES = 12_544
#: Test images, and those that are simulated.
IMAGES, SIMULATED = 1000, 200
#: Images of a batch in the simulator.
BATCH = 250
#: Validation images that the scales of a float network follow from.
CALIBRATION = 200
REPORT = "imports.json"
BEGIN, END = "<!-- imports: python -m scripts.imports --page -->\n", "<!-- end of imports -->\n"
HEADINGS: tuple[str, ...] = (
    "network",
    "written by",
    "bits",
    "scales",
    "images",
    "source",
    "integers",
    "Verilog",
    "changed",
)
HEADINGS += ("proven", "alone", "part alone", "together", "part together", "cycles")
WORDS = 4


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    names = [name for name in SOURCES if options.only in (None, name)]
    if options.page is not None and options.only is not None:
        raise UserError(f"--page {options.page} needs all rows, --only leaves {options.only}")
    folder = options.files or in_checkout(FOLDER, "--files DIR")
    page = None if options.page is None else MarkedPage(path=options.page, begin=BEGIN, end=END)
    if options.scheduler is None and options.simulated:
        find_simulator(options.simulator)
    task = load_task(TASK, path=options.data_path)
    if options.images > len(task.test):
        raise UserError(f"--images {options.images} is too many, there are {len(task.test)} images")
    simulated = min(options.simulated, options.images)
    files = {f"{name}.npz": folder / SOURCES[name].file for name in names}
    with Store(options.store) as store, tempfile.TemporaryDirectory() as scratch:
        inputs = [*files.values(), store.path]
        cli.check_folder(options.out, [*files, REPORT], beside=[options.page], inputs=inputs)
        out = cli.output_directory(options.out)
        measured: dict[str, dict[str, Any]] = {}
        made: dict[str, bytes] = {}
        for name in names:
            network, measured[name] = _measured(SOURCES[name], folder, task, options.images)
            made[f"{name}.npz"] = network_bytes(network)
        cli.write_files(Path(scratch), made)
        subjects = {name: _subject(name, Path(scratch), simulated, options) for name in names if simulated}
        jobs = {name: jobs_of(subject, options.simulator, BATCH) for name, subject in subjects.items()}
        found = results_of(
            list(subjects.values()),
            jobs,
            store,
            workers=options.workers,
            scheduler=options.scheduler,
            any_code=options.any_code,
        )
    rows = [_row(name, measured[name], found.get(name, ())) for name in names]
    cli.write_files(out, {**made, REPORT: f"{json.dumps(rows, indent=2)}\n"})
    show(_table(rows))
    failed = [(name, result) for name, own in found.items() for result in own if not result.done]
    for name, result in failed:
        say(f"failed: {name}, {images_of(result)}: {result.complaint}")
    if page is not None and not failed:
        page.write(page_table(HEADINGS, map(_cells, rows), words=WORDS) + "\n")
        say(f"wrote {page.path}")
    return 1 if failed or any(row["verilog"] and wrong(row["verilog"]) for row in rows) else 0


def _measured(source: Source, folder: Path, task: Task, images: int) -> tuple[IntegerNetwork, dict[str, Any]]:
    """What ``source`` becomes, and how both answer the first test images."""
    path = str(folder / source.file)
    calibration = task.validation.subset(slice(CALIBRATION)).images().double().numpy()
    given: dict[str, Any] = {} if source.quantised else {"bits": source.bits, "scales": source.scales}
    with spinner(f"converting {path}"):
        converted = convert(path, None if source.quantised else calibration, **given)
    first = task.test.subset(slice(images))
    with progress(f"{path} in its own runtime", images) as advance:
        opened = open_source(path, calibration)
        found = measure(converted, opened, first.images().double().numpy(), first.targets.numpy(), advance)
    return converted.network, {"bound": max(converted.bounds.values(), default=None), **_figures(found)}


def _figures(found: Measured) -> dict[str, Any]:
    return asdict(found) | {"together_part": found.together.part, "alone_part": found.alone.part}


def _subject(name: str, folder: Path, images: int, options: argparse.Namespace) -> Subject:
    """The Verilog of a network whose file is in ``folder``, and the first ``images``."""

    def make(network: IntegerNetwork) -> NetworkCore:
        base = NetworkConfig(network=network, foldings=up_to_lanes(network, DEFAULT_LANES))
        with spinner(f"generating Verilog of {name}"):
            return generate_network(NetworkPlan(replace(base, foldings=cheapest_within(base, options.cycles))))

    given: Mapping[str, Any] = {"task": TASK, "data_path": options.data_path, "images": images}
    return replace(of_network(str(folder / f"{name}.npz"), make, **given, float_file=None), name=name)


def _row(name: str, measured: Mapping[str, Any], results: Sequence[Result]) -> dict[str, Any]:
    done = [result.figures for result in results if result.done]
    return {"name": name, **measured, "verilog": total(done) if done else None}


def _cells(row: Mapping[str, Any]) -> list[str]:
    source, images, verilog = SOURCES[row["name"]], row["images"], row["verilog"]
    rtl, cycles = "", ""
    if verilog is not None:
        share, many = _percent(verilog["right"]["verilog"] / verilog["images"]), number(verilog["images"])
        rtl = "wrong" if wrong(verilog) else f"{share} of {many}"
        cycles = number(verilog["frame_cycles"])
    bound = row["bound"]
    exact = [""] * 3
    if bound is not None:
        exact = ["exact" if bound == 0 else f"{bound:.2g}", f"{row['alone']['steps']:.0f}", _percent(row["alone_part"])]
    return [
        source.network,
        source.tool,
        str(source.bits),
        "powers of two" if source.scales == "po2" else "float",
        number(images),
        _percent(row["source"] / images),
        _percent(row["integers"] / images),
        rtl,
        number(row["changed"]),
        *exact,
        f"{row['together']['steps']:.0f}",
        _percent(row["together_part"]),
        cycles,
    ]


def _percent(part: float) -> str:
    return f"{100 * part:.2f} %" if part >= 1e-4 or not part else f"{100 * part:.1g} %"


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:
    table = table_of(*HEADINGS, words=WORDS)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.imports", description=__doc__)
    count = cli.bounded(int, 1, 10**6)
    add = parser.add_argument
    add("--only", choices=list(SOURCES), metavar="NAME", help=f"one row alone: {', '.join(SOURCES)}")
    add("--images", type=count, default=IMAGES, metavar="N", help=f"the first N test images (default: {IMAGES})")
    simulated = f"of them the first N in Verilog, too; 0: none (default: {SIMULATED})"
    add("--simulated", type=cli.bounded(int, 0, 10**6), default=SIMULATED, metavar="N", help=simulated)
    add("--cycles", type=count, default=CYCLES, help=f"cycles a frame of each step (default: {CYCLES})")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add("--files", type=cli.file_path, metavar="DIR", help=f"folder of the files (default: {FOLDER})")
    add("--data-path", metavar="FOLDER", help="where the data set is (default: where its package puts it)")
    add("--any-code", action="store_true", help="take what other versions of the code have stored, too")
    add("--page", type=cli.file_path, metavar="FILE", help="write the table into this page, too")
    add_places(parser)
    out = Path("build/imports")
    add("--out", type=cli.file_path, default=out, metavar="DIR", help=f"where to write (default: {out})")
    return parser


if __name__ == "__main__":
    cli.run(main)
