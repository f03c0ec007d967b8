"""cocotb test of a node: the runs of its job, one after the other, each behind a reset amid other beats."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from sim.simulator.job import JOB_VARIABLE

JOB = json.loads((Path(os.environ[JOB_VARIABLE]) / "node.json").read_text())
#: Cycles from the reset to the first in which anything is offered. A unit's reset is on its way for a cycle.
SETTLE = 4 if JOB["axi"] else 0
#: Cycles that are looked at behind the last beat.
AFTER = 16
#: Cycles without a transfer after which the node counts as hung.
PATIENCE = 2000


@cocotb.test()
async def runs(dut: Any) -> None:
    node = _Node(dut)
    Clock(node.clock, 2, unit="step", impl="gpi").start()
    for number, run in enumerate(JOB["runs"]):
        await node.reset(random.Random(number), JOB["runs"][0]["inputs"])
        await node.run(f"run {number}", run, random.Random(number))


class _Node:
    """The ports of the node."""

    def __init__(self, dut: Any) -> None:
        ports = [tuple(getattr(dut, name) for name in names) for names in JOB["ports"]]
        self.inputs, self.outputs = ports[: JOB["inputs"]], ports[JOB["inputs"] :]
        self.clock = dut.aclk if JOB["axi"] else dut.clk
        self._reset = dut.aresetn if JOB["axi"] else dut.rst

    async def reset(self, rng: random.Random, beats: list[list[int]]) -> None:
        """Offer beats for some cycles, then reset for one."""
        self._reset.value = int(JOB["axi"])
        for _ in range(rng.randrange(1, 60)):
            for (valid, _, payload), stream in zip(self.inputs, beats, strict=True):
                valid.value, payload.value = 1, rng.choice(stream)
            for _, ready, _ in self.outputs:
                ready.value = rng.random() < 0.8
            await RisingEdge(self.clock)
        self._reset.value = int(not JOB["axi"])
        await RisingEdge(self.clock)
        self._reset.value = int(JOB["axi"])
        for port in self.inputs:
            port[0].value = 0
        for _ in range(SETTLE):
            await RisingEdge(self.clock)

    async def run(self, name: str, run: dict[str, Any], rng: random.Random) -> None:
        """Offer the inputs, compare the outputs in each cycle, and where times are known, the cycles."""
        inputs, outputs, arrivals = run["inputs"], run["outputs"], run["arrivals"]
        taken: list[list[int]] = [[] for _ in inputs]
        given: list[list[int]] = [[] for _ in outputs]
        left = [0] * len(outputs)
        offered = [False] * len(inputs)
        cycle, quiet, rest = 0, 0, AFTER
        while rest:
            for k, (valid, _, payload) in enumerate(self.inputs):
                n = len(taken[k])
                there = n < len(inputs[k]) and (arrivals[k][n] <= cycle if arrivals else rng.random() < run["offer"][k])
                offered[k] = offered[k] or there
                valid.value = offered[k]
                # What is not offered must not matter.
                payload.value = inputs[k][n] if offered[k] else rng.choice(inputs[k])
            takes = [bool(arrivals) or rng.random() < share for share in run["ready"]]
            for (_, ready, _), take in zip(self.outputs, takes, strict=True):
                ready.value = take
            await RisingEdge(self.clock)
            quiet += 1
            for k, (_, ready, _) in enumerate(self.inputs):
                if offered[k] and ready.value == 1:
                    taken[k].append(cycle)
                    offered[k], quiet = False, 0
            for j, (valid, _, payload) in enumerate(self.outputs):
                where = f"{name}, output {j}, beat {left[j]}, cycle {cycle}"
                assert valid.value.is_resolvable, f"{where}: valid is undefined"
                if valid.value == 0:
                    assert len(given[j]) == left[j], f"{where}: valid fell"
                    continue
                assert left[j] < len(outputs[j]), f"{where}: a beat too many"
                assert payload.value == outputs[j][left[j]], (
                    f"{where}: {payload.value} instead of {outputs[j][left[j]]:b}"
                )
                if len(given[j]) == left[j]:
                    given[j].append(cycle)
                if takes[j]:
                    left[j], quiet = left[j] + 1, 0
            cycle += 1
            assert quiet < PATIENCE, f"{name}: nothing moves any more, {left} beats have come"
            if list(map(len, taken)) == list(map(len, inputs)) and left == list(map(len, outputs)):
                rest -= 1
        if run["times"]:
            for side, measured, predicted in zip(("taken", "given"), (taken, given), run["times"], strict=True):
                assert measured == predicted, f"{name}, {side}: {measured}, predicted {predicted}"
