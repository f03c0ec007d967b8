"""What is left of a netlist when it is read as gates."""

from __future__ import annotations

from sim.evidence.gates import read_gates

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
