// How many operations of each engine have let go of it, and how many results are there. Engines deliver in order, so counts say it all;
// what ends with a cycle is seen in the next one.
module scoreboard
  import isa_pkg::*;
(
    input  logic               clk,
    input  logic               rst,
    input  logic [ENGINES-1:0] freed,
    input  results_t [ENGINES-1:0] finished,
    output counts_t            frees,
    output counts_t            finishes
);
  always_ff @(posedge clk) begin
    for (int e = 0; e < ENGINES; e++) begin
      frees[e] <= rst ? 0 : frees[e] + int_t'(freed[e]);
      finishes[e] <= rst ? 0 : finishes[e] + int_t'(finished[e]);
    end
  end
endmodule
