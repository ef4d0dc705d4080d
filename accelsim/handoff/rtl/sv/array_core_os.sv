// Output-stationary compute engine: buffers of both operands, feeder, array and accumulators.
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
  logic fold_done, step, step_first, step_last, tile_last, tile_done, fold_first, fold_ends, fold_begins;
  logic [ROWS-1:0] fold_rows;
  logic [ROWS*PRODUCTS-1:0] input_used;
  logic [COLS-1:0] fold_columns;
  int_t fold_address, fold_row_step, first_bias, weight_step, zero_point;
  int_t [PRODUCTS-1:0] weight_address;
  logic [PRODUCTS-1:0] weight_used;
  int_t [ROWS*PRODUCTS-1:0] input_address;
  sum_feeder #(
      .COUNT(COMPUTE_COUNT), .ROWS(ROWS), .COLS(COLS), .PRODUCTS(PRODUCTS), .BEHIND(BEHIND), .BY_TAP(BY_TAP),
      .TILE_ISSUE(TILE_ISSUE), .FOLD_ISSUE(FOLD_ISSUE),
      .FILE("images/compute.hex")
  ) u_feeder (
      .clk, .rst, .over, .fold_done, .started, .freed, .step, .step_first, .step_last, .tile_last, .fold_first, .fold_ends, .fold_begins, .fold_rows,
      .fold_columns, .fold_address, .fold_row_step, .bias_address(first_bias), .weight_address, .weight_used, .weight_step,
      .input_address, .input_used, .zero_point
  );

  int_t [COLS*PRODUCTS-1:0] weight_addresses;
  logic [COLS*PRODUCTS-1:0][WEIGHT_WORD-1:0] weight_codes;
  logic [COLS-1:0][PRODUCTS-1:0][WEIGHT_BITS-1:0] weights;
  logic [COLS-1:0][ADDR_BITS-1:0] sum_address;
  always_comb
    for (int c = 0; c < COLS; c++) begin
      bias_address[c] = first_bias + c;
      zero_address[c] = bias_address[c];
      sum_address[c] = ADDR_BITS'(fold_address + c);
      for (int i = 0; i < PRODUCTS; i++) weight_addresses[c*PRODUCTS+i] = weight_address[i] + c * weight_step;
    end
  always_comb
    for (int c = 0; c < COLS; c++)
      for (int i = 0; i < PRODUCTS; i++)
        weights[c][i] = (fold_columns[c] && weight_used[i]) ? weight_of(weight_codes[c*PRODUCTS+i], weight_zero[c]) : '0;
  element_memory #(.BITS(WEIGHT_WORD), .WORDS(WEIGHT_WORDS), .WRITERS(2), .LANES(WEIGHT_LANES), .READS(COLS * PRODUCTS)) u_weights (
      .clk, .write_count(weight_count), .write_address(weight_write), .write_data(weight_in),
      .read_address(weight_addresses), .read_data(weight_codes)
  );

  // The zero point goes off in front of the array; padding is nothing there.
  logic [ROWS*PRODUCTS-1:0][ACTIVATION_WORD-1:0] codes;
  logic [ROWS*PRODUCTS-1:0][ACTIVATION_BITS-1:0] activations;
  always_comb
    for (int r = 0; r < ROWS * PRODUCTS; r++)
      activations[r] = input_used[r] ? ACTIVATION_BITS'(int_t'($signed(codes[r])) - zero_point) : '0;
  element_memory #(
      .BITS(ACTIVATION_WORD), .WORDS(ACTIVATION_WORDS), .WRITERS(2), .LANES(ACTIVATION_LANES), .READS(ROWS * PRODUCTS)
  ) u_activations (
      .clk, .write_count(activation_count), .write_address(activation_write), .write_data(activation_in),
      .read_address(input_address), .read_data(codes)
  );

  logic [COLS-1:0] write;
  logic [COLS-1:0][ADDR_BITS-1:0] address, start_address;
  logic [COLS-1:0][ACC_BITS-1:0] sums, start_data;
  array_os #(
      .ROWS(ROWS), .COLS(COLS), .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS),
      .ADDR_BITS(ADDR_BITS), .STAGES(STAGES), .PRODUCTS(PRODUCTS)
  ) u_array (
      .clk, .rst, .policy(POLICY), .step, .step_first(step && step_first), .step_last(step && step_last), .fold_first, .fold_rows,
      .fold_columns, .fold_address(sum_address), .fold_row_step(ADDR_BITS'(fold_row_step)), .bias, .weights, .activations,
      .start_address, .start_data, .write, .address, .sums, .done(fold_done)
  );
  // Sums have been fitted in the array.
  accumulators #(
      .PORTS(COLS), .PSUM_BITS(1), .ACC_BITS(ACC_BITS), .WORDS(ACCUMULATORS), .READS(COLS + REQUANTIZER_LANES)
  ) u_accumulators (
      .clk, .policy(POLICY), .write, .first('1), .address, .bias(sums), .psum('0),
      .read_address({start_address, read_address}), .read_data({start_data, read_data})
  );
  // The last sum of a fold is written so many cycles behind its last step.
  delay #(.BITS(1), .STAGES(ROWS + COLS - 2 + STAGES)) u_tile_done (.clk, .early(tile_last && step), .late(tile_done));
  // A row is written whole when its last column is; the others follow, one a cycle.
  logic [ROWS-1:0] rows_close, rows_closing, rows_closed;
  delay #(.BITS(ROWS + 1), .STAGES(COLS - 1 + STAGES)) u_vector (
      .clk, .early({fold_begins, fold_ends ? fold_rows : '0} & {(ROWS + 1){step && step_last && !rst}}),
      .late({vector_first, rows_close})
  );
  assign rows_closing = (rows_close != '0) ? rows_close : rows_closed;
  assign vector = rows_closing[0];
  always_ff @(posedge clk) rows_closed <= rows_closing >> 1;
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{fold_address, fold_row_step};
  // verilator lint_on UNUSEDSIGNAL
  assign finished = BEHIND ? fold_done && tile_done : freed;
endmodule
