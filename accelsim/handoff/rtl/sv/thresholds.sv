// Accumulator to output code by comparison, combinational: start + #{levels <= acc}, or start - # for a channel whose codes fall. A level
// that is never reached stands above all accumulators.
module thresholds #(
    parameter int LEVELS   = 3,
    parameter int ACC_BITS = 32
) (
    input  logic signed [ACC_BITS-1:0]       acc,
    input  logic [LEVELS-1:0][ACC_BITS:0]    levels,
    input  logic signed [31:0]               start,
    input  logic                             falls,
    output logic signed [31:0]               code
);
  logic signed [31:0] reached;
  always_comb begin
    reached = 0;
    for (int i = 0; i < LEVELS; i++) if ((ACC_BITS + 1)'(acc) >= $signed(levels[i])) reached = reached + 1;
    code = falls ? start - reached : start + reached;
  end
endmodule
