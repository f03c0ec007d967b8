"""What merging saves: trained X-volutions as one unit, and as their branches side by side.

A layer 8 -> 16 is trained in the network digits, on handwritten digits of 8x8 pixels. It is quantised to 8 bits in
two forms. Merged, it is one unit. Side by side, it is a convolution, a layer with attention alone, and their sum.
Each step of either takes at most the same number of cycles a frame, with as few multipliers as it can. X-volutions
with stack 2 and weighting 3, which do not merge into one unit, stand beside them.

Every form is simulated in Verilator with what the held-out images send into the layer, compared bit by bit, and
synthesised by Yosys. Networks with merged layers are simulated as a whole, too, for the generic target.

Examples:
    python -m scripts.merging                        everything: half an hour the first time
    python -m scripts.merging --layer "hadamard, 3x3" --only ecp5
    python -m scripts.merging --page docs/merging.md

With --page the tables are written into a page, and the picture beside it.

Exit status: 0 if all that was simulated agrees with the integer models, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from golden.contract.folding import DEFAULT_LANES
from golden.contract.network.network import IntegerNetwork
from golden.quantise.quantised import QuantisedNetwork
from golden.support import cli
from golden.support.cli import UserError
from golden.support.numbers import number
from golden.support.progress import bars
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.estimate.choose_network_folding import cheapest_within
from hw.export.network_verilog import generate_network
from hw.export.verilog import generate
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.synth.mapping import map_to_cells
from hw.synth.resources import total_area
from hw.targets.families import GENERIC, TARGETS, Target
from scripts.marked_page import MarkedPage, page_table
from scripts.merging_forms import APART, LAYERS, MERGED, STACKS, Trained, accuracy, differences, layer_alone, trained
from scripts.merging_picture import picture
from sim.bulk.simulate import simulate

#: Cycles of a frame that each step may take.
CYCLES = 2048
SYNTHESISED = ("xcup", "ecp5")
#: The unit's memories that hold what training gave. All others hold what streams through.
LEARNED = ("weights", "biases", "multipliers")
BEGIN, END = "<!-- merging: python -m scripts.merging --page -->\n", "<!-- end of merging -->\n"
PICTURE = "merging.svg"
COSTS = ("layer", "form", "on", "DSP", "LUT", "FF", "BRAM", "learned bits", "passing bits", "cycles", "latency")
RESULTS = ("layer", "floats", "integers", "Verilog", "differ", "at most", "error merged", "error side by side")


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    layers = [name for name in _options() if options.layer in (None, name)]
    targets = [name for name in SYNTHESISED if options.only in (None, name)]
    if options.page is not None and (options.layer or options.only):
        raise UserError(f"--page {options.page} needs all figures of all layers")
    page = None if options.page is None else MarkedPage(path=options.page, begin=BEGIN, end=END)
    beside = None if page is None else page.path.with_name(PICTURE)
    folder = cli.output_directory(options.out)
    cli.check_outputs([folder / "merging.json", options.page, beside])
    found: dict[str, list[dict[str, Any]]] = {"layers": [], "forms": []}
    with cli.replacing(folder / "merging.json") as stream, bars() as bar:
        task = bar.add_task("", total=len(layers) * (1 + len(targets)))
        for name in layers:
            bar.update(task, description=f"{name}: training")
            network = trained(_options()[name], seed=options.seed, epochs=options.epochs)
            forms = network.forms()
            bar.update(task, advance=1, description=f"{name}: the whole network")
            found["layers"].append({"layer": name, **_results(network, forms, options)})
            for target in targets:
                for form, quantised in forms.items():
                    bar.update(task, description=f"{name}, {form}, {target}")
                    row = {"layer": name, "form": form, "on": target}
                    found["forms"].append(row | _costs(network, quantised, TARGETS[target], options))
                bar.advance(task)
        stream.write(json.dumps(found, indent=2) + "\n")
    show(_table(COSTS, map(_cost_cells, found["forms"]), words=3))
    show(_table(RESULTS, map(_result_cells, found["layers"]), words=1))
    if page is not None and beside is not None:
        with cli.replacing(beside) as stream:
            stream.write(picture(found["forms"]))
        page.write(_markdown(found))
        say(f"wrote {page.path} and {beside}")
    say(f"wrote {folder / 'merging.json'}")
    return 0 if all(row["passed"] for rows in found.values() for row in rows) else 1


def _options() -> Mapping[str, Mapping[str, Any]]:
    return {**LAYERS, **STACKS}


def _plan(network: IntegerNetwork, target: Target, cycles: int) -> NetworkPlan:
    """Each step within so many cycles, as cheap as it can be."""
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, DEFAULT_LANES), target=target)
    return NetworkPlan(replace(base, foldings=cheapest_within(base, cycles)))


def _results(network: Trained, forms: Mapping[str, QuantisedNetwork], options: Any) -> dict[str, Any]:
    """What the network with the layer tells right, in floats, integers and Verilog, and how far its forms are apart."""
    images, labels = network.images.numpy()[: options.images], network.labels[: options.images]
    merged = forms[MERGED]
    whole = merged.with_argmax()
    frames = merged.quantise_images(images)
    result = simulate(generate_network(_plan(whole, GENERIC, options.cycles)), frames)
    answers = None if result.frames is None else result.frames.reshape(-1)
    figures: dict[str, Any] = {
        "images": len(images),
        "float": network.float_accuracy,
        "integers": {form: accuracy(_answers(own, images), labels) for form, own in forms.items()},
        "verilog": None if answers is None else accuracy(answers, labels),
        "passed": result.passed,
    }
    return figures if APART not in forms else figures | {"apart": asdict(differences(network, forms))}


def _answers(quantised: QuantisedNetwork, images: np.ndarray) -> np.ndarray:
    return quantised.scores(quantised.quantise_images(images)).argmax(axis=1)


def _costs(network: Trained, quantised: QuantisedNetwork, target: Target, options: Any) -> dict[str, Any]:
    """The layer alone: simulated with the inputs that it has in the network, and synthesised."""
    alone = layer_alone(quantised.integers)
    images = network.images.numpy()[: options.images]
    frames = quantised.values(quantised.quantise_images(images))[quantised.integers.steps[0].name]
    plan = _plan(alone, target, options.cycles)
    core = generate_network(plan)
    result = simulate(core, frames)
    area = total_area(map_to_cells(core))
    return {
        "steps": len(alone.steps),
        "dsp": area.dsp,
        "lut": area.lut,
        "ff": area.ff,
        "bram": area.bram,
        **_stored(plan, core.manifest),
        "frame_cycles": result.frame_cycles[-1],
        "latency": result.first_output_latency,
        "passed": result.passed and not result.timing_complaints(core.manifest["timing"]),
    }


def _stored(plan: NetworkPlan, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Bits in memories: of what training gave, and of what streams through, FIFOs included."""
    learned = passing = 0
    for node in plan.units:
        for memory in generate(node.config, flush=node.flush).manifest["memories"]:
            bits = memory["count"] * memory["depth"] * memory["width"]
            if memory["name"] in LEARNED:
                learned += bits
            else:
                passing += bits
    return {"learned": learned, "passing": passing + sum(edge["width"] * edge["depth"] for edge in manifest["edges"])}


def _cost_cells(row: Mapping[str, Any]) -> list[str]:
    cycles = number(row["frame_cycles"]) if row["passed"] else "wrong"
    keys = ("dsp", "lut", "ff", "bram", "learned", "passing")
    return [row["layer"], row["form"], row["on"], *(number(row[key]) for key in keys), cycles, number(row["latency"])]


def _result_cells(row: Mapping[str, Any]) -> list[str]:
    apart = row.get("apart")
    compared = [""] * 4
    if apart is not None:
        errors = [f"{apart['errors'][form]:.2f}" for form in (MERGED, APART)]
        compared = [f"{apart['share']:.1f} %", f"{apart['largest']:.0f}", *errors]
    integers = " / ".join(f"{value:.2f}" for value in row["integers"].values())
    verilog = f"{row['verilog']:.2f}" if row["passed"] else "wrong"
    return [row["layer"], f"{row['float']:.2f}", integers, verilog, *compared]


def _table(columns: Sequence[str], rows: Any, *, words: int) -> Table:
    table = table_of(*columns, words=words)
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Both tables as a page has them."""
    costs = page_table(COSTS, map(_cost_cells, found["forms"]), words=3)
    return f"{costs}\n\n{page_table(RESULTS, map(_result_cells, found['layers']))}\n"


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.merging", description=__doc__)
    add = parser.add_argument
    names = list(_options())
    add("--layer", choices=names, metavar="LAYER", help=f"this layer alone: {'; '.join(names)}")
    add("--only", choices=SYNTHESISED, help="what is for one target")
    add("--page", type=cli.file_path, metavar="FILE", help="write the figures into this page, too")
    count = cli.bounded(int, 1, 10**6)
    add("--cycles", type=count, default=CYCLES, help=f"cycles a frame of each step (default: {CYCLES})")
    add("--images", type=count, help="held-out images that are simulated (default: all 360)")
    add("--seed", type=cli.bounded(int, 0, 2**32 - 1), default=0, help="of data split and training (default: 0)")
    add("--epochs", type=cli.bounded(int, 1, 1000), default=40, help="passes over the data (default: 40)")
    add(
        "--out",
        type=cli.file_path,
        default=Path("build/merging"),
        metavar="DIR",
        help="where to write (default: build/merging)",
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
