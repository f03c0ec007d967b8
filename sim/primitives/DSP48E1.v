// Multiplier and adder of the AMD 7 series: P = A * B + Z, where Z is 0, PCIN or C.
//
// Modelled: one or two registers of A and of B, one or none of C, one each of product and sum, with
// their enables and synchronous resets. OPMODE: 7'b000_0101 (Z = 0), 7'b001_0101 (Z = PCIN), 7'b011_0101
// (Z = C), and with zeros in place of 0101 (no product), as its register starts. ALUMODE, INMODE, CARRYIN
// and CARRYINSEL are 0. Anything else ends the simulation with a line that names it. Outputs other than P
// and PCOUT are unknown. Inputs that are used here must not be left open.

/* verilator lint_off WIDTHEXPAND */ // strings of different lengths are compared
/* verilator lint_off UNUSEDPARAM */ // all parameters are accepted, some do not matter here
/* verilator lint_off UNUSEDSIGNAL */ // the same of inputs
/* verilator lint_off PROCASSINIT */ // registers start at 0
module DSP48E1 #(
    parameter integer ACASCREG = 1,
    parameter integer ADREG = 1,
    parameter integer ALUMODEREG = 1,
    parameter integer AREG = 1,
    parameter AUTORESET_PATDET = "NO_RESET",
    parameter A_INPUT = "DIRECT",
    parameter integer BCASCREG = 1,
    parameter integer BREG = 1,
    parameter B_INPUT = "DIRECT",
    parameter integer CARRYINREG = 1,
    parameter integer CARRYINSELREG = 1,
    parameter integer CREG = 1,
    parameter integer DREG = 1,
    parameter integer INMODEREG = 1,
    parameter integer MREG = 1,
    parameter integer OPMODEREG = 1,
    parameter integer PREG = 1,
    parameter SEL_MASK = "MASK",
    parameter SEL_PATTERN = "PATTERN",
    parameter USE_DPORT = "FALSE",
    parameter USE_MULT = "MULTIPLY",
    parameter USE_PATTERN_DETECT = "NO_PATDET",
    parameter USE_SIMD = "ONE48",
    parameter [47:0] MASK = 48'h3FFFFFFFFFFF,
    parameter [47:0] PATTERN = 48'h000000000000,
    parameter [3:0] IS_ALUMODE_INVERTED = 4'b0,
    parameter [0:0] IS_CARRYIN_INVERTED = 1'b0,
    parameter [0:0] IS_CLK_INVERTED = 1'b0,
    parameter [4:0] IS_INMODE_INVERTED = 5'b0,
    parameter [6:0] IS_OPMODE_INVERTED = 7'b0
) (
    output [29:0] ACOUT,
    output [17:0] BCOUT,
    output CARRYCASCOUT,
    output [3:0] CARRYOUT,
    output MULTSIGNOUT,
    output OVERFLOW,
    output reg [47:0] P,
    output PATTERNBDETECT,
    output PATTERNDETECT,
    output [47:0] PCOUT,
    output UNDERFLOW,
    input [29:0] A,
    input [29:0] ACIN,
    input [3:0] ALUMODE,
    input [17:0] B,
    input [17:0] BCIN,
    input [47:0] C,
    input CARRYCASCIN,
    input CARRYIN,
    input [2:0] CARRYINSEL,
    input CEA1,
    input CEA2,
    input CEAD,
    input CEALUMODE,
    input CEB1,
    input CEB2,
    input CEC,
    input CECARRYIN,
    input CECTRL,
    input CED,
    input CEINMODE,
    input CEM,
    input CEP,
    input CLK,
    input [24:0] D,
    input [4:0] INMODE,
    input MULTSIGNIN,
    input [6:0] OPMODE,
    input [47:0] PCIN,
    input RSTA,
    input RSTALLCARRYIN,
    input RSTALUMODE,
    input RSTB,
    input RSTC,
    input RSTCTRL,
    input RSTD,
    input RSTINMODE,
    input RSTM,
    input RSTP
);
    localparam [3:0] PRODUCT = 4'b0101;
    localparam [2:0] Z_ZERO = 3'b000;
    localparam [2:0] Z_PCIN = 3'b001;
    localparam [2:0] Z_C = 3'b011;

    reg signed [24:0] a1 = 0;
    reg signed [24:0] a2 = 0;
    reg signed [17:0] b1 = 0;
    reg signed [17:0] b2 = 0;
    wire signed [42:0] product = a2 * b2;
    reg [42:0] m = 0;
    reg [47:0] c_register = 0;
    reg [6:0] opmode_register = 0;

    wire [47:0] c = CREG == 1 ? c_register : C;
    wire [6:0] opmode = OPMODEREG == 1 ? opmode_register : OPMODE;
    wire [47:0] x = opmode[3:0] == PRODUCT ? {{5{m[42]}}, m} : 48'd0;
    wire [47:0] z = opmode[6:4] == Z_PCIN ? PCIN : opmode[6:4] == Z_C ? c : 48'd0;

    initial P = 0;
    assign PCOUT = P;

    always @(posedge CLK) begin
        if (RSTA) a1 <= 0;
        else if (CEA1) a1 <= A[24:0];
        if (RSTA) a2 <= 0;
        else if (CEA2) a2 <= AREG == 1 ? A[24:0] : a1;
        if (RSTB) b1 <= 0;
        else if (CEB1) b1 <= B;
        if (RSTB) b2 <= 0;
        else if (CEB2) b2 <= BREG == 1 ? B : b1;
        if (RSTC) c_register <= 0;
        else if (CEC) c_register <= C;
        if (RSTCTRL) opmode_register <= 0;
        else if (CECTRL) opmode_register <= OPMODE;
        if (RSTM) m <= 0;
        else if (CEM) m <= product;
        if (RSTP) P <= 0;
        else if (CEP) P <= x + z;
    end

    assign ACOUT = 30'bx;
    assign BCOUT = 18'bx;
    assign {CARRYCASCOUT, CARRYOUT, MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNDETECT, PATTERNBDETECT} = 10'bx;

    task require(input modelled, input [8*27-1:0] name);
        if (!modelled) begin
            $display("error: %m: this %0s of DSP48E1 is not modelled", name);
            $finish;
        end
    endtask

    initial begin
        require(AREG == 1 || AREG == 2, "AREG");
        require(BREG == 1 || BREG == 2, "BREG");
        require(CREG == 0 || CREG == 1, "CREG");
        require(MREG == 1, "MREG");
        require(PREG == 1, "PREG");
        require(OPMODEREG == 0 || OPMODEREG == 1, "OPMODEREG");
        require(ALUMODEREG == 0 || ALUMODEREG == 1, "ALUMODEREG");
        require(INMODEREG == 0 || INMODEREG == 1, "INMODEREG");
        require(CARRYINREG == 0 || CARRYINREG == 1, "CARRYINREG");
        require(CARRYINSELREG == 0 || CARRYINSELREG == 1, "CARRYINSELREG");
        require(ACASCREG == 1 || ACASCREG == AREG, "ACASCREG");
        require(BCASCREG == 1 || BCASCREG == BREG, "BCASCREG");
        require(A_INPUT == "DIRECT", "A_INPUT");
        require(B_INPUT == "DIRECT", "B_INPUT");
        require(USE_DPORT == "FALSE", "USE_DPORT");
        require(USE_MULT == "MULTIPLY", "USE_MULT");
        require(USE_SIMD == "ONE48", "USE_SIMD");
        require(USE_PATTERN_DETECT == "NO_PATDET", "USE_PATTERN_DETECT");
        require(AUTORESET_PATDET == "NO_RESET", "AUTORESET_PATDET");
        require(IS_ALUMODE_INVERTED == 0, "IS_ALUMODE_INVERTED");
        require(IS_CARRYIN_INVERTED == 0, "IS_CARRYIN_INVERTED");
        require(IS_CLK_INVERTED == 0, "IS_CLK_INVERTED");
        require(IS_INMODE_INVERTED == 0, "IS_INMODE_INVERTED");
        require(IS_OPMODE_INVERTED == 0, "IS_OPMODE_INVERTED");
    end
    wire zeros = ~|{ALUMODE, INMODE, CARRYIN, CARRYINSEL};
    wire known = (OPMODE[3:0] == PRODUCT || OPMODE[3:0] == 0)
        && (OPMODE[6:4] == Z_ZERO || OPMODE[6:4] == Z_PCIN || OPMODE[6:4] == Z_C);
    always @(posedge CLK) begin
        // Open inputs count as 0: with them, `zeros` is unknown, not false.
        if (!zeros) require(0, "ALUMODE, INMODE or CARRYIN");
        if (!known) require(0, "OPMODE");
    end
endmodule
