// Adder-tree compute engine: buffers of both operands, feeder, array and accumulators.
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
  logic fold_done, tile_last, weight_first, enter, enter_swap, enter_last, enter_first, enter_ends, enter_begins;
  logic weight_used;
  int_t weight_k, weight_group, weight_address, enter_address, reduction, first_bias, zero_point;
  int_t [COLS-1:0] column_group, column_offset;
  logic [COLS-1:0] column_used;
  int_t [ROWS-1:0] input_address, row_k, row_group;
  logic [ROWS-1:0] input_used, row_used;
  fold_feeder #(
      .COUNT(COMPUTE_COUNT), .ROWS(ROWS), .COLS(COLS), .SHIFTS(1'b0), .BY_TAP(BY_TAP), .STEP(STEP_FOLDS), .STRIPE(STRIPE_PIXELS),
      .TILE_ISSUE(TILE_ISSUE), .FOLD_ISSUE(FOLD_ISSUE),
      .FILE("images/compute.hex")
  ) u_feeder (
      .clk, .rst, .over, .fold_done, .started, .freed, .tile_last, .weight_first, .weight_k, .weight_group, .weight_used,
      .weight_address, .enter, .enter_swap, .enter_last, .enter_first, .enter_ends, .enter_begins, .enter_address, .column_group, .column_used, .column_offset,
      .reduction, .bias_address(first_bias), .input_address, .input_used, .row_k, .row_group, .row_used, .zero_point
  );

  // All weights of a fold at once, as registers would have them that are filled while the fold before runs.
  int_t [ROWS*COLS-1:0] weight_addresses;
  logic [ROWS*COLS-1:0][WEIGHT_WORD-1:0] weight_codes;
  logic [ROWS-1:0][COLS-1:0][WEIGHT_BITS-1:0] weights;
  logic [COLS-1:0][ADDR_BITS-1:0] sum_address;
  always_comb
    for (int c = 0; c < COLS; c++) begin
      bias_address[c] = first_bias + c;
      zero_address[c] = bias_address[c];
      sum_address[c] = ADDR_BITS'(enter_address + c);
      for (int r = 0; r < ROWS; r++) begin
        weight_addresses[r*COLS+c] = weight_address + c * reduction + row_k[r];
        weights[r][c] = (column_used[c] && row_used[r]) ? weight_of(weight_codes[r*COLS+c], weight_zero[c]) : '0;
      end
    end
  element_memory #(.BITS(WEIGHT_WORD), .WORDS(WEIGHT_WORDS), .WRITERS(2), .LANES(WEIGHT_LANES), .READS(ROWS * COLS)) u_weights (
      .clk, .write_count(weight_count), .write_address(weight_write), .write_data(weight_in),
      .read_address(weight_addresses), .read_data(weight_codes)
  );

  // The zero point goes off in front of the array; padding is nothing there.
  // All columns see the same activations, or each those of its group (BESIDE).
  localparam int VIEWS = BESIDE ? COLS : 1;
  int_t [VIEWS*ROWS-1:0] view_address;
  logic [VIEWS*ROWS-1:0][ACTIVATION_WORD-1:0] codes;
  logic [COLS-1:0][ROWS-1:0][ACTIVATION_BITS-1:0] activations;
  always_comb
    for (int v = 0; v < VIEWS; v++)
      for (int r = 0; r < ROWS; r++) view_address[v*ROWS+r] = input_address[r] + column_offset[v];
  always_comb
    for (int c = 0; c < COLS; c++)
      for (int r = 0; r < ROWS; r++)
        activations[c][r] = input_used[r] ? ACTIVATION_BITS'(int_t'($signed(codes[(BESIDE ? c : 0)*ROWS+r])) - zero_point) : '0;
  element_memory #(
      .BITS(ACTIVATION_WORD), .WORDS(ACTIVATION_WORDS), .WRITERS(2), .LANES(ACTIVATION_LANES), .READS(VIEWS * ROWS)
  ) u_activations (
      .clk, .write_count(activation_count), .write_address(activation_write), .write_data(activation_in),
      .read_address(view_address), .read_data(codes)
  );

  localparam int TREE_BITS = WEIGHT_BITS + ACTIVATION_BITS + $clog2(ROWS);
  logic [COLS-1:0] write, first;
  logic [COLS-1:0][ADDR_BITS-1:0] address;
  logic [COLS-1:0][ACC_BITS-1:0] starts;
  logic [COLS-1:0][TREE_BITS-1:0] sums;
  array_tree #(
      .ROWS(ROWS), .COLS(COLS), .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS),
      .ADDR_BITS(ADDR_BITS), .STAGES(STAGES), .TREE_BITS(TREE_BITS)
  ) u_array (
      .clk, .enter, .enter_last, .enter_first, .enter_address(sum_address), .enter_columns(column_used), .weights, .activations,
      .bias, .done(fold_done), .write, .first, .address, .starts, .sums
  );
  accumulators #(
      .PORTS(COLS), .PSUM_BITS(TREE_BITS), .ACC_BITS(ACC_BITS), .WORDS(ACCUMULATORS), .READS(REQUANTIZER_LANES)
  ) u_accumulators (.clk, .policy(POLICY), .write, .first, .address, .bias(starts), .psum(sums), .read_address, .read_data);
  // A vector is written whole when its last column is.
  delay #(.BITS(2), .STAGES(STAGES)) u_vector (
      .clk, .early({enter_ends, enter_begins} & {2{!rst}}), .late({vector, vector_first})
  );
  assign finished = fold_done;
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{tile_last, weight_first, weight_k, weight_group, weight_used, enter_swap, column_group, column_offset, row_group};
  // verilator lint_on UNUSEDSIGNAL
endmodule
