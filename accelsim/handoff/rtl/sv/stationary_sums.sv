// array_ws with its accumulators, behind ROWS registers where the stationary operand shifts in ahead of what streams: STAY_BITS wide codes
// stay, STREAM_BITS wide ones stream.
module stationary_sums
  import config_pkg::*;
#(
    parameter int STAY_BITS   = 8,
    parameter int STREAM_BITS = 8
) (
    input  logic                                        clk,
    input  logic                                        stay_first,
    input  logic [COLS-1:0][PRODUCTS*STAY_BITS-1:0]     stay,
    input  logic                                        enter,
    input  logic                                        enter_swap,
    input  logic                                        enter_last,
    input  logic                                        enter_first,
    input  logic [COLS-1:0][ADDR_BITS-1:0]              sum_address,
    input  logic [COLS-1:0]                             column_used,
    input  logic [ROWS-1:0][PRODUCTS*STREAM_BITS-1:0]   stream,
    input  logic [COLS-1:0][ACC_BITS-1:0]               bias,
    output logic                                        fold_done,
    input  logic [REQUANTIZER_LANES-1:0][ADDR_BITS-1:0] read_address,
    output logic [REQUANTIZER_LANES-1:0][ACC_BITS-1:0]  read_data
);
  typedef struct packed {
    logic                             enter, swap, last, first;
    logic [COLS-1:0][ADDR_BITS-1:0]   address;
    logic [COLS-1:0]                  columns;
    logic [ROWS-1:0][PRODUCTS*STREAM_BITS-1:0] stream;
    logic [COLS-1:0][ACC_BITS-1:0]    bias;
  } vector_t;
  vector_t early, late;
  assign early = '{
      enter: enter, swap: enter_swap, last: enter_last, first: enter_first, address: sum_address,
      columns: column_used, stream: stream, bias: bias
  };
  delay #(.BITS($bits(vector_t)), .STAGES(OVERLAPPED ? ROWS : 0)) u_behind (.clk, .early, .late);
  localparam int PSUM_BITS = STAY_BITS + STREAM_BITS + $clog2(ROWS * PRODUCTS) + 1;
  logic [COLS-1:0] write, first;
  logic [COLS-1:0][ADDR_BITS-1:0] address;
  logic [COLS-1:0][ACC_BITS-1:0] starts;
  logic [COLS-1:0][PSUM_BITS-1:0] sums;
  array_ws #(
      .ROWS(ROWS), .COLS(COLS), .WEIGHT_BITS(STAY_BITS), .ACTIVATION_BITS(STREAM_BITS), .ACC_BITS(ACC_BITS),
      .ADDR_BITS(ADDR_BITS), .STAGES(STAGES), .PRODUCTS(PRODUCTS), .PSUM_BITS(PSUM_BITS)
  ) u_array (
      .clk, .weight_first(stay_first), .weights(stay), .enter(late.enter), .enter_swap(late.swap), .enter_last(late.last),
      .enter_first(late.first), .enter_address(late.address), .enter_columns(late.columns), .activations(late.stream),
      .bias(late.bias), .done(fold_done), .write, .first, .address, .starts, .sums
  );
  accumulators #(
      .PORTS(COLS), .PSUM_BITS(PSUM_BITS), .ACC_BITS(ACC_BITS), .WORDS(ACCUMULATORS), .READS(REQUANTIZER_LANES)
  ) u_accumulators (.clk, .policy(POLICY), .write, .first, .address, .bias(starts), .psum(sums), .read_address, .read_data);
endmodule
