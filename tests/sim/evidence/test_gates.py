"""What is left of a netlist when it is read as gates."""

from __future__ import annotations

import numpy as np
import pytest

from sim.evidence.gates import read_gates
from sim.evidence.random_runs import WORD, RandomRuns
from tests.support.tiers import thorough

pytestmark = thorough

WORDS, BITS = 8, 16


def test_memory_whose_bits_are_written_by_themselves() -> None:
    """One write of a word: its bits are the only flip-flops, and the gates grow with their number, not its square."""
    writes = "\n".join(
        f"always @(posedge aclk) if (enable[{i}]) words[address][{i}] <= data[{i}];" for i in range(BITS)
    )
    verilog = f"""
module xvolution(input aclk, input write, input [2:0] address, input [{BITS - 1}:0] data, output [{BITS - 1}:0] out);
    reg [{BITS - 1}:0] words [{WORDS - 1}:0];
    wire [{BITS - 1}:0] enable = write ? {{{BITS}{{1'b1}}}} : {BITS}'d0;
    {writes}
    assign out = words[address];
endmodule
"""
    gates = read_gates(verilog)
    assert len(gates.flip_flops) == WORDS * BITS
    assert len(gates.ands) < 10 * WORDS * BITS


@pytest.mark.parametrize(
    ("product", "factor"),
    [
        ("$signed(a) * $signed(7'd45)", 45),
        ("-7'sd45 * $signed(a)", -45),
        ("a * 7'd64", 64),
        ("7'd0 * a", 0),
        ("$signed(a) * -16'sd1", -1),
    ],
)
def test_product_by_a_constant(product: str, factor: int) -> None:
    """It is made of gates, and right for any operand."""
    gates = read_gates(
        f"module xvolution(input aclk, input [7:0] a, output signed [15:0] y); assign y = {product}; endmodule"
    )
    assert not gates.opaque
    runs = RandomRuns(gates, {})
    values = next(runs.cycles())
    a, y = (
        sum(
            (values[runs.place(bit)][:, None] >> np.arange(WORD, dtype=np.uint64) & np.uint64(1)).astype(int) << index
            for index, bit in enumerate(gates.signals[name])
        ).ravel()
        for name in "ay"
    )
    if "$signed(a)" in product:
        a = (a ^ 128) - 128
    assert ((y - a * factor) % 2**16 == 0).all() and len(set(a)) > 100


def test_other_products_stay_opaque() -> None:
    """Of two variables, and wide ones of a constant."""
    for operands in ("a * b", "{a, b} * 12'd77"):
        gates = read_gates(
            f"module xvolution(input aclk, input [7:0] a, b, output [29:0] y); assign y = {operands}; endmodule"
        )
        assert len(gates.opaque) == 1
