"""What induction proves of small circuits, and what it must not."""

from __future__ import annotations

from sim.evidence.gates import Gates, read_gates
from sim.evidence.unreachable import Claim, never, never_becomes, proven
from tests.support.tiers import thorough

pytestmark = thorough

CLOCKED = """
module xvolution(input aclk, input aresetn, input step, input [7:0] a, output [3:0] count, output word, output high);
    reg [2:0] place = 0;            // 0 to 4
    reg place_last = 0;
    reg [1:0] free_running = 0;
    reg seen = 0;                   // rises once
    reg read;                       // never set: the word at 5 is not there to read
    reg [7:0] words [7:0];
    wire [15:0] product = a * a;
    wire [15:0] twice = {15'd0, product[0]};
    wire nothing;
    integer i;
    initial for (i = 0; i < 8; i = i + 1) words[i] = i == 5 ? 8'hff : 8'h01;
    always @(posedge aclk) begin
        if (step) begin
            place <= place_last ? 0 : place + 1;
            place_last <= place == 3;
        end
        if (!aresetn) begin place <= 0; place_last <= 0; end
        free_running <= free_running + 1;
        seen <= seen | step;
        read <= words[place][7];
    end
    assign count = {nothing, place};
    assign word = read;
    assign high = twice[1] | product[15];
endmodule
"""


def about(gates: Gates, name: str, index: int = 0) -> set[str]:
    """Which claims about a bit are proven."""
    bit = gates.signals[name][index]
    claims = {
        "never 0": never(bit, 0),
        "never 1": never(bit, 1),
        "never rises": never_becomes(bit, 1),
        "never falls": never_becomes(bit, 0),
    }
    found = proven(gates, claims.values())
    return {text for text, claim in claims.items() if claim in found}


def test_what_is_proven() -> None:
    gates = read_gates(CLOCKED)
    assert about(gates, "place", 2) == about(gates, "place_last") == set()
    assert about(gates, "free_running", 1) == set()
    assert about(gates, "seen") == {"never falls"}
    # Needs that the counter never comes to 5.
    assert about(gates, "read") == {"never 1", "never rises", "never falls"}
    # A multiplier may have any result, but what is constant behind it is.
    assert about(gates, "product", 15) == set()
    assert about(gates, "nothing") == {"never 1", "never rises", "never falls"}


def test_claims_about_registers() -> None:
    gates = read_gates(CLOCKED)
    place = gates.signals["place"]
    found = proven(gates, [])

    def at(value: int) -> tuple[tuple[int | str, int], ...]:
        return tuple((bit, value >> index & 1) for index, bit in enumerate(place))

    assert all((Claim(now=at(value)) in found) == (value > 4) for value in range(8))


def test_claim_that_fails_at_the_start_only() -> None:
    """A one that was there at power-up is left for ever in a cycle: the claim keeps itself up, but does not hold."""
    verilog = """
module xvolution(input aclk, output out);
    reg once = 1;
    always @(posedge aclk) once <= 0;
    assign out = once;
endmodule
"""
    gates = read_gates(verilog)
    assert about(gates, "once") == {"never rises"}


def test_claim_that_fails_at_the_start_only_and_rarely() -> None:
    """No random run has the one input of 2^40 that breaks it, and no cycle that follows two others can."""
    verilog = """
module xvolution(input aclk, input [39:0] a, output out);
    reg first = 1;
    always @(posedge aclk) first <= 0;
    assign out = first & (a == 40'hdeadbeef42);
endmodule
"""
    gates = read_gates(verilog)
    assert about(gates, "out") == {"never rises"}
