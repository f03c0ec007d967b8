"""Random units and networks over the whole contract in a real simulator, against the integer model.

Examples:
    python -m scripts.fuzz --count 100
    python -m scripts.fuzz --count 10 --seed 7 --simulator verilator
    python -m scripts.fuzz --count 10 --target ecp5
    python -m scripts.fuzz --kind reloadable --count 10 --stimuli 20
    python -m scripts.fuzz --kind network --count 20
    python -m scripts.fuzz --kind network --count 500 --steps 5 --frame-cycles 100 --products 40

Each build is a random layer or network in a random folding, for a random target. ``--steps``, ``--frame-cycles`` and
``--products`` are limits on networks: within those of the last example a case takes a second or two of a quiet core.

A frozen unit is one case, and so is a network. Random and extreme frames go through it twice: at full rate, where the
predicted cycle figures must hold too, and with random pauses at both ends.

A reloadable unit has a case for each random scenario. A scenario mixes loads, changed settings, frames,
malformed frames and images, bad accesses, resets and pauses.

A case that fails is kept, with the command that runs it again.

Exit status: 0 if all cases pass, 1 if one fails, 2 for wrong input.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from golden.contract.layer_file import write_layer
from golden.contract.network.network_file import write_network
from golden.support import cli
from golden.support.arrays import write_array
from golden.support.terminal import say, terminal
from hw.export.network_verilog import generate_network
from hw.export.verilog import generate
from hw.network.config import NetworkConfig
from hw.network.plan import NetworkPlan
from hw.options import folding_text
from hw.plan.config import UnitConfig
from hw.plan.made_of import MadeOf
from hw.targets.families import TARGETS, Target
from sim.bulk.recording import FAULTS
from sim.bulk.simulate import simulate
from sim.cases.frozen import random_case
from sim.cases.network import Limits, random_network_case
from sim.cases.reloadable import random_reloadable_case
from sim.cases.stimulus import extreme_frames, extreme_images, random_frames, random_images
from sim.reloadable.exercise import NOTHING_MOVES, SCENARIOS, exercise_reloadable
from sim.simulator.simulators import SIMULATORS, find_simulator

#: What a case may be.
KINDS = ("frozen", "reloadable", "network")
#: What ``--kind`` may name, and the kinds that it stands for, which take turns.
MIXES = {"mix": KINDS, "unit": KINDS[:2], **{kind: (kind,) for kind in KINDS}}
Config = UnitConfig | NetworkConfig
#: ``--simulator mix`` runs one in so many frozen units and networks on Verilator, which compiles slowly, and the
#: others on Icarus.
MIX = 5
#: ``--simulator mix`` runs one in so many reloadable units on Icarus, as their scenarios are long and Icarus is slow.
RELOADABLE_MIX = 25


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    for name in SIMULATORS if options.simulator == "mix" else (options.simulator,):
        find_simulator(name)
    folder = cli.output_directory(options.out)
    console = terminal()
    outcomes = []
    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    limits = Limits(steps=options.steps, frame_cycles=options.frame_cycles, products=options.products)
    with cli.json_report(options.json) as write, ProcessPoolExecutor(options.jobs) as pool, shown as bar:
        task = bar.add_task("fuzzing", total=options.count)
        kinds = MIXES[options.kind]
        given = (options.simulator, options.target, folder)
        runs: dict[str, tuple[Callable[..., Outcome], tuple[object, ...]]] = {
            "frozen": (run_case, given),
            "reloadable": (run_reloadable, (*given, options.stimuli)),
            "network": (run_network, (*given, limits)),
        }
        cases = []
        for index in range(options.count):
            run, rest = runs[kinds[index % len(kinds)]]
            cases.append(pool.submit(run, options.seed, index, *rest))
        for case in as_completed(cases):
            bar.advance(task)
            outcomes.append(case.result())
            for line in outcomes[-1].lines:
                say(line, console)
        figures = _figures(outcomes, options)
        write(figures)
    failed = figures["fuzz_mismatches"] + figures["fuzz_hangs"]
    where = f"{options.simulator}, target {options.target}"
    say(f"{figures['fuzz_cases']} cases, seed {options.seed}, {where}: {failed} failed")
    return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a build.

    Attributes:
        build: hash of the unit's Verilog; None if there is none.
        lines: what is wrong and how to run it again; empty if nothing is wrong.
        cases: number of cases.
        hangs: number of cases that failed because nothing moved any more.
        mismatches: number of cases that failed otherwise.
    """

    build: str | None
    lines: list[str]
    cases: int = 1
    hangs: int = 0
    mismatches: int = 0


def _figures(outcomes: list[Outcome], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "fuzz_cases": sum(outcome.cases for outcome in outcomes),
        "fuzz_builds": len({outcome.build for outcome in outcomes} - {None}),
        "fuzz_mismatches": sum(outcome.mismatches for outcome in outcomes),
        "fuzz_hangs": sum(outcome.hangs for outcome in outcomes),
        "kind": options.kind,
        "limits": {name: getattr(options, name) for name in ("steps", "frame_cycles", "products")},
        "seed": options.seed,
        "simulator": options.simulator,
        "target": options.target,
    }


def run_case(seed: int, index: int, simulator: str, target: str, folder: Path) -> Outcome:
    """Run the case ``index`` of ``seed`` on a frozen unit."""
    rng = np.random.default_rng([seed, index])
    case = random_case(rng)
    config = case.layer.config
    pool = np.concatenate([random_frames(rng, config, 3), extreme_frames(config)])
    frames = rng.permutation(pool)[: rng.integers(1, 5, endpoint=True)]
    return _run(rng, index, simulator, _of_target(case, target), frames, folder / f"{seed}-{index}")


def run_network(
    seed: int, index: int, simulator: str, target: str, folder: Path, limits: Limits | None = None
) -> Outcome:
    """Run the case ``index`` of ``seed`` on a network within ``limits``."""
    rng = np.random.default_rng([seed, index])
    case = random_network_case(rng, replace(limits or Limits(), blocks=index % 2 == 1))
    image = case.network.image
    pool = np.concatenate([random_images(rng, image, 3), extreme_images(image)])
    frames = rng.permutation(pool)[: rng.integers(2, 7, endpoint=True)]
    return _run(rng, index, simulator, _of_target(case, target), frames, folder / f"{seed}-{index}")


def _of_target(case: Config, target: str) -> Config:
    if target == "mix":
        return case
    other = TARGETS[target]
    if isinstance(case, UnitConfig):
        return dataclasses.replace(case, target=other, made_of=_possible(case.made_of, other))
    made_of = {step: _possible(own, other) for step, own in case.made_of.items()}
    return dataclasses.replace(case, target=other, made_of=made_of)


def _possible(made_of: MadeOf, target: Target) -> MadeOf:
    """``made_of`` without products of adders where ``target`` has none."""
    return made_of if target.a_bits is not None else dataclasses.replace(made_of, products=None)


def _run(
    rng: np.random.Generator, index: int, simulator: str, case: Config, frames: np.ndarray, folder: Path
) -> Outcome:
    """Run frames through a unit or network, at full rate and with pauses."""
    if simulator == "mix":
        simulator = "icarus" if index % MIX else "verilator"
    pauses = [0.0 if rng.random() < 0.3 else round(float(rng.uniform(0.02, 0.9)), 2) for _ in ("idle", "stall")]
    idle = stall = 0.0
    build, wrong = None, []
    try:
        core = generate(case) if isinstance(case, UnitConfig) else generate_network(NetworkPlan(case), jobs=1)
        build = hashlib.sha256(core.verilog.encode()).hexdigest()
        for idle, stall in ((0.0, 0.0), pauses):
            result = simulate(core, frames, simulator=simulator, idle=idle, stall=stall, seed=index)
            wrong = result.complaints()
            if not (idle or stall):
                wrong += result.timing_complaints(core.manifest["timing"])
            if wrong:
                break
    except Exception as error:  # a legal layer that cannot be generated or compiled is a finding too
        wrong = [f"{type(error).__name__}: {error}"]
    if not wrong:
        return Outcome(build=build, lines=[])
    command = _keep(case, frames, folder)
    options = f"--simulator {simulator} --idle {idle} --stall {stall} --seed {index}"
    lines = [f"case {index}: {'; '.join(wrong)}", f"    {command} {options}"]
    hang = any(FAULTS["hang"] in text for text in wrong)
    return Outcome(build=build, lines=lines, hangs=hang, mismatches=not hang)


def run_reloadable(seed: int, index: int, simulator: str, target: str, folder: Path, stimuli: int) -> Outcome:
    """Run random scenarios on the reloadable unit ``index`` of ``seed``."""
    case = random_reloadable_case(np.random.default_rng([seed, index]))
    if target != "mix":
        case = dataclasses.replace(case, target=TARGETS[target])
    if simulator == "mix":
        simulator = "verilator" if index % RELOADABLE_MIX else "icarus"
    kept = folder / f"{seed}-{index}"
    build = None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            core = generate(case)
            build = hashlib.sha256(core.verilog.encode()).hexdigest()
            verdicts = exercise_reloadable(
                core, find_simulator(simulator), Path(scratch), bench=SCENARIOS, seed=index, stimuli=stimuli
            )
            wrong = {name: message for name, message in verdicts.items() if message is not None}
        except Exception as error:  # a finding, too; without a simulation there is nothing to run again
            lines = [f"case {index}: {type(error).__name__}: {error}"]
            return Outcome(build=build, lines=lines, cases=stimuli, mismatches=1)
        if wrong:
            shutil.copytree(scratch, kept, dirs_exist_ok=True)
    lines = []
    for name, message in wrong.items():
        scenario = name.rpartition("=")[2]
        lines.append(f"case {index}, scenario {scenario}: {message}")
        lines.append(f"    python -m sim.replay {shlex.quote(str(kept))} {scenario} --simulator {simulator}")
    hangs = sum(NOTHING_MOVES in str(message) for message in wrong.values())
    return Outcome(build=build, lines=lines, cases=len(verdicts), hangs=hangs, mismatches=len(wrong) - hangs)


def _keep(case: Config, frames: np.ndarray, folder: Path) -> str:
    """Save the case in ``folder``. Returns the command that simulates it."""
    cli.output_directory(folder)
    write_array(folder / "input.npy", frames)
    if isinstance(case, UnitConfig):
        model = folder / "layer.npz"
        write_layer(model, case.layer)
        options = f"--simd {case.folding.simd} --pe {case.folding.pe}"
        options += "".join(f" --{name} {material}" for name, material in case.made_of.asked.items())
    else:
        model, foldings = folder / "network.npz", folder / "folding.json"
        write_network(model, case.network)
        foldings.write_text(folding_text(case))
        options = f"--folding {shlex.quote(str(foldings))}"
    paths = f"{shlex.quote(str(model))} --input {shlex.quote(str(folder / 'input.npy'))}"
    return f"python -m sim.run {paths} {options} --target {case.target.name}{'' if case.pack else ' --pack none'}"


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.fuzz", description=__doc__)
    add = parser.add_argument
    add("--count", type=cli.bounded(int, 1, 10**6), default=50, help="number of builds (default: 50)")
    add("--kind", choices=list(MIXES), default="mix", help="of hardware; mix: each in turn (default)")
    add("--stimuli", type=cli.bounded(int, 1, 10**4), default=4, help="scenarios a reloadable unit (default: 4)")
    most = Limits()
    counted = cli.bounded(int, 1, 10**6)
    add("--steps", type=counted, default=most.steps, help=f"of a network at most (default: {most.steps})")
    add(
        "--frame-cycles",
        type=cli.bounded(int, 100, 10**6),
        default=most.frame_cycles,
        help=f"ideally of a network's frame, at most (default: {most.frame_cycles})",
    )
    add("--products", type=counted, default=most.products, help=f"of a network at most (default: {most.products})")
    add("--seed", type=cli.bounded(int, 0, 2**32 - 1), default=0, help="of all cases (default: 0)")
    add(
        "--simulator",
        choices=["mix", *SIMULATORS],
        default="mix",
        help=f"mix: one in {MIX} on verilator, of reloadable units all but one in {RELOADABLE_MIX} (default)",
    )
    add("--target", choices=["mix", *TARGETS], default="mix", help="FPGA family; mix: any of them (default)")
    add("--jobs", type=cli.bounded(int, 1, 64), default=os.cpu_count(), help="cases at a time (default: one a core)")
    add("--json", type=cli.file_path, metavar="FILE", help="where to write the counts")
    add(
        "--out",
        type=cli.file_path,
        default=Path("build/fuzz"),
        help="where failed cases are kept (default: build/fuzz)",
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
