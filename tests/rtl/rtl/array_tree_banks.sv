// array_tree with accumulators of its own for each column.
module array_tree_banks #(
    parameter int ROWS            = 4,
    parameter int COLS            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int ADDR_BITS       = 8,
    parameter int STAGES          = 0
) (
    input  logic                                 clk,
    input  logic [1:0]                           policy,
    input  logic [ROWS-1:0][COLS-1:0][WEIGHT_BITS-1:0] weights,
    input  logic                                 enter,
    input  logic                                 enter_last,
    input  logic                                 enter_first,
    input  logic [ADDR_BITS-1:0]                 enter_address,
    input  logic [ROWS-1:0][ACTIVATION_BITS-1:0] activations,
    input  logic [COLS-1:0][ACC_BITS-1:0]        bias,
    output logic                                 done,
    input  logic [ADDR_BITS-1:0]                 read_address,
    output logic [COLS-1:0][ACC_BITS-1:0]        read_data
);
  localparam int PSUM_BITS = WEIGHT_BITS + ACTIVATION_BITS + $clog2(ROWS);
  logic [COLS-1:0] write, first;
  logic [COLS-1:0][ADDR_BITS-1:0] address;
  logic [COLS-1:0][ACC_BITS-1:0] starts;
  logic [COLS-1:0][PSUM_BITS-1:0] sums;
  array_tree #(
      .ROWS(ROWS), .COLS(COLS), .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS),
      .ADDR_BITS(ADDR_BITS), .STAGES(STAGES), .TREE_BITS(PSUM_BITS)
  ) u_array (
      .clk, .weights, .enter, .enter_last, .enter_first, .enter_address({COLS{enter_address}}), .enter_columns('1),
      .activations({COLS{activations}}), .bias, .done, .write, .first, .address, .starts, .sums
  );
  for (genvar c = 0; c < COLS; c++) begin : g_bank
    accumulators #(.PSUM_BITS(PSUM_BITS), .ACC_BITS(ACC_BITS), .WORDS(2 ** ADDR_BITS)) u_bank (
        .clk, .policy, .write(write[c]), .first(first[c]), .address(address[c]), .bias(starts[c]), .psum(sums[c]),
        .read_address, .read_data(read_data[c])
    );
  end
endmodule
