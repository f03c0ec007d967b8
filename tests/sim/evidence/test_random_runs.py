"""Random runs of gates: each lane is a run of the circuit, and nothing but what may move does."""

from __future__ import annotations

import numpy as np

from sim.evidence.gates import Gates, read_gates
from sim.evidence.random_runs import CYCLES, LANES, WORD, RandomRuns
from tests.support.tiers import thorough

pytestmark = thorough

COUNTER = """
module xvolution(input aclk, input step, input [3:0] a, input [3:0] b, output [4:0] sum, output [2:0] count,
                 output [7:0] product, output idle);
    reg [2:0] place = 5;
    reg [4:0] added = 0;
    always @(posedge aclk) begin
        if (step) place <= place + 1;
        added <= a + b;
    end
    assign sum = added;
    assign count = place;
    assign product = a * b;
    assign idle = ~step;
endmodule
"""


def numbers(runs: RandomRuns, gates: Gates, values: np.ndarray, name: str) -> np.ndarray:
    """A signal's value in each run."""
    words = np.stack([values[runs.place(bit)] for bit in gates.signals[name]])
    bits = (words[..., None] >> np.arange(WORD, dtype=np.uint64)) & np.uint64(1)
    weights = 1 << np.arange(len(words))
    return np.tensordot(weights, bits.reshape(len(words), LANES).astype(int), 1)


def test_every_run_is_one_of_the_circuit() -> None:
    gates = read_gates(COUNTER)
    runs = RandomRuns(gates, {})
    place, added = np.full(LANES, 5), np.zeros(LANES, int)
    seen = {"step": 0, "product": np.zeros(0, int)}
    cycles = list(runs.cycles())
    assert len(cycles) == CYCLES
    for values in cycles:
        a, b, step, product = (numbers(runs, gates, values, name) for name in ("a", "b", "step", "product"))
        assert (numbers(runs, gates, values, "count") == place).all()
        assert (numbers(runs, gates, values, "sum") == added).all()
        assert (numbers(runs, gates, values, "idle") == 1 - step).all()
        place, added = (place + step) % 8, a + b
        seen["step"] += step.mean() / CYCLES
        seen["product"] = np.union1d(seen["product"], product)
    # What has one bit is mostly 1; a multiplier may have any result.
    assert 0.9 < seen["step"] < 0.97
    assert 255 in seen["product"] and len(seen["product"]) > 200


def test_what_is_fixed_stays() -> None:
    gates = read_gates(COUNTER)
    (step,) = gates.inputs["step"]
    runs = RandomRuns(gates, {step: 0})
    for values in runs.cycles():
        assert (numbers(runs, gates, values, "count") == 5).all()
