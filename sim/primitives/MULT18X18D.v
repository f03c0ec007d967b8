// Multiplier of the Lattice ECP5: P = A * B, signed or not, with up to three registers on the way.
//
// Modelled: each register absent or clocked by CLK0 with CE0 and RST0 (synchronous). Anything else
// ends the simulation with a line that names it. Inputs that are used here must not be left open.

/* verilator lint_off UNUSEDPARAM */ // all parameters are accepted, some do not matter here
/* verilator lint_off UNUSEDSIGNAL */ // the same of inputs
/* verilator lint_off PROCASSINIT */ // registers start at 0
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE",
    parameter REG_INPUTA_CE = "CE0",
    parameter REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE",
    parameter REG_INPUTB_CE = "CE0",
    parameter REG_INPUTB_RST = "RST0",
    parameter REG_INPUTC_CLK = "NONE",
    parameter REG_INPUTC_CE = "CE0",
    parameter REG_INPUTC_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE",
    parameter REG_PIPELINE_CE = "CE0",
    parameter REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE",
    parameter REG_OUTPUT_CE = "CE0",
    parameter REG_OUTPUT_RST = "RST0",
    parameter CLK0_DIV = "ENABLED",
    parameter CLK1_DIV = "ENABLED",
    parameter CLK2_DIV = "ENABLED",
    parameter CLK3_DIV = "ENABLED",
    parameter HIGHSPEED_CLK = "NONE",
    parameter GSR = "ENABLED",
    parameter CAS_MATCH_REG = "FALSE",
    parameter SOURCEB_MODE = "B_SHIFT",
    parameter MULT_BYPASS = "DISABLED",
    parameter RESETMODE = "SYNC"
) (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0, // not used
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    // With a bit more, unsigned operands are signed ones, too.
    wire signed [18:0] a = {
        SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire signed [18:0] b = {
        SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
    };
    reg signed [18:0] a_register = 0;
    reg signed [18:0] b_register = 0;
    wire signed [18:0] a_factor = REG_INPUTA_CLK == "NONE" ? a : a_register;
    wire signed [18:0] b_factor = REG_INPUTB_CLK == "NONE" ? b : b_register;
    wire signed [37:0] product = a_factor * b_factor;
    reg [35:0] pipeline_register = 0;
    wire [35:0] pipeline = REG_PIPELINE_CLK == "NONE" ? product[35:0] : pipeline_register;
    reg [35:0] output_register = 0;

    always @(posedge CLK0) begin
        if (RST0) begin
            a_register <= 0;
            b_register <= 0;
            pipeline_register <= 0;
            output_register <= 0;
        end else if (CE0) begin
            a_register <= a;
            b_register <= b;
            pipeline_register <= product[35:0];
            output_register <= pipeline;
        end
    end

    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = REG_OUTPUT_CLK == "NONE" ? pipeline : output_register;

    task require(input modelled, input [8*20-1:0] name);
        if (!modelled) begin
            $display("error: %m: this %0s of MULT18X18D is not modelled", name);
            $finish;
        end
    endtask

    initial begin
        require(REG_INPUTA_CLK == "NONE" || REG_INPUTA_CLK == "CLK0", "REG_INPUTA_CLK");
        require(REG_INPUTA_CE == "CE0", "REG_INPUTA_CE");
        require(REG_INPUTA_RST == "RST0", "REG_INPUTA_RST");
        require(REG_INPUTB_CLK == "NONE" || REG_INPUTB_CLK == "CLK0", "REG_INPUTB_CLK");
        require(REG_INPUTB_CE == "CE0", "REG_INPUTB_CE");
        require(REG_INPUTB_RST == "RST0", "REG_INPUTB_RST");
        require(REG_PIPELINE_CLK == "NONE" || REG_PIPELINE_CLK == "CLK0", "REG_PIPELINE_CLK");
        require(REG_PIPELINE_CE == "CE0", "REG_PIPELINE_CE");
        require(REG_PIPELINE_RST == "RST0", "REG_PIPELINE_RST");
        require(REG_OUTPUT_CLK == "NONE" || REG_OUTPUT_CLK == "CLK0", "REG_OUTPUT_CLK");
        require(REG_OUTPUT_CE == "CE0", "REG_OUTPUT_CE");
        require(REG_OUTPUT_RST == "RST0", "REG_OUTPUT_RST");
        require(CLK0_DIV == "ENABLED", "CLK0_DIV");
        require(HIGHSPEED_CLK == "NONE", "HIGHSPEED_CLK");
        require(CAS_MATCH_REG == "FALSE", "CAS_MATCH_REG");
        require(SOURCEB_MODE == "B_SHIFT", "SOURCEB_MODE");
        require(MULT_BYPASS == "DISABLED", "MULT_BYPASS");
        require(RESETMODE == "SYNC", "RESETMODE");
    end
    // These are constants, whose own change may be missed: they are looked at with the operands.
    always @(a or b) require(!(SOURCEA || SOURCEB), "SOURCEA or SOURCEB");
endmodule
