// Input-stationary compute engine: the weight-stationary array with its operands exchanged, buffers, feeder, accumulators.
module array_core
  import isa_pkg::*;
  import config_pkg::*;
(
    input  logic                                                   clk,
    input  logic                                                   rst,
    input  counts_t                                                over,
    output logic                                                   started,
    output logic                                                   freed,
    output logic                                                   finished,
    output logic                                                   vector,        // finished sums are written at this edge
    output logic                                                   vector_first,  // the first ones of a tile
    output int_t [ZERO_LANES-1:0]                                  zero_address,  // of the zero points of weights
    // verilator lint_off UNUSEDSIGNAL
    input  logic [ZERO_LANES-1:0][WEIGHT_WORD-1:0]                 weight_zero,
    // verilator lint_on UNUSEDSIGNAL
    output int_t [COLS-1:0]                                        bias_address,
    input  logic [COLS-1:0][ACC_BITS-1:0]                          bias,
    input  int_t [1:0]                                             activation_count,
    input  int_t [1:0]                                             activation_write,
    input  logic [1:0][ACTIVATION_LANES-1:0][ACTIVATION_WORD-1:0]  activation_in,
    input  int_t [1:0]                                             weight_count,
    input  int_t [1:0]                                             weight_write,
    input  logic [1:0][WEIGHT_LANES-1:0][WEIGHT_WORD-1:0]          weight_in,
    input  logic [REQUANTIZER_LANES-1:0][ADDR_BITS-1:0]            read_address,
    output logic [REQUANTIZER_LANES-1:0][ACC_BITS-1:0]             read_data
);
  // The zero point of a weight goes off in front of the array, too.
  function automatic logic [WEIGHT_BITS-1:0] weight_of(logic [WEIGHT_WORD-1:0] code, logic [WEIGHT_WORD-1:0] zero);
    return WEIGHT_BITS'(int_t'($signed(code)) - (WEIGHT_ZEROS ? int_t'($signed(zero)) : 0));
  endfunction
  logic fold_done, input_first, enter, enter_swap, enter_last, enter_first, enter_ends, enter_begins;
  int_t [COLS*PRODUCTS-1:0] input_address;
  logic [COLS*PRODUCTS-1:0] input_used;
  int_t [COLS-1:0] enter_address;
  logic [COLS-1:0] column_used;
  int_t [ROWS*PRODUCTS-1:0] weight_addresses;
  logic [ROWS*PRODUCTS-1:0] weight_used;
  int_t zero_point;
  input_feeder #(
      .COUNT(COMPUTE_COUNT), .ROWS(ROWS), .COLS(COLS), .PRODUCTS(PRODUCTS), .OVERLAPPED(OVERLAPPED), .BEHIND(BEHIND), .BY_TAP(BY_TAP),
      .TILE_ISSUE(TILE_ISSUE), .FOLD_ISSUE(FOLD_ISSUE),
      .FILE("images/compute.hex")
  ) u_feeder (
      .clk, .rst, .over, .fold_done, .started, .freed, .input_first, .input_address, .input_used, .enter, .enter_swap, .enter_last,
      .enter_first, .enter_ends, .enter_begins, .enter_address, .bias_address, .column_used, .weight_address(weight_addresses), .weight_used,
      .weight_channel(zero_address), .zero_point
  );

  logic [ROWS*PRODUCTS-1:0][WEIGHT_WORD-1:0] weight_codes;
  logic [ROWS*PRODUCTS-1:0][WEIGHT_BITS-1:0] filters;
  always_comb
    for (int r = 0; r < ROWS * PRODUCTS; r++) filters[r] = weight_used[r] ? weight_of(weight_codes[r], weight_zero[r]) : '0;
  element_memory #(.BITS(WEIGHT_WORD), .WORDS(WEIGHT_WORDS), .WRITERS(2), .LANES(WEIGHT_LANES), .READS(ROWS * PRODUCTS)) u_weights (
      .clk, .write_count(weight_count), .write_address(weight_write), .write_data(weight_in),
      .read_address(weight_addresses), .read_data(weight_codes)
  );

  // The zero point goes off in front of the array; padding is nothing there.
  logic [COLS*PRODUCTS-1:0][ACTIVATION_WORD-1:0] codes;
  logic [COLS*PRODUCTS-1:0][ACTIVATION_BITS-1:0] inputs;
  logic [COLS-1:0][ADDR_BITS-1:0] sum_address;
  always_comb
    for (int i = 0; i < COLS * PRODUCTS; i++)
      inputs[i] = input_used[i] ? ACTIVATION_BITS'(int_t'($signed(codes[i])) - zero_point) : '0;
  always_comb for (int c = 0; c < COLS; c++) sum_address[c] = ADDR_BITS'(enter_address[c]);
  element_memory #(
      .BITS(ACTIVATION_WORD), .WORDS(ACTIVATION_WORDS), .WRITERS(2), .LANES(ACTIVATION_LANES), .READS(COLS * PRODUCTS)
  ) u_activations (
      .clk, .write_count(activation_count), .write_address(activation_write), .write_data(activation_in),
      .read_address(input_address), .read_data(codes)
  );

  stationary_sums #(.STAY_BITS(ACTIVATION_BITS), .STREAM_BITS(WEIGHT_BITS)) u_sums (
      .clk, .stay_first(input_first), .stay(inputs), .enter, .enter_swap, .enter_last, .enter_first, .sum_address, .column_used,
      .stream(filters), .bias, .fold_done, .read_address, .read_data
  );
  // A vector is written whole when its last column is.
  delay #(.BITS(2), .STAGES((OVERLAPPED ? ROWS : 0) + ROWS + COLS - 2 + STAGES)) u_vector (
      .clk, .early({enter_ends, enter_begins} & {2{!rst}}), .late({vector, vector_first})
  );
  assign finished = (OVERLAPPED || BEHIND) ? fold_done : freed;
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^enter_address;
  // verilator lint_on UNUSEDSIGNAL
endmodule
