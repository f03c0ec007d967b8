// For Yosys' techmap: products with a constant as sums of shifted operands, where products are narrow.
// All others stay as they are. Both operands of a product are signed, or none is.

(* techmap_celltype = "$mul" *)
module constant_product (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter [A_WIDTH-1:0] _TECHMAP_CONSTMSK_A_ = 0;
    parameter [B_WIDTH-1:0] _TECHMAP_CONSTMSK_B_ = 0;
    localparam NARROW = 26;
    localparam A_CONSTANT = &_TECHMAP_CONSTMSK_A_;

    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;

    wire _TECHMAP_FAIL_ = Y_WIDTH > NARROW || !(A_CONSTANT || &_TECHMAP_CONSTMSK_B_);

    wire [Y_WIDTH-1:0] a = {{Y_WIDTH{A_SIGNED && A[A_WIDTH-1]}}, A};
    wire [Y_WIDTH-1:0] b = {{Y_WIDTH{B_SIGNED && B[B_WIDTH-1]}}, B};
    wire [Y_WIDTH-1:0] factor = A_CONSTANT ? a : b;
    wire [Y_WIDTH-1:0] operand = A_CONSTANT ? b : a;
    wire [Y_WIDTH*(Y_WIDTH+1)-1:0] sums;

    assign sums[Y_WIDTH-1:0] = 0;
    assign Y = sums[Y_WIDTH*(Y_WIDTH+1)-1:Y_WIDTH*Y_WIDTH];
    genvar bit;
    generate
        for (bit = 0; bit < Y_WIDTH; bit = bit + 1) begin : places
            assign sums[Y_WIDTH*(bit+2)-1:Y_WIDTH*(bit+1)] =
                sums[Y_WIDTH*(bit+1)-1:Y_WIDTH*bit] + (factor[bit] ? operand << bit : {Y_WIDTH{1'b0}});
        end
    endgenerate
endmodule
