"""Stream frames through a generated unit or network in a real simulator and compare every bit with the integer model.

Examples:
    python -m sim.run
    python -m sim.run digits_layer --simd 8 --pe 8 --idle 0.2 --stall 0.3 --seed 7
    python -m sim.run --target xcup --pack none
    python -m sim.run layer.npz --input frames.npy --output out.npy --simulator icarus --waves run.fst

Exit status: 0 if unit and model agree, 1 if they differ or the unit breaks the stream protocol,
2 for wrong input.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from golden.layers import activations, layer_path, load_model
from golden.support import cli
from golden.support.arrays import read_array, write_array
from golden.support.cli import UserError
from golden.support.numbers import number
from golden.support.progress import progress, spinner
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.export.network_verilog import NetworkCore, generate_network
from hw.export.verilog import Core, generate
from hw.network.config import NetworkConfig
from hw.network.plan import NetworkPlan
from hw.options import add_unit_options, hardware
from hw.plan.config import UnitConfig
from hw.targets.families import GENERIC
from sim.bulk.result import SimulationResult
from sim.bulk.simulate import MAX_PROBABILITY, simulate
from sim.simulator.simulators import SIMULATORS, find_simulator


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    simulator = find_simulator(options.simulator)
    model = load_model(options.layer)
    config = hardware(options, model).config
    source = _input_path(options)
    inputs = [layer_path(options.layer), options.folding, source]
    cli.check_outputs([options.output, options.report, options.waves], inputs=inputs)
    frames = model.check_input(x := read_array(source))
    if options.waves is not None and options.waves.suffix != simulator.wave_suffix:
        raise UserError(f"waves file {options.waves}: {simulator.name} writes {simulator.wave_suffix} files")

    core = _generate(config, options.inline)
    with progress(f"compiling, then {len(frames)} frames in {simulator.name}", 1.0) as advance:
        result = simulate(
            core,
            frames,
            simulator=simulator.name,
            idle=options.idle,
            stall=options.stall,
            seed=options.seed,
            waves=options.waves,
            advance=advance,
        )
    timing, streams = core.manifest["timing"], core.manifest["streams"]
    report = {
        "layer": options.layer,
        "simd": streams["s_axis"]["lanes"],
        "pe": streams["m_axis"]["lanes"],
        "target": config.target.name,
        "pack": options.pack,
        "simulator": simulator.name,
        "idle": options.idle,
        "stall": options.stall,
        "seed": options.seed,
        "frames": len(frames),
        "mismatches": result.mismatches,
        "faults": result.faults,
        "first_output_latency": result.first_output_latency,
        "predicted_latency": timing["predicted_latency"],
        "frame_cycles": result.frame_cycles,
        "predicted_frame_cycles": timing["predicted_frame_cycles"],
        "ideal_frame_cycles": timing["ideal_frame_cycles"],
        "cycles": result.cycles,
        "cycles_per_second": round(result.cycles / result.seconds),
        **_network_figures(core),
    }
    if options.output is not None and result.frames is not None:
        y = result.frames if isinstance(core, NetworkCore) else result.frames.astype(np.int32)
        write_array(options.output, y if x.ndim == 4 else y[0])
    if options.report is not None:
        with cli.replacing(options.report) as stream:
            stream.write(json.dumps(report, indent=2) + "\n")
    _show(report, result, timing)
    return 0 if result.passed else 1


def _generate(config: UnitConfig | NetworkConfig, inline: bool) -> Core | NetworkCore:
    if isinstance(config, UnitConfig):
        return generate(config, inline=inline)
    with spinner("generating Verilog"):
        return generate_network(NetworkPlan(config), inline=inline)


def _network_figures(core: Core | NetworkCore) -> dict[str, Any]:
    """What the report of a network has beside that of a layer."""
    if isinstance(core, Core):
        return {}
    names = ("name", "op", "simd", "pe", "ideal_cycles", "cycles")
    return {
        "predicted_first_intervals": core.manifest["timing"]["predicted_first_intervals"],
        "steps": [{name: step[name] for name in names} for step in core.manifest["steps"]],
    }


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m sim.run", description=__doc__)
    probability = cli.bounded(float, 0, MAX_PROBABILITY)
    add = parser.add_argument
    add_unit_options(parser, target=GENERIC.name, reloadable=False)
    add(
        "--input",
        type=cli.file_path,
        help="frames, .npy of integers [N, C, H, W] (default: the layer's recorded activations)",
    )
    add("--output", type=cli.file_path, help="where to write the unit's output, .npy [N, O, Ho, Wo]")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add("--idle", type=probability, default=0.0, metavar="P", help="share of cycles without input (default: 0)")
    add("--stall", type=probability, default=0.0, metavar="P", help="share of cycles that take no output (default: 0)")
    add("--seed", type=cli.bounded(int, 0, 2**32 - 1), default=0, help="of the idle and stall patterns (default: 0)")
    add("--report", type=cli.file_path, help="where to write the figures, JSON")
    add("--waves", type=cli.file_path, help="waveform file to write: .vcd from verilator, .fst from icarus")
    return parser


def _input_path(options: Any) -> Path:
    path = options.input or activations(options.layer)
    if path is None:
        raise UserError(f"layer {options.layer} has no recorded activations, --input is needed")
    return path


def _show(report: dict[str, Any], result: SimulationResult, timing: dict[str, int]) -> None:
    table = table_of("", "measured", "predicted", "ideal", title=f"{report['layer']} in {report['simulator']}")
    latency, predicted = report["first_output_latency"], number(report["predicted_latency"])
    table.add_row("first output after first input, cycles", "-" if latency is None else number(latency), predicted, "")
    interval, predicted = _interval(report["frame_cycles"]), number(report["predicted_frame_cycles"])
    table.add_row("cycles per frame", interval, predicted, number(report["ideal_frame_cycles"]))
    show(table)
    # A network's lanes are those of its steps. The two figures are then of its ports.
    lanes = "beats of {simd} in, of {pe} out" if "steps" in report else "simd {simd}, pe {pe}"
    names = (f"{name} {report[name]}" for name in ("target", "pack", "seed"))
    facts = ", ".join([f"{number(report['frames'])} frames", lanes.format_map(report), *names])
    say(f"{facts}: {number(report['cycles'])} cycles at {number(report['cycles_per_second'])} cycles a second")
    if report["idle"] == report["stall"] == 0:
        differences = result.timing_complaints(timing)
        say(f"Cycle figures at full rate: {'; '.join(differences) or 'as predicted'}.")
    if result.passed:
        say(f"All {number(result.expected.size)} output elements agree with the integer model.")
    for complaint in result.complaints():
        say(f"Wrong: {complaint}.")


def _interval(frame_cycles: list[int | None]) -> str:
    """The shortest and the longest time between frames, in words."""
    known = [cycles for cycles in frame_cycles if cycles is not None]
    if not known:
        return "-"
    least, most = min(known), max(known)
    return number(least) if least == most else f"{number(least)} to {number(most)}"


if __name__ == "__main__":
    cli.run(main)
