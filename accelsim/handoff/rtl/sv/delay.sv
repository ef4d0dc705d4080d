// BITS wires, STAGES registers later; none for STAGES = 0.
module delay #(
    parameter int BITS   = 8,
    parameter int STAGES = 0
) (
    // verilator lint_off UNUSEDSIGNAL
    input  logic            clk,  // none without STAGES
    // verilator lint_on UNUSEDSIGNAL
    input  logic [BITS-1:0] early,
    output logic [BITS-1:0] late
);
  logic [BITS-1:0] line[STAGES+1];
  assign line[0] = early;
  for (genvar i = 1; i <= STAGES; i++) begin : g_stage
    always_ff @(posedge clk) line[i] <= line[i-1];
  end
  assign late = line[STAGES];
endmodule
