"""Test bench: Verilog that streams vectors through a unit or network, with pauses, and checks every beat by itself."""

from __future__ import annotations

import math

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.network import IntegerNetwork
from golden.contract.ports import ports
from golden.contract.streams import Payload

#: Cycles without a transfer after which a unit hangs. A sum over all channels takes some cycles more.
PATIENCE = 10_000
#: What a number of Verilog counts to.
LARGEST = 2**31 - 1
#: Cycles in which a beat too many would come.
DRAIN = 1_000

_BODY = """\

    reg aclk = 0;
    always #5 aclk = !aclk;

    reg aresetn = 0;
    reg s_axis_tvalid = 0;
    wire s_axis_tready;
    reg [IN_BITS-1:0] s_axis_tdata = 0;
    wire m_axis_tvalid;
    reg m_axis_tready = 0;
    wire [OUT_BITS-1:0] m_axis_tdata;
    wire m_axis_tlast;

    {name} unit (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready), .s_axis_tdata(s_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready), .m_axis_tdata(m_axis_tdata),
        .m_axis_tlast(m_axis_tlast)
    );

    // Files of beats, one a line.
    reg [8*4096-1:0] folder;
    reg [8*4128-1:0] path;
    integer stimulus = 0, expected = 0;
    initial begin
        if (!$value$plusargs("vectors=%s", folder)) folder = ".";
        $sformat(path, "%0s/input.hex", folder);
        stimulus = $fopen(path, "r");
        $sformat(path, "%0s/expected.hex", folder);
        expected = $fopen(path, "r");
        if (stimulus == 0 || expected == 0) begin
            $display("FAIL: no input.hex and expected.hex in %0s (+vectors=DIR says where they are)", folder);
            $fatal(1, "{name}");
        end
    end

    // Marsaglia's xorshift32: plain logic, so that pauses are the same in every simulator.
    function [31:0] xorshift(input [31:0] state);
        begin
            xorshift = state ^ (state << 13);
            xorshift = xorshift ^ (xorshift >> 17);
            xorshift = xorshift ^ (xorshift << 5);
        end
    endfunction

    reg [31:0] pattern = 1;
    integer cycle = 0;
    integer beats = 0;      // output beats compared
    integer quiet = 0;      // cycles since the last transfer
    integer status;
    reg [IN_BITS-1:0] beat;
    reg [OUT_BITS-1:0] wanted;
    reg stalled = 0;        // the output was valid and not taken in the cycle before
    reg [OUT_BITS:0] held;

    always @(posedge aclk) begin
        cycle <= cycle + 1;
        aresetn <= cycle >= 4;
        pattern <= xorshift(pattern);
        m_axis_tready <= {{24'd0, pattern[7:0]}} >= STALL;

        if (aresetn) begin
            if (!s_axis_tvalid || s_axis_tready) begin
                if ({{24'd0, pattern[15:8]}} < IDLE) begin
                    s_axis_tvalid <= 0;
                    s_axis_tdata <= ~s_axis_tdata; // only what is valid may matter
                end else begin
                    status = $fscanf(stimulus, "%h", beat);
                    s_axis_tvalid <= status == 1;
                    s_axis_tdata <= beat;
                end
            end

            if (m_axis_tvalid && m_axis_tready) begin
                status = $fscanf(expected, "%h", wanted);
                if (beats == BEATS) begin
                    $display("FAIL: an output beat more than the %0d that are expected", BEATS);
                    $fatal(1, "{name}");
                end else if (status != 1) begin
                    $display("FAIL: expected.hex has no beat %0d", beats);
                    $fatal(1, "{name}");
                end else if (m_axis_tdata !== wanted) begin
                    $display("FAIL: beat %0d of frame %0d is %h, expected is %h",
                             beats % FRAME_BEATS, beats / FRAME_BEATS, m_axis_tdata, wanted);
                    $fatal(1, "{name}");
                end else if (m_axis_tlast !== (beats % FRAME_BEATS == FRAME_BEATS - 1)) begin
                    $display("FAIL: TLAST is %b with beat %0d of a frame of %0d",
                             m_axis_tlast, beats % FRAME_BEATS, FRAME_BEATS);
                    $fatal(1, "{name}");
                end
                beats <= beats + 1;
            end

            stalled <= m_axis_tvalid && !m_axis_tready;
            held <= {{m_axis_tlast, m_axis_tdata}};
            if ((m_axis_tvalid !== 0 && m_axis_tvalid !== 1) || (s_axis_tready !== 0 && s_axis_tready !== 1)) begin
                $display("FAIL: TVALID of the output or TREADY of the input is undefined, at beat %0d", beats);
                $fatal(1, "{name}");
            end
            if (stalled && (!m_axis_tvalid || {{m_axis_tlast, m_axis_tdata}} !== held)) begin
                $display("FAIL: the output changes while it waits for TREADY, at beat %0d", beats);
                $fatal(1, "{name}");
            end

            quiet <= (s_axis_tvalid && s_axis_tready) || (m_axis_tvalid && m_axis_tready) ? 0 : quiet + 1;
            if (beats == BEATS && !s_axis_tvalid && quiet == DRAIN) begin
                $display("PASS: %0d frames, %0d beats", BEATS / FRAME_BEATS, BEATS);
                $finish;
            end else if (quiet == PATIENCE) begin
                $display("FAIL: the {kind} hangs after %0d of %0d output beats", beats, BEATS);
                $fatal(1, "{name}");
            end
        end
    end
endmodule
"""


def testbench(name: str, model: Layer | IntegerNetwork, folding: Folding, frames: int) -> str:
    """The bench ``NAME_testbench`` of the frozen unit or network called ``name``, for the vectors of ``frames`` frames.

    It ends with PASS, or with FAIL and an error status.
    """
    image, output = ports(model)
    source, sink = Payload.of(image, folding.simd), Payload.of(output, folding.pe)
    frame_beats = output.channels * output.height * output.width // sink.lanes
    kind = "network" if isinstance(model, IntegerNetwork) else "unit"
    head = f"""\
// Streams input.hex through the {kind} {name}, with pauses on both sides, and compares every beat with expected.hex.
// Generated by golden.vectors: do not edit. In the folder of these files:
//
//   $ iverilog -o testbench testbench.v {name}.v && ./testbench
//   $ verilator --binary --timing testbench.v {name}.v && obj_dir/Vtestbench
//
// This file comes first, so that its timescale is that of all files. +vectors=DIR names another folder.
// It ends with PASS, or with FAIL and an error status.
`timescale 1ns / 1ps
module {name}_testbench #(
    // Cycles in 256 without input, and without room for output.
    parameter IDLE = 64,
    parameter STALL = 64
);
    localparam IN_BITS = {8 * source.bytes};
    localparam OUT_BITS = {8 * sink.bytes};
    localparam BEATS = {frames * frame_beats};
    localparam FRAME_BEATS = {frame_beats};
    localparam DRAIN = {DRAIN};
    localparam PATIENCE = {PATIENCE + _longest_pause(model, folding)};
"""
    return head + _BODY.format(name=name, kind=kind)


def _longest_pause(model: Layer | IntegerNetwork, folding: Folding) -> int:
    """Cycles that may go by without a transfer, beyond those of any unit.

    A network works on what is inside after its last input. Its steps may be folded in any way, so each
    is granted a frame's cycles with one lane on each side.
    """
    if not isinstance(model, IntegerNetwork):
        return 4 * model.config.in_channels // folding.simd
    cycles = 0
    for step in model.steps:
        taken = sum(math.prod(model.results[name].shape) for name in step.inputs)
        given = model.results[step.name]
        pairs = math.prod(given.shape) * model.results[step.inputs[0]].channels if isinstance(step, LayerStep) else 0
        cycles += max(taken, math.prod(given.shape), pairs, step.weights if isinstance(step, Linear) else 0)
    return min(cycles, LARGEST - PATIENCE)
