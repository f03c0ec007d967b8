"""Accuracy of the digits network, its X-volution layer computed by the integer model and by the Verilog.

Examples:
    python -m scripts.accuracy_digits
    python -m scripts.accuracy_digits digits_dynamic
    python -m scripts.accuracy_digits --simulator icarus --simd 8 --pe 8 --images 20

The held-out images run through the generated unit in a simulator. Verilator takes seconds for all
of them, Icarus about a second for each.

Exit status: 0 if every output of the unit and every score of the network agree with the
integer model, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import numpy as np

from golden.contract.folding import Folding
from golden.layers import FOLDER
from golden.layers.digits_layer import LAYER_NAMES, read_digits
from golden.model import integer
from golden.support.cli import Parser, bounded, file_path, run
from golden.support.numbers import number
from golden.support.progress import progress
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from sim.bulk.simulate import simulate
from sim.simulator.simulators import SIMULATORS, find_simulator


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    simulator = find_simulator(options.simulator)
    digits = read_digits(options.folder, options.layer)
    if options.images is not None:
        digits = digits.first(options.images)
    layer, images = digits.layer, len(digits.labels)
    folding = Folding.choose(layer.config, options.simd, options.pe)

    expected = digits.logits(integer.run(layer, digits.frames))
    core = generate(UnitConfig(layer=layer, folding=folding))
    with progress(f"{images} images in {simulator.name}", 1.0) as advance:
        result = simulate(core, digits.frames, simulator=simulator.name, advance=advance)
    logits = None if result.frames is None else digits.logits(result.frames)

    predictions = {"float": digits.float_prediction, "integer model": expected.argmax(axis=1)}
    if logits is not None:
        predictions[f"Verilog in {simulator.name}, simd {folding.simd}, pe {folding.pe}"] = logits.argmax(axis=1)
    table = table_of("X-volution layer", "right", "accuracy", title=f"{images} held-out digits")
    for name, prediction in predictions.items():
        right = digits.correct(prediction)
        table.add_row(name, str(right), f"{right / images:.2%}")
    show(table)

    if result.passed and logits is not None and np.array_equal(logits, expected):
        say(f"All {number(result.expected.size)} outputs and all {number(expected.size)} scores are equal.")
        return 0
    for fault in result.faults:
        say(f"Fault: {fault}.")
    where = f" First: {result.first_mismatch}." if result.first_mismatch else ""
    say(f"{number(result.mismatches)} of {number(result.expected.size)} outputs are wrong or missing.{where}")
    if logits is not None:
        say(f"{np.count_nonzero(logits != expected)} of {number(expected.size)} scores differ.")
    return 1


def _parser() -> Parser:
    parser = Parser(prog="python -m scripts.accuracy_digits", description=__doc__)
    count = bounded(int, 1, float("inf"))
    add = parser.add_argument
    names = list(LAYER_NAMES.values())
    add("layer", nargs="?", choices=names, default=names[0], help=f"(default: {names[0]})")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add("--simd", type=count, help="input channels per beat")
    add("--pe", type=count, help="output channels per beat")
    add("--images", type=count, help="how many of the held-out images (default: all)")
    add("--folder", type=file_path, default=FOLDER, help="where the files of the network are (default: golden/layers)")
    return parser


if __name__ == "__main__":
    run(main)
