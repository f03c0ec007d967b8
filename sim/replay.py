"""Run one random scenario of a reloadable unit again, from a folder that ``scripts.fuzz`` has kept.

Example:
    python -m sim.replay build/fuzz/0-3 7 --simulator icarus --waves run.fst

Exit status: 0 if the scenario passes, 1 if it fails, 2 for wrong input.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from golden.support import cli
from golden.support.cli import UserError
from golden.support.terminal import say
from hw.export.verilog import generate
from sim.reloadable.exercise import SCENARIOS, exercise_reloadable
from sim.simulator.job import Job
from sim.simulator.simulators import SIMULATORS, find_simulator


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    simulator = find_simulator(options.simulator)
    try:
        job = Job.load(options.folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"folder {options.folder} is not one that scripts.fuzz has kept: {error}") from None
    if options.waves is not None and options.waves.suffix != simulator.wave_suffix:
        raise UserError(f"waves file {options.waves}: {simulator.name} writes {simulator.wave_suffix} files")
    cli.check_outputs([options.waves], inputs=options.folder.iterdir())
    core = generate(job.config)
    with tempfile.TemporaryDirectory() as scratch:
        verdicts = exercise_reloadable(
            core,
            simulator,
            Path(scratch),
            bench=SCENARIOS,
            tests=rf"index={options.scenario}$",
            seed=job.seed,
            stimuli=options.scenario + 1,
            waves=options.waves,
        )
    (message,) = verdicts.values()
    say(f"scenario {options.scenario} of seed {job.seed}, {simulator.name}: {message or 'passed'}")
    return 0 if message is None else 1


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m sim.replay", description=__doc__)
    add = parser.add_argument
    add("folder", type=cli.file_path, help="where the case was kept")
    add("scenario", type=cli.bounded(int, 0, 10**4), help="which of its scenarios")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add("--waves", type=cli.file_path, help="waveform file to write: .vcd from verilator, .fst from icarus")
    return parser


if __name__ == "__main__":
    cli.run(main)
