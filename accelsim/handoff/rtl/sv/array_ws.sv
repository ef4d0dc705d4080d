// Weight-stationary systolic array: reduction over rows, channels over columns. Its sums go to accumulators behind it.
//
//   fold:  acc[t][c] <= fit((first ? bias[c] : acc[t][c]) + sum over r of activation[t][r] * weight[r][c])
//   cycle: weights of row r enter in cycle r, vector t in cycle ROWS + t; MAC (r, c) works on it in cycle ROWS + t + r + c,
//          and the edge that ends the cycle of the last row writes the accumulator. Of `pixels` vectors the last word is
//          written by the end of cycle number 2 ROWS + COLS + pixels - 2 + STAGES, counted from 1 (SCALE-Sim, Samajdar et al. 2018).
//
// The bottom row drives the accumulators through STAGES registers; with none, the accumulator is its register. Every column has a port of
// its own there, whose address follows the staircase of the sums, so no words wait to be deskewed.
module array_ws #(
    parameter int ROWS            = 4,
    parameter int COLS            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int ADDR_BITS       = 8,
    parameter int STAGES          = 0,
    parameter int PRODUCTS        = 1,  // of one sum in each MAC unit
    parameter int PSUM_BITS       = WEIGHT_BITS + ACTIVATION_BITS + $clog2(ROWS * PRODUCTS) + 1
) (
    input  logic                                 clk,
    input  logic                                 weight_first,  // with the weights of row 0
    input  logic [COLS-1:0][PRODUCTS*WEIGHT_BITS-1:0] weights,       // one row per cycle, row 0 first
    input  logic                                 enter,        // a vector of activations enters
    input  logic                                 enter_swap,   // the first one under new weights
    input  logic                                 enter_last,   // the last one of its fold
    input  logic                                 enter_first,  // its accumulators start at the bias
    input  logic [COLS-1:0][ADDR_BITS-1:0]      enter_address,
    input  logic [COLS-1:0]                      enter_columns,  // that have sums
    input  logic [ROWS-1:0][PRODUCTS*ACTIVATION_BITS-1:0] activations,
    input  logic [COLS-1:0][ACC_BITS-1:0]        bias,
    output logic                                 done,          // the last accumulator of a fold is written at this edge
    output logic [COLS-1:0]                      write,
    output logic [COLS-1:0]                      first,
    output logic [COLS-1:0][ADDR_BITS-1:0]       address,
    output logic [COLS-1:0][ACC_BITS-1:0]        starts,
    output logic [COLS-1:0][PSUM_BITS-1:0]       sums
);
  typedef struct packed {
    logic                 write;
    logic                 last;
    logic                 first;
    logic [COLS-1:0][ADDR_BITS-1:0] address;
    logic [COLS-1:0] columns;
    logic [COLS-1:0][ACC_BITS-1:0] bias;
  } control_t;

  // Staircases: row r of the activations r cycles late, column c of the weights c cycles late.
  localparam int LEFT_BITS = PRODUCTS * ACTIVATION_BITS;
  localparam int TOP_BITS = PRODUCTS * WEIGHT_BITS;
  logic [ROWS-1:0][LEFT_BITS:0] left_in, left;
  logic [COLS-1:0][TOP_BITS:0] top_in, top;
  for (genvar r = 0; r < ROWS; r++) begin : g_left
    assign left_in[r] = {enter_swap, activations[r]};
  end
  for (genvar c = 0; c < COLS; c++) begin : g_top
    assign top_in[c] = {weight_first, weights[c]};
  end
  skew #(.LANES(ROWS), .BITS(LEFT_BITS + 1)) u_left (.clk, .straight(left_in), .skewed(left));
  skew #(.LANES(COLS), .BITS(TOP_BITS + 1)) u_top (.clk, .straight(top_in), .skewed(top));

  logic [TOP_BITS-1:0]     weight    [ROWS+1][COLS];
  logic                              capture   [ROWS+1][COLS];
  logic [LEFT_BITS-1:0] activation[ROWS][COLS+1];
  logic                              swap      [ROWS][COLS+1];
  logic signed [PSUM_BITS-1:0]       psum      [ROWS+1][COLS];
  logic signed [PSUM_BITS-1:0]       sum       [ROWS][COLS];

  for (genvar c = 0; c < COLS; c++) begin : g_column_in
    assign {capture[0][c], weight[0][c]} = top[c];
    assign psum[0][c] = '0;
  end
  for (genvar r = 0; r < ROWS; r++) begin : g_row
    assign {swap[r][0], activation[r][0]} = left[r];
    for (genvar c = 0; c < COLS; c++) begin : g_col
      pe_ws #(
          .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .PSUM_BITS(PSUM_BITS), .PRODUCTS(PRODUCTS)
      ) u_pe (
          .clk,
          .weight_in(weight[r][c]), .weight_out(weight[r+1][c]),
          .capture_in(capture[r][c]), .capture_out(capture[r+1][c]),
          .activation_in(activation[r][c]), .activation_out(activation[r][c+1]),
          .swap_in(swap[r][c]), .swap_out(swap[r][c+1]),
          .psum_in(psum[r][c]), .sum(sum[r][c]), .psum_out(psum[r+1][c])
      );
    end
  end

  // What goes with a vector to the accumulators: down the rows, then from column to column.
  control_t control[ROWS+COLS-1+STAGES];
  assign control[0] = '{
      write: enter, last: enter_last, first: enter_first, address: enter_address, columns: enter_columns, bias: bias
  };
  for (genvar i = 1; i < ROWS + COLS - 1 + STAGES; i++) begin : g_control
    always_ff @(posedge clk) control[i] <= control[i-1];
  end
  for (genvar c = 0; c < COLS; c++) begin : g_sums
    localparam int AT = ROWS - 1 + c + STAGES;
    assign write[c]   = control[AT].write && control[AT].columns[c];
    assign first[c]   = control[AT].first;
    assign address[c] = control[AT].address[c];
    assign starts[c]  = control[AT].bias[c];
    delay #(.BITS(PSUM_BITS), .STAGES(STAGES)) u_bottom (.clk, .early(sum[ROWS-1][c]), .late(sums[c]));
  end
  assign done = control[ROWS+COLS-2+STAGES].write && control[ROWS+COLS-2+STAGES].last;
endmodule
