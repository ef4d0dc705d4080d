// Delays lane i of a vector by i cycles: the staircase at the edge of a systolic array.
module skew #(
    parameter int LANES = 4,
    parameter int BITS  = 8
) (
    // verilator lint_off UNUSEDSIGNAL
    input  logic                         clk,  // none where there is one lane
    // verilator lint_on UNUSEDSIGNAL
    input  logic [LANES-1:0][BITS-1:0]   straight,
    output logic [LANES-1:0][BITS-1:0]   skewed
);
  assign skewed[0] = straight[0];
  for (genvar lane = 1; lane < LANES; lane++) begin : g_lane
    logic [lane-1:0][BITS-1:0] line;
    always_ff @(posedge clk) begin
      line[0] <= straight[lane];
      for (int i = 1; i < lane; i++) line[i] <= line[i-1];
    end
    assign skewed[lane] = line[lane-1];
  end
endmodule
