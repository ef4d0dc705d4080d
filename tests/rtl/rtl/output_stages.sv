// Accumulator to output code through up to STAGES stages in a row, then the layer's clamp; combinational. A stage that a list does
// not have adds 0 in 64 bits.
module output_stages
  import output_stages_pkg::*;
#(
    parameter int STAGES  = 12,
    parameter int ENTRIES = 256
) (
    input  logic signed [63:0] acc,
    input  logic        [2:0]  kind[STAGES],
    input  logic        [2:0]  rounding[STAGES],
    input  logic signed [63:0] operand[STAGES],
    input  logic signed [63:0] low[STAGES],
    input  logic signed [63:0] high[STAGES],
    input  logic        [6:0]  bits[STAGES],
    input  logic [ENTRIES-1:0][31:0] entries,
    input  logic signed [31:0] clamp_min,
    input  logic signed [31:0] clamp_max,
    output logic signed [31:0] code
);
  logic signed [63:0] values[STAGES+1];
  assign values[0] = acc;
  for (genvar i = 0; i < STAGES; i++) begin : g_stage
    output_stage #(.ENTRIES(ENTRIES)) u_stage (
        .x(values[i]), .kind(kind[i]), .rounding(rounding[i]), .operand(operand[i]), .low(low[i]), .high(high[i]), .bits(bits[i]),
        .entries, .y(values[i+1]));
  end
  assign code = (values[STAGES] < 64'(clamp_min)) ? clamp_min
      : (values[STAGES] > 64'(clamp_max)) ? clamp_max : 32'(values[STAGES]);
endmodule
