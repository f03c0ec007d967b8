"""FIFO in block RAM of ECP5: beside the FIFO in a memory of no family, and equal to it in every cycle."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.back import verilog

from hw.network.beat import Beat
from hw.network.edges.fifo import Fifo
from hw.targets.families import ECP5, GENERIC
from sim.simulator.simulators import PRIMITIVES
from sim.tests.support import installed
from tests.support.tiers import thorough

TIMEOUT = 300
#: Pauses of source and sink, in sixteenths of the cycles. One phase after the other fills the FIFO and empties it.
PHASES = ((0, 16), (4, 4), (0, 15), (0, 0), (15, 0), (2, 8), (16, 0), (3, 0))


def bench(width: int, cycles: int) -> str:
    """Both FIFOs with the same random beats and pauses. Prints how often they differ, and how many beats passed."""
    phases = "\n".join(
        f"            {number}: begin source = {source}; sink = {sink}; end"
        for number, (source, sink) in enumerate(PHASES)
    )
    return f"""
module bench;
    reg clk = 0, rst = 0, ready = 0, valid = 0;
    reg [{width - 1}:0] beat = 0;
    wire [1:0] ready_in, valid_out;
    wire [{width - 1}:0] out_0, out_1;
    fifo_0 a(.clk(clk), .rst(rst), .i__valid(valid), .i__ready(ready_in[0]), .i__payload(beat),
             .o__valid(valid_out[0]), .o__ready(ready), .o__payload(out_0));
    fifo_1 b(.clk(clk), .rst(rst), .i__valid(valid), .i__ready(ready_in[1]), .i__payload(beat),
             .o__valid(valid_out[1]), .o__ready(ready), .o__payload(out_1));
    integer cycle, source, sink, different = 0, pushed = 0, popped = 0;
    initial begin
        for (cycle = 0; cycle < {cycles * len(PHASES)}; cycle = cycle + 1) begin
            case (cycle / {cycles})
{phases}
            endcase
            rst = cycle == 0 || cycle == {cycles * len(PHASES) // 2};
            valid = $urandom % 16 >= source;
            beat = {{$urandom, $urandom}};
            ready = $urandom % 16 >= sink;
            #1;
            different = different + (ready_in[0] !== ready_in[1] || valid_out[0] !== valid_out[1]
                                     || (valid_out[0] && out_0 !== out_1));
            pushed = pushed + (valid & ready_in[0]);
            popped = popped + (valid_out[0] & ready);
            clk = 1;
            #1 clk = 0;
        end
        $display("%0d %0d %0d", different, pushed, popped);
        $finish;
    end
endmodule
"""


@thorough
@pytest.mark.parametrize(("lanes", "depth"), [(1, 1200), (2, 300), (5, 300), (1, 17000)])
def test_equal_to_a_memory_of_no_family(lanes: int, depth: int, tmp_path: Path) -> None:
    """Of one column of blocks and several, and of several blocks on top of each other."""
    installed("icarus")
    beat = Beat(lanes=lanes, bits=8 if depth < 17000 else 2, signed=False)
    texts = [bench(beat.size, depth * 5 // 4)]  # a phase is long enough to fill the FIFO, or to empty it
    for number, target in enumerate((replace(GENERIC, relays=True), ECP5)):
        text = verilog.convert(Fifo(beat, depth, target), name=f"fifo_{number}", emit_src=False)
        assert ("DP16KD" in text) == (target is ECP5)
        texts.append(text)
    (tmp_path / "bench.v").write_text("\n".join(texts))
    command = ["iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", "bench.v", str(PRIMITIVES["DP16KD"])]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=TIMEOUT)
    done = subprocess.run(["vvp", "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, timeout=TIMEOUT)
    different, pushed, popped = map(int, done.stdout.split())
    assert different == 0
    assert pushed > 4 * depth and popped > 2 * depth
