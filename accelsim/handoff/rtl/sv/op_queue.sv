// Operations of one engine, in order: the next one, and whether what it waits for is over.
module op_queue
  import isa_pkg::*;
#(
    parameter int WIDTH = 256,
    parameter int COUNT = 1,
    parameter     FILE  = ""
) (
    input  logic             clk,
    input  logic             rst,
    input  counts_t          over,     // operations of each engine that are over, as this engine sees them
    input  logic             advance,  // the next one is let go of at this edge
    output logic             ready,
    output logic [WIDTH-1:0] head,
    output int_t             number
);
  localparam int DEPTH = (COUNT > 0) ? COUNT : 1;
  localparam int BITS = (DEPTH > 1) ? $clog2(DEPTH) : 1;
  logic [WIDTH-1:0] words[DEPTH];
  if (COUNT > 0) begin : g_image
    initial $readmemh(FILE, words);
  end else begin : g_none
    initial words[0] = '0;
  end

  counts_t waits;
  assign head  = words[BITS'(number)];
  assign waits = head[WIDTH-1-:$bits(counts_t)];
  always_comb begin
    ready = number < COUNT;
    for (int e = 0; e < ENGINES; e++) if (over[e] < waits[e]) ready = 1'b0;
  end
  always_ff @(posedge clk) begin
    if (rst) number <= 0;
    else if (advance) number <= number + 1;
  end
endmodule
