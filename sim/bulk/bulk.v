// Streams a file through the unit at simulator speed, records what comes out, and ends the simulation.
//
// In the working directory:
//   stimulus.bin  input beats, most significant byte first
//   outputs.hex   output beats as they come, hexadecimal digits without a separator
//   inputs.hex    the cycle of each input beat that is taken, 16 hexadecimal digits without a separator
//   events.txt    one event a line, its name and the cycle, then for "last" (output with TLAST) the output beat;
//               after a reset only what comes behind it
//
// Plusargs, all decimal:
//   beats       output beats to expect
//   drain       cycles to watch for surplus output after the last of them
//   patience    cycles without any transfer after which the unit counts as hung
//   idle, stall             probability of a cycle without input / of a stalled output, in 1/65536
//   calm_inputs, calm_outputs   beats before the first such cycle
//   idle_seed, stall_seed   where their patterns start, not 0; the same on every simulator
//   reset_at    cycle behind which the unit is reset for one cycle, and all begins again; 0: never
`timescale 1ns / 1ns
module bulk #(
    parameter IN_BITS = 8,
    parameter OUT_BITS = 8
);
    localparam RESET_CYCLES = 4;

    reg aclk = 0;
    always #1 aclk = !aclk;

    reg aresetn = 0;
    reg s_axis_tvalid = 0;
    wire s_axis_tready;
    reg [IN_BITS-1:0] s_axis_tdata = 0;
    wire m_axis_tvalid;
    reg m_axis_tready = 0;
    wire [OUT_BITS-1:0] m_axis_tdata;
    wire m_axis_tlast;

    `UNIT unit (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready), .s_axis_tdata(s_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready), .m_axis_tdata(m_axis_tdata),
        .m_axis_tlast(m_axis_tlast)
    );

    integer stimulus, outputs, inputs, events;
    reg [63:0] expected, calm_inputs, calm_outputs, reset_at;
    reg [31:0] drain, patience, idle, stall, idle_pattern, stall_pattern;
    reg complete = 0;
    initial begin
        complete = $value$plusargs("beats=%d", expected)
            && $value$plusargs("drain=%d", drain)
            && $value$plusargs("patience=%d", patience)
            && $value$plusargs("idle=%d", idle)
            && $value$plusargs("stall=%d", stall)
            && $value$plusargs("calm_inputs=%d", calm_inputs)
            && $value$plusargs("calm_outputs=%d", calm_outputs)
            && $value$plusargs("idle_seed=%d", idle_pattern)
            && $value$plusargs("stall_seed=%d", stall_pattern)
            && $value$plusargs("reset_at=%d", reset_at);
        if (!complete) begin
            $display("bulk: a plusarg is missing");
            $finish;
        end
        open;
    end

    task open;
        begin
            stimulus = $fopen("stimulus.bin", "rb");
            outputs = $fopen("outputs.hex", "w");
            inputs = $fopen("inputs.hex", "w");
            events = $fopen("events.txt", "w");
        end
    endtask

    // What was before the reset leaves no trace.
    task start_again;
        begin
            $fclose(stimulus);
            $fclose(outputs);
            $fclose(inputs);
            $fclose(events);
            open;
            $fwrite(events, "reset %0d\n", cycle);
            s_axis_tvalid <= 0;
            taken <= 0;
            beats <= 0;
            quiet <= 0;
            stalled <= 0;
        end
    endtask

    // Marsaglia's xorshift32: plain logic, so that a seed means the same pattern everywhere.
    function [31:0] xorshift(input [31:0] state);
        begin
            xorshift = state ^ (state << 13);
            xorshift = xorshift ^ (xorshift >> 17);
            xorshift = xorshift ^ (xorshift << 5);
        end
    endfunction

    reg done = 0;
    reg [63:0] cycle = 0;
    reg [63:0] taken = 0;   // input beats
    reg [63:0] beats = 0;   // output beats
    reg [31:0] quiet = 0;   // cycles since the last transfer
    reg [IN_BITS-1:0] beat;
    reg stalled = 0;        // the output was valid and not taken in the cycle before
    reg [OUT_BITS:0] held;

    wire in_transfer = s_axis_tvalid && s_axis_tready;
    wire out_transfer = m_axis_tvalid && m_axis_tready;

    // Ends the run. After a fault nothing more can be learned from it.
    task finish;
        begin
            $fwrite(events, "end %0d\n", cycle);
            $fclose(outputs);
            $fclose(inputs);
            $fclose(events);
            done <= 1;
        end
    endtask

    // A bench that waits for the end sees it before.
    always @(posedge done) #1 $finish;

    always @(posedge aclk) begin
        cycle <= cycle + 1;
        aresetn <= cycle >= RESET_CYCLES && (cycle != reset_at || reset_at == 0);
        idle_pattern <= xorshift(idle_pattern);
        stall_pattern <= xorshift(stall_pattern);
        m_axis_tready <= beats < calm_outputs || stall_pattern[15:0] >= stall;

        if (!aresetn && reset_at != 0 && cycle == reset_at + 1) start_again;
        if (aresetn && !done) begin
            if (!s_axis_tvalid || s_axis_tready) begin
                if (taken >= calm_inputs && idle_pattern[15:0] < idle) begin
                    s_axis_tvalid <= 0;
                    s_axis_tdata <= ~s_axis_tdata; // only what is valid may matter
                end else begin
                    s_axis_tvalid <= $fread(beat, stimulus) == IN_BITS / 8;
                    s_axis_tdata <= beat;
                end
            end
            if (in_transfer) begin
                $fwrite(inputs, "%h", cycle);
                taken <= taken + 1;
            end
            if (out_transfer) begin
                if (beats == 0) $fwrite(events, "output %0d\n", cycle);
                if (m_axis_tlast) $fwrite(events, "last %0d %0d\n", cycle, beats);
                $fwrite(outputs, "%h", m_axis_tdata);
                beats <= beats + 1;
            end

            quiet <= in_transfer || out_transfer ? 0 : quiet + 1;
            stalled <= m_axis_tvalid && !m_axis_tready;
            held <= {m_axis_tlast, m_axis_tdata};

            if ((m_axis_tvalid !== 0 && m_axis_tvalid !== 1) || (s_axis_tready !== 0 && s_axis_tready !== 1)) begin
                $fwrite(events, "undefined %0d\n", cycle);
                finish;
            end else if (stalled && !m_axis_tvalid) begin
                $fwrite(events, "dropped %0d\n", cycle);
                finish;
            end else if (stalled && {m_axis_tlast, m_axis_tdata} !== held) begin
                $fwrite(events, "changed %0d\n", cycle);
                finish;
            end else if (beats == expected && m_axis_tvalid) begin
                $fwrite(events, "surplus %0d\n", cycle);
                finish;
            end else if (beats == expected && quiet == drain) begin
                finish;
            end else if (quiet == patience) begin
                $fwrite(events, "hang %0d\n", cycle);
                finish;
            end
        end
    end
endmodule
