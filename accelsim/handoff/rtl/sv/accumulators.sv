// Accumulators: word[address] <= fit((first ? bias : word[address]) + psum), for up to PORTS words a cycle, no two of them the same;
// READS of the words are read in a cycle.
module accumulators #(
    parameter int PORTS     = 1,
    parameter int PSUM_BITS = 20,
    parameter int ACC_BITS  = 32,
    parameter int WORDS     = 256,
    parameter int READS     = 1,
    parameter int ADDR_BITS = (WORDS > 1) ? $clog2(WORDS) : 1
) (
    input  logic                            clk,
    input  logic [1:0]                      policy,
    input  logic [PORTS-1:0]                write,
    input  logic [PORTS-1:0]                first,
    input  logic [PORTS-1:0][ADDR_BITS-1:0] address,
    input  logic [PORTS-1:0][ACC_BITS-1:0]  bias,
    input  logic [PORTS-1:0][PSUM_BITS-1:0] psum,
    input  logic [READS-1:0][ADDR_BITS-1:0] read_address,
    output logic [READS-1:0][ACC_BITS-1:0]  read_data
);
  localparam int SUM_BITS = ((ACC_BITS > PSUM_BITS) ? ACC_BITS : PSUM_BITS) + 1;
  logic [ACC_BITS-1:0] words[WORDS];
  logic [PORTS-1:0][ACC_BITS-1:0] next;

  for (genvar p = 0; p < PORTS; p++) begin : g_port
    logic signed [ACC_BITS-1:0] start, held;
    logic signed [SUM_BITS-1:0] total;
    assign start = first[p] ? bias[p] : words[address[p]];
    assign total = SUM_BITS'(start) + SUM_BITS'($signed(psum[p]));
    fit #(.IN_BITS(SUM_BITS), .OUT_BITS(ACC_BITS)) u_fit (.policy, .value(total), .held(held));
    assign next[p] = held;
  end
  always_ff @(posedge clk)
    for (int p = 0; p < PORTS; p++) if (write[p]) words[address[p]] <= next[p];
  always_comb for (int i = 0; i < READS; i++) read_data[i] = words[read_address[i]];
endmodule
