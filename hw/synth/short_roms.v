// Technology mapping: a read-only memory of at most 32 words becomes LUT6_2, two bits of a word in each.
//
// Both outputs of a LUT6_2 read the same five inputs. Yosys makes no such pairs itself, synthesis of vendors does.
(* techmap_celltype = "$mem_v2" *)
module short_rom (RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA, WR_CLK, WR_EN, WR_ADDR, WR_DATA);
  parameter MEMID = "";
  parameter SIZE = 0;
  parameter OFFSET = 0;
  parameter ABITS = 1;
  parameter WIDTH = 1;
  parameter INIT = 0;
  parameter RD_PORTS = 1;
  parameter RD_CLK_ENABLE = 0;
  parameter RD_CLK_POLARITY = 0;
  parameter RD_TRANSPARENCY_MASK = 0;
  parameter RD_COLLISION_X_MASK = 0;
  parameter RD_WIDE_CONTINUATION = 0;
  parameter RD_CE_OVER_SRST = 0;
  parameter RD_ARST_VALUE = 0;
  parameter RD_SRST_VALUE = 0;
  parameter RD_INIT_VALUE = 0;
  parameter WR_PORTS = 0;
  parameter WR_CLK_ENABLE = 0;
  parameter WR_CLK_POLARITY = 0;
  parameter WR_PRIORITY_MASK = 0;
  parameter WR_WIDE_CONTINUATION = 0;

  input RD_CLK, RD_EN, RD_ARST, RD_SRST;
  input [ABITS-1:0] RD_ADDR;
  output [WIDTH-1:0] RD_DATA;
  input WR_CLK, WR_EN, WR_ADDR, WR_DATA;

  // A memory with a register or a second port is left as it is.
  wire _TECHMAP_FAIL_ = RD_CLK_ENABLE != 0 || RD_PORTS != 1 || OFFSET != 0;
  wire [4:0] address = RD_ADDR;

  function [31:0] column(input integer place);
    integer word;
    begin
      column = 0;
      for (word = 0; word < SIZE; word = word + 1) column[word] = INIT[word * WIDTH + place];
    end
  endfunction

  genvar low;
  generate
    for (low = 0; low + 1 < WIDTH; low = low + 2) begin : pair
      localparam [31:0] even = column(low), odd = column(low + 1);
      LUT6_2 #(
          .INIT({odd, even})
      ) lut (
          .I0(address[0]),
          .I1(address[1]),
          .I2(address[2]),
          .I3(address[3]),
          .I4(address[4]),
          .I5(1'b1),
          .O5(RD_DATA[low]),
          .O6(RD_DATA[low+1])
      );
    end
    if (WIDTH % 2 == 1) begin : last
      localparam [31:0] words = column(WIDTH - 1);
      LUT5 #(
          .INIT(words)
      ) lut (
          .I0(address[0]),
          .I1(address[1]),
          .I2(address[2]),
          .I3(address[3]),
          .I4(address[4]),
          .O (RD_DATA[WIDTH-1])
      );
    end
  endgenerate
endmodule
