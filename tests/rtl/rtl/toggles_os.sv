// array_os with a counter of the bits that change on its registers while `count` is high, one total per kind.
module toggles_os #(
    parameter int ROWS            = 4,
    parameter int COLS            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int ROW_BITS        = $clog2(ROWS)
) (
    input  logic                                 clk,
    input  logic                                 count,
    input  logic                                 clear,
    input  logic                                 step,
    input  logic                                 step_first,
    input  logic                                 step_last,
    input  logic [COLS-1:0][WEIGHT_BITS-1:0]     weights,
    input  logic [ROWS-1:0][ACTIVATION_BITS-1:0] activations,
    input  logic [COLS-1:0][ACC_BITS-1:0]        bias,
    output logic [63:0]                          activation_toggles,
    output logic [63:0]                          weight_toggles,
    output logic [63:0]                          acc_toggles
);
  logic done;
  logic [COLS-1:0][ACC_BITS-1:0] read_data;
  array_os_steps #(
      .ROWS(ROWS), .COLS(COLS), .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS), .ACC_BITS(ACC_BITS)
  ) u_array (
      .clk, .policy(2'd0), .step, .step_first, .step_last, .weights, .activations, .bias,
      .done, .read_row(ROW_BITS'(0)), .read_data
  );

  // The registers as they stand, and as they stood one cycle before.
  logic [ROWS-1:0][COLS-1:0][ACTIVATION_BITS-1:0] activation, activation_before;
  logic [ROWS-1:0][COLS-1:0][WEIGHT_BITS-1:0]     weight, weight_before;
  logic [ROWS-1:0][COLS-1:0][ACC_BITS-1:0]        acc, acc_before;
  for (genvar r = 0; r < ROWS; r++) begin : g_row
    for (genvar c = 0; c < COLS; c++) begin : g_col
      assign activation[r][c] = u_array.across[r][c+1][ACTIVATION_BITS-1:0];
      assign weight[r][c]     = u_array.down[r+1][c];
      assign acc[r][c]        = u_array.acc[r][c];
    end
  end

  always_ff @(posedge clk) begin
    activation_before <= activation;
    weight_before     <= weight;
    acc_before        <= acc;
    if (clear) begin
      activation_toggles <= 0;
      weight_toggles     <= 0;
      acc_toggles        <= 0;
    end else if (count) begin
      activation_toggles <= activation_toggles + 64'($countones(activation ^ activation_before));
      weight_toggles     <= weight_toggles + 64'($countones(weight ^ weight_before));
      acc_toggles        <= acc_toggles + 64'($countones(acc ^ acc_before));
    end
  end
endmodule
