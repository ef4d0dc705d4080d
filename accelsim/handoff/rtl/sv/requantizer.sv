// Requantization unit: LANES sums a cycle out of the accumulators, in the order of the outputs (channel last), through one lane of
// arithmetic each, STAGES registers, into the output buffer.
module requantizer
  import isa_pkg::*;
#(
    parameter int COUNT    = 1,
    parameter int LANES    = 4,
    parameter int WRITERS  = 1,
    // verilator lint_off UNUSEDPARAM
    parameter int COLS     = 4,
    parameter bit TURNED   = 1'b0,
    // verilator lint_on UNUSEDPARAM
    parameter int STAGES   = 0,
    parameter int ACC_BITS = 32,
    parameter int BITS     = 8,
    parameter int OPERANDS = 40,  // bits of what a channel gives
    parameter     FILE     = ""
) (
    input  logic                           clk,
    input  logic                           rst,
    input  counts_t                        over,
    // verilator lint_off UNUSEDSIGNAL
    input  logic                           vector,         // for a unit that takes sums as they come
    input  int_t                           computes,
    // verilator lint_on UNUSEDSIGNAL
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
  int_t number, position, channel, done_before, first_channel;
  int_t channels[LANES+1];
  logic [LANES-1:0][31:0] codes;
  logic [LANES-1:0][BITS-1:0] narrow;
  int_t count;

  op_queue #(.WIDTH($bits(requantize_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head(op), .number
  );
  assign started = ready && !running;
  assign active = ready || running;
  assign done_before = running ? position : 0;
  assign first_channel = running ? channel : 0;
  assign count = (op.sums - done_before < LANES) ? op.sums - done_before : LANES;
  assign freed = active && done_before + LANES >= op.sums;

  always_comb begin
    channels[0] = first_channel;
    for (int i = 0; i < LANES; i++) begin
      channels[i+1] = (channels[i] + 1 == op.outputs) ? 0 : channels[i] + 1;
      address[i] = op.accumulator_base + done_before + i;
      parameter_address[i] = op.parameters + ((op.per_channel != 0) ? channels[i] : 0);
    end
  end
  always_ff @(posedge clk) begin
    running <= !rst && active && !freed;
    position <= done_before + LANES;
    channel <= channels[LANES];
  end

  for (genvar i = 0; i < LANES; i++) begin : g_lane
    requantize_lane #(.ACC_BITS(ACC_BITS)) u_lane (
        .acc(sums[i]), .scheme(op.scheme), .operands(operands[i]),
        .zero_point(op.zero_point), .clamp_min(op.clamp_min), .clamp_max(op.clamp_max), .code(codes[i])
    );
    assign narrow[i] = codes[i][BITS-1:0];
  end
  delay #(.BITS(LANES * BITS + 65), .STAGES(STAGES)) u_pipeline (
      .clk,
      .early({freed && !rst, (active && !rst) ? count : 32'sd0, op.base + done_before, narrow}),
      .late({finished, write_count, write_address, write_data})
  );
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{number, op.waits, op.pixels, op.groups, op.pack, op.unit, op.computes, computes, codes};
  // verilator lint_on UNUSEDSIGNAL
endmodule
