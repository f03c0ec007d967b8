"""Which faults are proven to change nothing, and that no other is."""

from __future__ import annotations

import pytest

from golden.contract.ranges import Range
from sim.evidence.equivalence import equivalent
from sim.evidence.gates import read_gates
from sim.evidence.node_ranges import outside
from tests.support.tiers import thorough

pytestmark = thorough

#: ``fault`` n is there when ``select`` is n; what they do is said in `FAULTS`.
FAULTY = """
module xvolution(input aclk, input [3:0] select, input step, input [3:0] a, output reg [7:0] out, output end_);
    reg [2:0] place = 0;
    reg place_last = 0;
    reg [3:0] unread, held;
    reg one = 0, other = 0;
    wire last = (place == 3) & (~place_last | (select == 1)) ^ (select == 2);
    wire [5:0] operand = {2'd0, a} ^ {(select == 3), 4'd0, (select == 4)} & {~select[0], 5'd31};
    wire [7:0] product = operand * a;
    always @(posedge aclk) begin
        if (step) begin
            place <= place_last ? 0 : place + 1;
            place_last <= last;
        end
        unread <= a ^ (select == 5);
        held <= unread;
        one <= a[0] & (select == 9 || select == 10);
        other <= a[1] & (select != 9);
        out <= product ^ (select == 6) ^ (place == 5 && select == 7) ^ (place == 4 && select == 8) ^ (one & other);
    end
    assign end_ = place_last;
endmodule
"""
#: number: whether it changes nothing.
FAULTS = {
    "the unit itself": (0, True),
    "a term that the counter implies": (1, True),
    "another end of the counter": (2, False),
    "an operand's bit, masked": (3, True),
    "an operand's bit": (4, False),
    "registers that no output sees": (5, True),
    "an output": (6, False),
    "in a state that never comes": (7, True),
    "in a state that comes": (8, False),
    "a register that moves, and one to hide it that does not": (9, True),
    "a register that moves": (10, False),
}


@pytest.mark.parametrize(("number", "alike"), FAULTS.values(), ids=FAULTS)
def test_fault(number: int, alike: bool) -> None:
    assert list(equivalent(read_gates(FAULTY), "select", [number])) == [alike]


def test_primitive_that_reads_something_else() -> None:
    """All that is known of a multiplier is that it does the same to the same, through a second one, too."""
    verilog = """
module xvolution(input aclk, input [1:0] select, input a, output [47:0] out);
    wire [47:0] handed_on;
    DSP48E2 first (.CLK(aclk), .A({30{a ^ (select == 1)}}), .PCOUT(handed_on));
    DSP48E2 second (.CLK(aclk), .A({30{a}}), .PCIN(handed_on), .P(out));
endmodule
"""
    assert list(equivalent(read_gates(verilog), "select", [0, 1, 2])) == [True, False, True]


#: ``early`` powers up with what no operand that is known gives.
KNOWN = """
module xvolution(input aclk, input [1:0] select, input [3:0] a, output reg [5:0] out = 0);
    reg [5:0] triple = 0, early = 45, next = 0, next_early = 0;
    always @(posedge aclk) begin
        triple <= a * 6'd3;
        next <= triple;
        early <= a * 6'd3;
        next_early <= early;
        out <= next ^ (next == 45 && select == 1) ^ (next == 33 && select == 2) ^ (next_early == 45 && select == 3);
    end
endmodule
"""


def test_what_is_known_of_operands_is_known_of_what_comes_of_them() -> None:
    """An operand is at most 11, not 15: the second fault is seen with it, the third a few cycles after power-up."""
    gates = read_gates(KNOWN)
    known = list(outside(gates.signals["a"], False, Range(0, 11)))
    assert list(equivalent(gates, "select", [1, 2, 3])) == [False, False, False]
    assert list(equivalent(gates, "select", [1, 2, 3], known)) == [True, False, False]


#: What ``select`` adds in cases comes apart in all bits of ``triple``. ``out`` is at most 15.
SATURATING = """
module xvolution(input aclk, input [1:0] select, input [3:0] a, output reg [4:0] out = 0);
    reg [5:0] triple = 0, next = 0;
    always @(posedge aclk) begin
        triple <= a * 6'd3 + (select == 1 && a == 5) + (select == 2 && a == 4);
        next <= triple;
        out <= next > 15 ? 15 : next;
    end
endmodule
"""


def test_what_comes_apart_is_followed_to_where_it_does_not_matter() -> None:
    gates = read_gates(SATURATING)
    claims = list(outside(gates.inputs["a"], False, Range(0, 12)))
    assert list(equivalent(gates, "select", [1, 2], claims)) == [True, False]
