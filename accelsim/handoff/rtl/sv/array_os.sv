// Output-stationary systolic array: pixels over rows, channels over columns, the reduction over cycles, PRODUCTS of it in each. Sums start at
// what stands on their column's bus and leave by another, a row per cycle each, while operands come in.
//
//   fold:  acc[r][c] <= fit((first step ? start : acc[r][c]) + the PRODUCTS activations[r][k] * weights[k][c] of a step); a sum leaves as it
//          takes its last ones
//   cycle: step k of a fold that enters from cycle s on reaches MAC (r, c) in cycle s + k + r + c. Two rows of a column never meet on a
//          bus where folds enter ROWS cycles apart or more. The last sum of so many steps is written by the end of cycle number
//          steps + ROWS + COLS - 2 + STAGES of the fold, counted from 1.
module array_os #(
    parameter int ROWS            = 4,
    parameter int COLS            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int ADDR_BITS       = 8,
    parameter int STAGES          = 0,
    parameter int PRODUCTS        = 1   // of one sum in each MAC unit and cycle, added at once
) (
    input  logic                                 clk,
    input  logic                                 rst,
    input  logic [1:0]                           policy,
    input  logic                                 step,           // operands of one element of the reduction enter
    input  logic                                 step_first,
    input  logic                                 step_last,
    input  logic                                 fold_first,     // with the first step: its sums start at the bias
    input  logic [ROWS-1:0]                      fold_rows,      // rows that have pixels
    input  logic [COLS-1:0]                      fold_columns,   // columns that have channels
    input  logic [COLS-1:0][ADDR_BITS-1:0]       fold_address,   // of the sums of row 0
    input  logic [ADDR_BITS-1:0]                 fold_row_step,  // to those of the next row
    input  logic [COLS-1:0][ACC_BITS-1:0]        bias,
    input  logic [COLS-1:0][PRODUCTS*WEIGHT_BITS-1:0] weights,
    input  logic [ROWS-1:0][PRODUCTS*ACTIVATION_BITS-1:0] activations,
    output logic [COLS-1:0][ADDR_BITS-1:0]       start_address,  // of the words at which sums start
    input  logic [COLS-1:0][ACC_BITS-1:0]        start_data,
    output logic [COLS-1:0]                      write,
    output logic [COLS-1:0][ADDR_BITS-1:0]       address,
    output logic [COLS-1:0][ACC_BITS-1:0]        sums,
    output logic                                 done            // the last sum of a fold is written at this edge
);
  localparam int LEFT_BITS = PRODUCTS * ACTIVATION_BITS + 3;
  localparam int TOP_BITS = PRODUCTS * WEIGHT_BITS;
  typedef struct packed {
    logic                 first;      // the sums start at the bias
    logic [ROWS-1:0]      rows;
    logic                 used;
    logic [ADDR_BITS-1:0] address;
    logic [ADDR_BITS-1:0] row_step;
    logic [ACC_BITS-1:0]  bias;
  } fold_t;

  logic [ROWS-1:0][LEFT_BITS-1:0] left_in, left;
  logic [COLS-1:0][TOP_BITS-1:0] top;
  for (genvar r = 0; r < ROWS; r++) begin : g_left
    assign left_in[r] = {step, step_first, step_last, activations[r]};
  end
  skew #(.LANES(ROWS), .BITS(LEFT_BITS)) u_left (.clk, .straight(left_in), .skewed(left));
  skew #(.LANES(COLS), .BITS(TOP_BITS)) u_top (.clk, .straight(weights), .skewed(top));

  logic [ROWS-1:0][COLS:0][LEFT_BITS-1:0] across;
  logic [ROWS:0][COLS-1:0][TOP_BITS-1:0] down;
  logic [COLS-1:0][ROWS-1:0][ACC_BITS-1:0] next;
  logic [COLS-1:0][ROWS-1:0] wrote;
  logic [COLS-1:0][ACC_BITS-1:0] starts;
  for (genvar c = 0; c < COLS; c++) begin : g_top
    assign down[0][c] = top[c];
  end
  for (genvar r = 0; r < ROWS; r++) begin : g_row
    assign across[r][0] = left[r];
    for (genvar c = 0; c < COLS; c++) begin : g_col
      logic [ACC_BITS-1:0] held;
      pe_os #(
          .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS), .STAGES(STAGES), .PRODUCTS(PRODUCTS)
      ) u_pe (
          .clk, .policy,
          .left_in(across[r][c]), .left_out(across[r][c+1]),
          .weight_in(down[r][c]), .weight_out(down[r+1][c]),
          .bias(starts[c]), .acc(held), .sum(next[c][r]), .wrote_last(wrote[c][r])
      );
      // verilator lint_off UNUSEDSIGNAL
      logic unused;
      assign unused = ^held;
      // verilator lint_on UNUSEDSIGNAL
    end
  end

  // What is known of a fold follows its first and its last step, a column per cycle; then it passes one row per cycle.
  for (genvar c = 0; c < COLS; c++) begin : g_bus
    fold_t fold, opens, closes, opened, closed, starting, leaving;
    logic open, close;
    assign fold = '{
        first: fold_first, rows: fold_rows, used: fold_columns[c], address: fold_address[c], row_step: fold_row_step, bias: bias[c]
    };
    delay #(.BITS($bits(fold_t) + 1), .STAGES(c + STAGES)) u_open (
        .clk, .early({step && step_first && !rst, fold}), .late({open, opens})
    );
    delay #(.BITS($bits(fold_t) + 1), .STAGES(c + STAGES)) u_close (
        .clk, .early({step && step_last && !rst, fold}), .late({close, closes})
    );
    assign starting = open ? opens : opened;
    assign leaving = close ? closes : closed;
    assign start_address[c] = starting.address;
    assign starts[c] = starting.first ? starting.bias : start_data[c];
    always_ff @(posedge clk) begin
      opened <= starting;
      opened.address <= starting.address + starting.row_step;
      closed <= leaving;
      closed.address <= leaving.address + leaving.row_step;
      closed.rows <= leaving.rows >> 1;
    end
    assign write[c] = |wrote[c] && leaving.rows[0] && leaving.used;
    assign address[c] = leaving.address;
    always_comb begin
      sums[c] = '0;
      for (int r = 0; r < ROWS; r++) if (wrote[c][r]) sums[c] = sums[c] | next[c][r];
    end
    // verilator lint_off UNUSEDSIGNAL
    logic unused;
    assign unused = ^{starting.rows, starting.used, leaving.bias, leaving.first};
    // verilator lint_on UNUSEDSIGNAL
  end
  assign done = wrote[COLS-1][ROWS-1];
  // verilator lint_off UNUSEDSIGNAL
  logic unused_ends;
  assign unused_ends = ^{down[ROWS], across};
  // verilator lint_on UNUSEDSIGNAL
endmodule
