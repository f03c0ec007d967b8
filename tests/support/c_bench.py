"""cocotb test of compiled C programs: what they ask for is done on the simulated unit, and answered."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from golden.layers import load_layer
from golden.model import integer
from hw.control.driver import Driver
from sim.cases.stimulus import random_frames
from sim.reloadable.board import SimulatedBoard

#: The folder that holds the programs, and the unit's manifest in ``rtl``.
PROGRAMS = Path(os.environ["XVOLUTION_PROGRAMS"])


async def result_of(program: Path, board: SimulatedBoard) -> tuple[int, list[str]]:
    """Run a program of ``c_board.c``. Returns its result, and what it asked for."""
    asked = []
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        for line in process.stdout:
            what, *numbers = line.split()
            values = [int(number) for number in numbers]
            if what == "result":
                return values[0], asked
            asked.append(what)
            answer = 0
            if what == "read":
                answer = await board.read(values[0])
            elif what == "write":
                await board.write(values[0], values[1])
            else:
                await board.send_weights(np.array(values, np.uint32))
            process.stdin.write(f"{answer}\n")
            process.stdin.flush()
    raise AssertionError(f"{program} ended without a result")


@cocotb.test()
@cocotb.parametrize(language=["c", "cc"])
async def loads(dut: Any, language: str) -> None:
    board = await SimulatedBoard.start(dut)
    assert await result_of(PROGRAMS / f"refuses_{language}" / "program", board) == (-1, ["read"] * 2)
    result, asked = await result_of(PROGRAMS / f"loads_{language}" / "program", board)
    assert result == 0 and asked.count("weights") == 1
    layer = load_layer("tiny")
    frames = random_frames(np.random.default_rng(0), layer.config, 3)
    driver = Driver.from_manifest(PROGRAMS / "rtl" / "loaded.json", board)
    assert ((await driver.run(layer, frames)) == integer.run(layer, frames)).all()
