// Exact sum of LEAVES signed terms, by a balanced tree: node i adds nodes 2i and 2i + 1.
module adder_tree #(
    parameter int LEAVES   = 4,
    parameter int BITS     = 16,
    parameter int SUM_BITS = BITS + $clog2(LEAVES)
) (
    input  logic        [LEAVES-1:0][BITS-1:0] terms,
    output logic signed [SUM_BITS-1:0]         total
);
  localparam int WIDTH = 1 << $clog2(LEAVES);
  logic signed [SUM_BITS-1:0] node[2*WIDTH];

  always_comb begin
    node[0] = '0;
    for (int i = 0; i < WIDTH; i++) node[WIDTH+i] = (i < LEAVES) ? SUM_BITS'($signed(terms[i])) : '0;
    for (int i = WIDTH - 1; i > 0; i--) node[i] = node[2*i] + node[2*i+1];
  end
  assign total = node[1];
endmodule
