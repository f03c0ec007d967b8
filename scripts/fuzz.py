"""Random units over the whole contract in a real simulator, against the integer model.

Examples:
    python -m scripts.fuzz --count 100
    python -m scripts.fuzz --count 10 --seed 7 --simulator verilator
    python -m scripts.fuzz --count 10 --target ecp5

Each case is a random layer in a random folding, for a random target. Random and extreme frames go through its unit
twice: at full rate, where the predicted cycle figures must hold too, and with random pauses
at both ends. A case that fails is kept, with the command that runs it again.

Exit status: 0 if all cases pass, 1 if one fails, 2 for wrong input.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shlex
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from golden import cli
from golden.arrays import write_array
from golden.layer_file import write_layer
from hw.target import TARGETS
from hw.verilog import generate
from sim.bulk import simulate
from sim.cases import Case, random_case
from sim.recording import FAULTS
from sim.simulators import SIMULATORS, find_simulator
from sim.stimulus import extreme_frames, random_frames

#: ``--simulator mix`` runs one of so many cases on Verilator, which compiles slowly, and the others on Icarus.
MIX = 5


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    for name in SIMULATORS if options.simulator == "mix" else (options.simulator,):
        find_simulator(name)
    folder = cli.output_directory(options.out)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    outcomes = []
    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with ProcessPoolExecutor(options.jobs) as pool, shown as bar:
        task = bar.add_task("fuzzing", total=options.count)
        cases = [
            pool.submit(run_case, options.seed, i, options.simulator, options.target, folder)
            for i in range(options.count)
        ]
        for case in as_completed(cases):
            bar.advance(task)
            outcomes.append(case.result())
            for line in outcomes[-1].lines:
                console.print(line)
    figures = _figures(outcomes, options)
    if options.json:
        with cli.replacing(options.json) as stream:
            stream.write(json.dumps(figures, indent=2) + "\n")
    failed = figures["fuzz_mismatches"] + figures["fuzz_hangs"]
    where = f"{options.simulator}, target {options.target}"
    console.print(f"{options.count} cases, seed {options.seed}, {where}: {failed} failed")
    return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a case.

    Attributes:
        build: the unit's Verilog, hashed; None if there is none.
        lines: what is wrong and how to see it again; none if nothing is.
        hang: whether nothing moved any more.
    """

    build: str | None
    lines: list[str]
    hang: bool


def _figures(outcomes: list[Outcome], options: argparse.Namespace) -> dict[str, Any]:
    hangs = sum(outcome.hang for outcome in outcomes)
    return {
        "fuzz_cases": len(outcomes),
        "fuzz_builds": len({outcome.build for outcome in outcomes} - {None}),
        "fuzz_mismatches": sum(bool(outcome.lines) for outcome in outcomes) - hangs,
        "fuzz_hangs": hangs,
        "seed": options.seed,
        "simulator": options.simulator,
        "target": options.target,
    }


def run_case(seed: int, index: int, simulator: str, target: str, folder: Path) -> Outcome:
    """Run case ``index`` of ``seed``."""
    rng = np.random.default_rng([seed, index])
    case = random_case(rng)
    if target != "mix":
        case = dataclasses.replace(case, target=TARGETS[target])
    config = case.layer.config
    pool = np.concatenate([random_frames(rng, config, 3), extreme_frames(config)])
    frames = rng.permutation(pool)[: rng.integers(1, 5, endpoint=True)]
    if simulator == "mix":
        simulator = "icarus" if index % MIX else "verilator"
    pauses = [0.0 if rng.random() < 0.3 else round(float(rng.uniform(0.02, 0.9)), 2) for _ in ("idle", "stall")]
    idle = stall = 0.0
    build, wrong = None, []
    try:
        core = generate(case.layer, case.folding, case.target, pack=case.pack)
        build = hashlib.sha256(core.verilog.encode()).hexdigest()
        for idle, stall in ((0.0, 0.0), pauses):
            result = simulate(
                core, case.layer, case.folding, frames, simulator=simulator, idle=idle, stall=stall, seed=index
            )
            wrong = result.complaints()
            if not (idle or stall):
                wrong += result.timing_complaints(core.manifest["timing"])
            if wrong:
                break
    except Exception as error:  # a legal layer that cannot be generated or compiled is a finding too
        wrong = [f"{type(error).__name__}: {error}"]
    if not wrong:
        return Outcome(build=build, lines=[], hang=False)
    command = _keep(case, frames, folder / f"{seed}-{index}")
    options = f"--simulator {simulator} --idle {idle} --stall {stall} --seed {index}"
    lines = [f"case {index}: {'; '.join(wrong)}", f"    {command} {options}"]
    return Outcome(build=build, lines=lines, hang=any(FAULTS["hang"] in text for text in wrong))


def _keep(case: Case, frames: np.ndarray, folder: Path) -> str:
    """Save the case; the command that simulates it."""
    cli.output_directory(folder)
    write_layer(folder / "layer.npz", case.layer)
    write_array(folder / "input.npy", frames)
    paths = f"{shlex.quote(str(folder / 'layer.npz'))} --input {shlex.quote(str(folder / 'input.npy'))}"
    pack = "" if case.pack else " --pack none"
    return (
        f"python -m sim.run {paths} --simd {case.folding.simd} --pe {case.folding.pe} --target {case.target.name}{pack}"
    )


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.fuzz", description=__doc__)
    add = parser.add_argument
    add("--count", type=cli.bounded(int, 1, 10**6), default=50, help="number of cases (default: 50)")
    add("--seed", type=cli.bounded(int, 0, 2**32 - 1), default=0, help="of all cases (default: 0)")
    add(
        "--simulator",
        choices=["mix", *SIMULATORS],
        default="mix",
        help=f"mix: one case in {MIX} on verilator (default)",
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
