// Block RAM of the Lattice ECP5: 16 Kibit, or 18 Kibit in words of 9 or 18. Port A writes or reads, B reads.
//
// It is 1024 words of two bytes of 9 bits. A port of 18 bits has them all: word address in AD13..4, and
// in AD1, AD0 whether the upper, the lower byte is written. A port of 9 has byte AD3 of the word; one of
// 4, 2 or 1 has the bits from AD2..0 on of that byte, whose ninth bit it never sees. INITVAL_NN
// holds words 16*NN and up, each in 20 bits, the upper two of which are not used.
//
// Modelled: both ports on one clock, without (NOREG) or with output registers (OUTREG), chip selects,
// synchronous reset, which also keeps its port from writing. A write leaves DOA as it is (NORMAL), or A
// reads what was there (READBEFOREWRITE). Where B reads what A writes in the same cycle, its data is
// unknown, which Verilator shows as some constant. Anything else ends the simulation with a line that names
// it. Inputs that are used here must not be left open.

/* verilator lint_off WIDTHEXPAND */ // strings of different lengths are compared
/* verilator lint_off UNUSEDPARAM */ // all parameters are accepted, some do not matter here
/* verilator lint_off UNUSEDSIGNAL */ // the same of inputs
/* verilator lint_off PROCASSINIT */ // registers start at 0
module DP16KD #(
    parameter DATA_WIDTH_A = 18,
    parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG",
    parameter REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC",
    parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter [39:0] CSDECODE_A = "0b000",
    parameter [39:0] CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL",
    parameter WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA",
    parameter CLKBMUX = "CLKB",
    parameter WID = 0,
    parameter GSR = "ENABLED",
    parameter [319:0] INITVAL_00 = 0,
    parameter [319:0] INITVAL_01 = 0,
    parameter [319:0] INITVAL_02 = 0,
    parameter [319:0] INITVAL_03 = 0,
    parameter [319:0] INITVAL_04 = 0,
    parameter [319:0] INITVAL_05 = 0,
    parameter [319:0] INITVAL_06 = 0,
    parameter [319:0] INITVAL_07 = 0,
    parameter [319:0] INITVAL_08 = 0,
    parameter [319:0] INITVAL_09 = 0,
    parameter [319:0] INITVAL_0A = 0,
    parameter [319:0] INITVAL_0B = 0,
    parameter [319:0] INITVAL_0C = 0,
    parameter [319:0] INITVAL_0D = 0,
    parameter [319:0] INITVAL_0E = 0,
    parameter [319:0] INITVAL_0F = 0,
    parameter [319:0] INITVAL_10 = 0,
    parameter [319:0] INITVAL_11 = 0,
    parameter [319:0] INITVAL_12 = 0,
    parameter [319:0] INITVAL_13 = 0,
    parameter [319:0] INITVAL_14 = 0,
    parameter [319:0] INITVAL_15 = 0,
    parameter [319:0] INITVAL_16 = 0,
    parameter [319:0] INITVAL_17 = 0,
    parameter [319:0] INITVAL_18 = 0,
    parameter [319:0] INITVAL_19 = 0,
    parameter [319:0] INITVAL_1A = 0,
    parameter [319:0] INITVAL_1B = 0,
    parameter [319:0] INITVAL_1C = 0,
    parameter [319:0] INITVAL_1D = 0,
    parameter [319:0] INITVAL_1E = 0,
    parameter [319:0] INITVAL_1F = 0,
    parameter [319:0] INITVAL_20 = 0,
    parameter [319:0] INITVAL_21 = 0,
    parameter [319:0] INITVAL_22 = 0,
    parameter [319:0] INITVAL_23 = 0,
    parameter [319:0] INITVAL_24 = 0,
    parameter [319:0] INITVAL_25 = 0,
    parameter [319:0] INITVAL_26 = 0,
    parameter [319:0] INITVAL_27 = 0,
    parameter [319:0] INITVAL_28 = 0,
    parameter [319:0] INITVAL_29 = 0,
    parameter [319:0] INITVAL_2A = 0,
    parameter [319:0] INITVAL_2B = 0,
    parameter [319:0] INITVAL_2C = 0,
    parameter [319:0] INITVAL_2D = 0,
    parameter [319:0] INITVAL_2E = 0,
    parameter [319:0] INITVAL_2F = 0,
    parameter [319:0] INITVAL_30 = 0,
    parameter [319:0] INITVAL_31 = 0,
    parameter [319:0] INITVAL_32 = 0,
    parameter [319:0] INITVAL_33 = 0,
    parameter [319:0] INITVAL_34 = 0,
    parameter [319:0] INITVAL_35 = 0,
    parameter [319:0] INITVAL_36 = 0,
    parameter [319:0] INITVAL_37 = 0,
    parameter [319:0] INITVAL_38 = 0,
    parameter [319:0] INITVAL_39 = 0,
    parameter [319:0] INITVAL_3A = 0,
    parameter [319:0] INITVAL_3B = 0,
    parameter [319:0] INITVAL_3C = 0,
    parameter [319:0] INITVAL_3D = 0,
    parameter [319:0] INITVAL_3E = 0,
    parameter [319:0] INITVAL_3F = 0,
    parameter INIT_DATA = "STATIC"
) (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
        DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0
);
    // Chip selects that a port answers to: the digits of its parameter.
    localparam [2:0] SELECT_A = {CSDECODE_A[16], CSDECODE_A[8], CSDECODE_A[0]};
    localparam [2:0] SELECT_B = {CSDECODE_B[16], CSDECODE_B[8], CSDECODE_B[0]};
    // Bits of a port, and which of AD3..0 say where in a word of 18 they are.
    localparam [17:0] BITS_A = 18'h3FFFF >> (18 - DATA_WIDTH_A);
    localparam [17:0] BITS_B = 18'h3FFFF >> (18 - DATA_WIDTH_B);
    localparam [3:0] PLACES_A = places(DATA_WIDTH_A);
    localparam [3:0] PLACES_B = places(DATA_WIDTH_B);

    function [3:0] places(input integer width);
        case (width)
            1: places = 4'b1111;
            2: places = 4'b1110;
            4: places = 4'b1100;
            9: places = 4'b1000;
            default: places = 4'b0000;
        endcase
    endfunction

    // First bit, of the 18, of what an address means.
    function [4:0] first(input [3:0] place);
        first = {2'b00, place[2:0]} + (place[3] ? 5'd9 : 5'd0);
    endfunction

    reg [17:0] memory[0:1023];
    reg [20479:0] image;
    integer word;
    initial begin
        // A variable, because Icarus makes a constant anew wherever it is used.
        image = {
            INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
            INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
            INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
            INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
            INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
            INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
            INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
            INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
        };
        for (word = 0; word < 1024; word = word + 1) memory[word] = image[20*word+:18];
    end

    wire [13:0] address_a = {
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
    };
    wire enable_a = CEA && {CSA2, CSA1, CSA0} == SELECT_A;
    wire writes_a = enable_a && WEA && !RSTA;
    wire reads_a = enable_a && (!WEA || WRITEMODE_A == "READBEFOREWRITE");
    wire [4:0] first_a = first(address_a[3:0] & PLACES_A);
    wire [17:0] write_a = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
        DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0
    };
    wire [17:0] written_a = DATA_WIDTH_A == 18 ? {{9{address_a[1]}}, {9{address_a[0]}}} : BITS_A << first_a;
    reg [17:0] latch_a = 0;
    reg [17:0] register_a = 0;

    always @(posedge CLKA) begin
        if (writes_a)
            memory[address_a[13:4]] <= memory[address_a[13:4]] & ~written_a | write_a << first_a & written_a;
        if (RSTA) latch_a <= 0;
        else if (reads_a) latch_a <= memory[address_a[13:4]] >> first_a & BITS_A;
        if (RSTA) register_a <= 0;
        else if (OCEA) register_a <= latch_a;
        require(RESETMODE == "SYNC" || !RSTA, "RSTA");
    end

    wire [13:0] address_b = {
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
    };
    wire enable_b = CEB && {CSB2, CSB1, CSB0} == SELECT_B;
    wire [4:0] first_b = first(address_b[3:0] & PLACES_B);
    wire same_place = ((address_a ^ address_b) & {10'h3FF, PLACES_A & PLACES_B}) == 0;
    reg [17:0] latch_b = 0;
    reg [17:0] register_b = 0;

    always @(posedge CLKB) begin
        if (RSTB) latch_b <= 0;
        else if (enable_b) begin
            if (writes_a && same_place) latch_b <= 18'bx;
            else latch_b <= memory[address_b[13:4]] >> first_b & BITS_B;
        end
        if (RSTB) register_b <= 0;
        else if (OCEB) register_b <= latch_b;
        require(!WEB, "WEB");
        require(RESETMODE == "SYNC" || !RSTB, "RSTB");
    end

    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
        DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0
    } = REGMODE_A == "NOREG" ? latch_a : register_a;
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
        DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
    } = REGMODE_B == "NOREG" ? latch_b : register_b;

    task require(input modelled, input [8*20-1:0] name);
        if (!modelled) begin
            $display("error: %m: this %0s of DP16KD is not modelled", name);
            $finish;
        end
    endtask

    initial begin
        require(DATA_WIDTH_A == 18 || places(DATA_WIDTH_A) != 0, "DATA_WIDTH_A");
        require(DATA_WIDTH_B == 18 || places(DATA_WIDTH_B) != 0, "DATA_WIDTH_B");
        require(REGMODE_A == "NOREG" || REGMODE_A == "OUTREG", "REGMODE_A");
        require(REGMODE_B == "NOREG" || REGMODE_B == "OUTREG", "REGMODE_B");
        require(RESETMODE == "SYNC" || RESETMODE == "ASYNC", "RESETMODE");
        require(CSDECODE_A[39:24] == "0b", "CSDECODE_A");
        require(CSDECODE_B[39:24] == "0b", "CSDECODE_B");
        require(WRITEMODE_A == "NORMAL" || WRITEMODE_A == "READBEFOREWRITE", "WRITEMODE_A");
        require(CLKAMUX == "CLKA", "CLKAMUX");
        require(CLKBMUX == "CLKB", "CLKBMUX");
        require(INIT_DATA == "STATIC", "INIT_DATA");
    end
endmodule
