// One column's accumulators: word[address] <= fit((first ? bias : word[address]) + psum), one addition per fold and pixel.
module accumulators #(
    parameter int PSUM_BITS = 20,
    parameter int ACC_BITS  = 32,
    parameter int ADDR_BITS = 8
) (
    input  logic                        clk,
    input  logic        [1:0]           policy,
    input  logic                        write,
    input  logic                        first,
    input  logic        [ADDR_BITS-1:0] address,
    input  logic signed [ACC_BITS-1:0]  bias,
    input  logic signed [PSUM_BITS-1:0] psum,
    input  logic        [ADDR_BITS-1:0] read_address,
    output logic signed [ACC_BITS-1:0]  read_data
);
  localparam int SUM_BITS = ((ACC_BITS > PSUM_BITS) ? ACC_BITS : PSUM_BITS) + 1;

  logic signed [ACC_BITS-1:0] words[2**ADDR_BITS];
  logic signed [ACC_BITS-1:0] start, next;
  logic signed [SUM_BITS-1:0] total;

  assign start     = first ? bias : words[address];
  assign total     = SUM_BITS'(start) + SUM_BITS'(psum);
  assign read_data = words[read_address];

  fit #(.IN_BITS(SUM_BITS), .OUT_BITS(ACC_BITS)) u_fit (.policy, .value(total), .held(next));

  always_ff @(posedge clk) if (write) words[address] <= next;
endmodule
