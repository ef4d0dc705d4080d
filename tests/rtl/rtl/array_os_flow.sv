// Output-stationary systolic array whose folds follow each other without a gap: pixels over rows, channels over columns, the
// reduction over cycles. A fold's sums leave by one bus per column, a row per cycle, while the operands of the next come in.
//
//   fold:  acc[r][c] <= fit((first ? bias[c] : acc[r][c]) + activation[r][k] * weight[k][c]), one product per addition
//   cycle: step k of a fold that enters from cycle s on reaches MAC (r, c) in cycle s + k + r + c; its sum stands on the column's bus
//          in the cycle behind its last addition. Two rows of a column never meet there where folds enter ROWS cycles apart or more.
//          The last sum of `reduction` steps is written by the end of cycle number reduction + ROWS + COLS - 2 + STAGES of the fold.
module array_os_flow #(
    parameter int ROWS            = 4,
    parameter int COLS            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int STAGES          = 0
) (
    input  logic                                 clk,
    input  logic [1:0]                           policy,
    input  logic                                 step,        // operands of one element of the reduction enter
    input  logic                                 step_first,
    input  logic                                 step_last,
    input  logic [COLS-1:0][WEIGHT_BITS-1:0]     weights,
    input  logic [ROWS-1:0][ACTIVATION_BITS-1:0] activations,
    input  logic [COLS-1:0][ACC_BITS-1:0]        bias,        // of the fold whose first step enters
    output logic [COLS-1:0]                      leaves,      // a sum stands on the column's bus
    output logic [COLS-1:0][ACC_BITS-1:0]        sums,
    output logic                                 clash,       // two sums of a column in one cycle: folds came too close
    output logic                                 done         // the last accumulator of a fold is written at this edge
);
  localparam int LEFT_BITS = ACTIVATION_BITS + 3;
  localparam int TOP_BITS = WEIGHT_BITS + ACC_BITS;
  logic [ROWS-1:0][LEFT_BITS-1:0] left_in, left;
  logic [COLS-1:0][TOP_BITS-1:0] top_in, top;
  for (genvar r = 0; r < ROWS; r++) begin : g_left
    assign left_in[r] = {step, step_first, step_last, activations[r]};
  end
  for (genvar c = 0; c < COLS; c++) begin : g_top_in
    assign top_in[c] = {bias[c], weights[c]};
  end
  skew #(.LANES(ROWS), .BITS(LEFT_BITS)) u_left (.clk, .straight(left_in), .skewed(left));
  skew #(.LANES(COLS), .BITS(TOP_BITS)) u_top (.clk, .straight(top_in), .skewed(top));

  logic        [LEFT_BITS-1:0]   across[ROWS][COLS+1];
  logic signed [WEIGHT_BITS-1:0] down  [ROWS+1][COLS];
  logic        [ACC_BITS-1:0]    starts[ROWS+1][COLS];
  logic        [ACC_BITS-1:0]    held  [ROWS][COLS];
  logic                          wrote [ROWS][COLS];
  logic        [ROWS-1:0]        ready [COLS];  // written at the edge before

  for (genvar c = 0; c < COLS; c++) begin : g_top
    assign {starts[0][c], down[0][c]} = top[c];
  end
  for (genvar r = 0; r < ROWS; r++) begin : g_row
    assign across[r][0] = left[r];
    for (genvar c = 0; c < COLS; c++) begin : g_col
      logic signed [ACC_BITS-1:0] acc, next, start_late;
      delay #(.BITS(ACC_BITS), .STAGES(STAGES)) u_start (.clk, .early(starts[r][c]), .late(start_late));
      pe_os #(.WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS), .STAGES(STAGES)) u_pe (
          .clk, .policy,
          .left_in(across[r][c]), .left_out(across[r][c+1]),
          .weight_in(down[r][c]), .weight_out(down[r+1][c]),
          .bias(start_late), .acc(acc), .sum(next), .wrote_last(wrote[r][c])
      );
      assign held[r][c] = acc;
      always_ff @(posedge clk) begin
        starts[r+1][c] <= starts[r][c];
        ready[c][r] <= wrote[r][c];
      end
    end
  end
  always_comb begin
    clash = 1'b0;
    for (int c = 0; c < COLS; c++) begin
      sums[c] = '0;
      for (int r = 0; r < ROWS; r++) if (ready[c][r]) sums[c] = sums[c] | held[r][c];
      leaves[c] = |ready[c];
      clash = clash | ((ready[c] & (ready[c] - 1'b1)) != '0);
    end
  end
  assign done = wrote[ROWS-1][COLS-1];
endmodule
