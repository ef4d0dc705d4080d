// Output-stationary systolic array: pixels over rows, channels over columns, the reduction over cycles.
//
//   fold:  acc[r][c] <= fit((first ? bias[c] : acc[r][c]) + activation[r][k] * weight[k][c]), one product per addition
//   cycle: step k enters in cycle k; MAC (r, c) works on it in cycle k + r + c, so the last accumulator of `reduction` steps
//          is written by the end of cycle number reduction + ROWS + COLS - 2 + STAGES, counted from 1.
module array_os_steps #(
    parameter int ROWS            = 4,
    parameter int COLS            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int STAGES          = 0,
    parameter int ROW_BITS        = $clog2(ROWS)
) (
    input  logic                                 clk,
    input  logic [1:0]                           policy,
    input  logic                                 step,        // operands of one element of the reduction enter
    input  logic                                 step_first,
    input  logic                                 step_last,
    input  logic [COLS-1:0][WEIGHT_BITS-1:0]     weights,
    input  logic [ROWS-1:0][ACTIVATION_BITS-1:0] activations,
    input  logic [COLS-1:0][ACC_BITS-1:0]        bias,        // held while the fold runs
    output logic                                 done,        // the last accumulator of a fold is written at this edge
    input  logic [ROW_BITS-1:0]                  read_row,
    output logic [COLS-1:0][ACC_BITS-1:0]        read_data
);
  localparam int LEFT_BITS = ACTIVATION_BITS + 3;
  logic [ROWS-1:0][LEFT_BITS-1:0] left_in, left;
  logic [COLS-1:0][WEIGHT_BITS-1:0] top;
  for (genvar r = 0; r < ROWS; r++) begin : g_left
    assign left_in[r] = {step, step_first, step_last, activations[r]};
  end
  skew #(.LANES(ROWS), .BITS(LEFT_BITS)) u_left (.clk, .straight(left_in), .skewed(left));
  skew #(.LANES(COLS), .BITS(WEIGHT_BITS)) u_top (.clk, .straight(weights), .skewed(top));

  logic        [LEFT_BITS-1:0]       across[ROWS][COLS+1];
  logic signed [WEIGHT_BITS-1:0]     down  [ROWS+1][COLS];
  logic        [COLS-1:0][ACC_BITS-1:0] acc[ROWS];
  logic                       wrote_last[ROWS][COLS];

  for (genvar c = 0; c < COLS; c++) begin : g_top
    assign down[0][c] = top[c];
  end
  for (genvar r = 0; r < ROWS; r++) begin : g_row
    assign across[r][0] = left[r];
    for (genvar c = 0; c < COLS; c++) begin : g_col
      logic signed [ACC_BITS-1:0] held, next;
      pe_os #(.WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS), .STAGES(STAGES)) u_pe (
          .clk, .policy,
          .left_in(across[r][c]), .left_out(across[r][c+1]),
          .weight_in(down[r][c]), .weight_out(down[r+1][c]),
          .bias(bias[c]), .acc(held), .sum(next), .wrote_last(wrote_last[r][c])
      );
      assign acc[r][c] = held;
    end
  end
  assign read_data = acc[read_row];
  assign done = wrote_last[ROWS-1][COLS-1];
endmodule
