// Requantization unit that takes sums as they come: up to LANES a cycle of the vectors of finished sums that the array has announced, in
// the order in which it makes them, through one lane of arithmetic each, STAGES registers, into the output buffer.
//
// A vector is what the array finishes at once: of one pixel the channels of a block of columns (TURNED: of one channel a block of pixels),
// or those of several groups that share a fold. Vectors follow pixel by pixel (channel by channel), block by block, group by group. A
// cycle takes the rest of one vector and the beginning of the next where both are there. An operation ends behind its last sum, in the first
// cycle behind its tile at the earliest.
module requantizer
  import isa_pkg::*;
#(
    parameter int COUNT    = 1,
    parameter int LANES    = 4,
    parameter int WRITERS  = LANES,
    parameter int COLS     = 4,
    parameter bit TURNED   = 1'b0,
    parameter int STAGES   = 0,
    parameter int ACC_BITS = 32,
    parameter int BITS     = 8,
    parameter int OPERANDS = 40,  // bits of what a channel gives
    parameter     FILE     = ""
) (
    input  logic                           clk,
    input  logic                           rst,
    input  counts_t                        over,
    input  logic                           vector,         // one more is finished at this edge
    input  int_t                           computes,       // compute operations that are over
    output logic                           started,
    output logic                           freed,
    output logic                           finished,
    output int_t [LANES-1:0]               address,        // of the accumulators
    input  logic [LANES-1:0][ACC_BITS-1:0] sums,
    output int_t [LANES-1:0]               parameter_address,
    input  logic [LANES-1:0][OPERANDS-1:0] operands,
    output int_t [WRITERS-1:0]             write_count,
    output int_t [WRITERS-1:0]             write_address,
    output logic [LANES-1:0][BITS-1:0]     write_data
);
  logic ready, running, active;
  requantize_t op;
  walk_t walk;
  int_t number, arrived;
  sum_t held;
  sum_t at[LANES+1];
  logic [LANES-1:0] there;
  int_t [LANES-1:0] counts, targets;
  logic [LANES-1:0][31:0] codes;
  logic [LANES-1:0][BITS-1:0] narrow;

  op_queue #(.WIDTH($bits(requantize_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head(op), .number
  );
  assign started = ready && !running;
  assign walk = '{outputs: op.outputs, pixels: op.pixels, groups: op.groups, pack: op.pack, unit: op.unit};
  assign active = (ready || running) && !rst;
  assign freed = active && at[LANES].taken == op.sums && computes >= op.computes;

  always_comb begin
    at[0] = running ? held : '0;
    for (int i = 0; i < LANES; i++) begin
      int_t channel;
      there[i] = active && at[i].vectors < arrived && at[i].taken < op.sums;
      at[i+1] = there[i] ? next_sum(at[i], walk, COLS, TURNED) : at[i];
      channel = channel_of(at[i], TURNED);
      address[i] = op.accumulator_base + place_of(at[i], TURNED);
      parameter_address[i] = op.parameters + ((op.per_channel != 0) ? channel : 0);
      counts[i] = int_t'(there[i]);
      targets[i] = op.base + place_of(at[i], TURNED);
    end
  end
  always_ff @(posedge clk) begin
    running <= active && !freed;
    held <= at[LANES];
    // Vectors that are there and not of an operation before.
    arrived <= rst ? 0 : arrived + int_t'(vector) - (freed ? at[LANES].vectors : 0);
  end

  for (genvar i = 0; i < LANES; i++) begin : g_lane
    requantize_lane #(.ACC_BITS(ACC_BITS)) u_lane (
        .acc(sums[i]), .scheme(op.scheme), .operands(operands[i]),
        .zero_point(op.zero_point), .clamp_min(op.clamp_min), .clamp_max(op.clamp_max), .code(codes[i])
    );
    assign narrow[i] = codes[i][BITS-1:0];
  end
  delay #(.BITS(LANES * (BITS + 64) + 1), .STAGES(STAGES)) u_pipeline (
      .clk, .early({freed, counts, targets, narrow}), .late({finished, write_count, write_address, write_data})
  );
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{number, op.waits, codes};
  // verilator lint_on UNUSEDSIGNAL
endmodule
