"""Accuracy of a network in floats, in the integer model and in its Verilog, image by image.

The images run through the generated network in a simulator, in batches that processes of this machine or a cluster
share. Batches are kept in a store, by network, Verilog, images and code. A batch that the store has is not
repeated. So an interrupted run goes on where it was. If a worker is killed, its batch is done again. With --any-code
batches of the same network, Verilog and images count, whatever code compared them.

Examples:
    python -m scripts.accuracy
    python -m scripts.accuracy fashion_mnist_qat4 --task fashion_mnist --images 500
    python -m scripts.accuracy net.npz --float floats.npz --task fashion_mnist --device ecp5-85f --fastest
    python -m scripts.accuracy fashion_mnist_ptq8 --task fashion_mnist --scheduler tcp://10.0.0.7:8786
    python -m scripts.accuracy --study digits --set operator=conv --set seed=0 --set bits=[8] --out trained

--task takes the test images of a data set. Without it a network is judged by the images that are recorded with it.
--float takes the network in floats. --study trains a run of a study again, once, and takes its images and all its
networks. With --out its networks are kept, such as fashion_mnist_float.npz, fashion_mnist_ptq8.npz (quantised
after training) and fashion_mnist_qat4.npz (trained in 4 bits). The scheduler is one of Dask, as for scripts.study.

Exit status: 0 if all numbers of the Verilog are those of the integer model, and all cycles as predicted; 1 if not, or
if a batch failed; 2 for wrong input.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from golden.contract.network.network import IntegerNetwork
from golden.layers import DEFAULT
from golden.support import cli
from golden.support.cli import UserError, bounded
from golden.support.numbers import number
from golden.support.progress import progress, spinner
from golden.support.tables import show, table_of
from golden.support.terminal import say
from golden.training import TASKS
from hw.export.network_verilog import NetworkCore, generate_network
from hw.network.config import NetworkConfig
from hw.network.plan import NetworkPlan
from hw.options import add_unit_options, hardware
from hw.targets.families import GENERIC
from scripts.marked_page import MarkedPage
from scripts.studies.accuracy import Subject, jobs_of, total
from scripts.studies.batches import images_of, results_of
from scripts.studies.catalogue import find_study
from scripts.studies.grid import Run
from scripts.studies.places import add_places
from scripts.studies.store import Store
from scripts.studies.subjects import inputs_of, measured, names_of, of_network, of_run
from scripts.studies.trained import float_name, integer_names, only_run, trained
from scripts.studies.verdict import markdown, marks, rows, sentences, wrong
from sim.simulator.simulators import SIMULATORS, find_simulator

#: Images of a batch. A worker that is killed loses as many.
BATCH = 250


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    run = _run_of(options)
    files = [] if run is None else [float_name(run.settings), *integer_names(run.settings)]
    if options.scheduler is None:
        find_simulator(options.simulator)
    with Store(options.store) as store:
        inputs = [*inputs_of(options.layer or DEFAULT), options.folding, options.float, store.path]
        cli.check_outputs([options.json, options.page], inputs=inputs)
        if options.out is not None:
            cli.check_folder(options.out, files, beside=[options.json, options.page], inputs=inputs)
        pages = _pages(options, run)
        subjects = _subjects(options, run)
        jobs = {subject.name: jobs_of(subject, options.simulator, options.batch) for subject in subjects}
        with cli.json_report(options.json) as report:
            found = results_of(
                subjects,
                jobs,
                store,
                workers=options.workers,
                scheduler=options.scheduler,
                any_code=options.any_code,
            )
            done = {name: [result.figures for result in own if result.done] for name, own in found.items()}
            sums = {name: total(figures) for name, figures in done.items() if figures}
            report({subject.name: _described(subject, sums.get(subject.name)) for subject in subjects})
    if run is not None and options.out is not None:
        # The cache has the networks.
        folder = trained(run, lambda share: None)
        cli.write_files(options.out, {name: (folder / name).read_bytes() for name in files})
    failed = any(not result.done for own in found.values() for result in own)
    if pages and not failed:
        for name, figures in sums.items():
            pages[name].write(markdown(name, figures, options.simulator))
    for name, own in found.items():
        for result in (result for result in own if not result.done):
            say(f"failed: {name}, {images_of(result)}: {result.complaint}")
    for name, figures in sums.items():
        _tell(name, figures, options.simulator)
    return 1 if failed or any(wrong(figures) for figures in sums.values()) else 0


def _run_of(options: argparse.Namespace) -> Run | None:
    """The run of a study that is asked for; None where a network is. Raises `UserError` where both are."""
    if options.study is None:
        for option in ("set", "out"):
            if getattr(options, option) is not None:
                raise UserError(f"--{option} needs --study")
        if options.data_path is not None and options.task is None:
            raise UserError(f"--data-path {options.data_path} needs --task")
        return None
    for option, value in (("network", options.layer), ("--task", options.task), ("--float", options.float)):
        if value is not None:
            raise UserError(f"{option} {value} does not go with --study {options.study}, which brings its own")
    if options.data_path is not None:
        raise UserError(f"--data-path {options.data_path} is for --task, a study has --set data_path=FOLDER")
    return only_run(find_study(options.study).replaced(options.set or ()))


def _pages(options: argparse.Namespace, run: Run | None) -> dict[str, MarkedPage]:
    """For each network its place in the page, if there is one to be written."""
    if options.page is None:
        return {}
    names = [options.layer or DEFAULT] if run is None else names_of(run)
    return {name: MarkedPage(path=options.page, begin=begin, end=end) for name in names for begin, end in [marks(name)]}


def _subjects(options: argparse.Namespace, run: Run | None) -> list[Subject]:
    def make(network: IntegerNetwork) -> NetworkCore:
        config = hardware(options, network).config
        assert isinstance(config, NetworkConfig)
        with spinner("generating Verilog"):
            return generate_network(NetworkPlan(config), inline=options.inline)

    if run is None:
        name, path = options.layer or DEFAULT, options.data_path
        given = {"task": options.task, "data_path": path, "images": options.images, "float_file": options.float}
        return [of_network(name, make, **given)]
    examples = measured(run, options.images)
    with progress("training", 1.0) as advance:
        folder = trained(run, advance)
    return of_run(run, folder, examples, make)


def _tell(name: str, figures: Mapping[str, Any], simulator: str) -> None:
    """Show what came of a network."""
    table = table_of(name, "right", "accuracy", title=f"{number(figures['images'])} images")
    for row in rows(figures, simulator):
        table.add_row(*row)
    show(table)
    for sentence in sentences(figures):
        say(sentence)


def _described(subject: Subject, figures: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the report says of a network."""
    target = subject.core.config.target.name
    return {"sha256": subject.hashes, "target": target, "figures": figures}


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.accuracy", description=__doc__)
    count = bounded(int, 1, 10**9)
    add = parser.add_argument
    add_unit_options(parser, target=GENERIC.name, reloadable=False)
    parser.set_defaults(layer=None)
    tasks = ", ".join(TASKS)
    add(
        "--task",
        choices=list(TASKS),
        metavar="TASK",
        help=f"the data set whose test images count: {tasks} (default: recorded images)",
    )
    add("--data-path", metavar="FOLDER", help="where the data set is (default: where its package puts it)")
    add("--images", type=count, metavar="N", help="of them only the first N")
    add("--float", type=cli.file_path, metavar="FILE", help="the network in floats, as --out keeps it")
    add("--study", metavar="NAME", help="a study, of which --set leaves one run, instead of a network")
    add("--set", action="append", metavar="KEY=VALUE", help="change a setting of the study, as for scripts.study")
    add("--out", type=cli.file_path, metavar="DIR", help="folder for the networks of the study's run")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add("--batch", type=count, default=BATCH, metavar="N", help=f"images of a batch (default: {BATCH})")
    add("--any-code", action="store_true", help="take what other versions of the code have stored, too")
    add("--json", type=cli.file_path, metavar="FILE", help="where to write the figures")
    add("--page", type=cli.file_path, metavar="FILE", help="write them into this page, too, where it has a place")
    add_places(parser)
    return parser


if __name__ == "__main__":
    cli.run(main)
