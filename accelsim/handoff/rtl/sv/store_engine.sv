// Stores: the other side takes the elements in beats of LANES while the operation holds the port.
module store_engine
  import isa_pkg::*;
#(
    parameter int COUNT = 1,
    parameter int LANES = 4,
    // verilator lint_off UNUSEDPARAM
    parameter int COLS   = 4,    // for an engine that takes codes as they come
    parameter bit TURNED = 1'b0,
    // verilator lint_on UNUSEDPARAM
    parameter     FILE  = ""
) (
    input  logic            clk,
    input  logic            rst,
    input  counts_t         over,
    input  int_t            turns,        // transfers of the queue that have let go
    // verilator lint_off UNUSEDSIGNAL
    input  int_t            codes,
    // verilator lint_on UNUSEDSIGNAL
    output logic            request,
    output int_t            number,
    input  logic            grant,
    input  logic            release_port,
    input  logic            beat,
    input  results_t        last,
    output logic            freed,
    output results_t        finished,
    output int_t             count,       // elements that go in this cycle
    output int_t [LANES-1:0] position,    // of each in its tile
    output int_t [LANES-1:0] read_address
);
  logic ready, running;
  transfer_t head;
  int_t sent;

  op_queue #(.WIDTH($bits(transfer_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head, .number
  );
  assign request = ready && !running && head.turn == turns;
  assign freed = release_port && (running || grant);
  assign finished = last;
  assign count = !beat ? 0 : (head.elements - sent < LANES) ? head.elements - sent : LANES;
  always_comb
    for (int i = 0; i < LANES; i++) begin
      position[i] = sent + i;
      read_address[i] = head.base + position[i];
    end
  always_ff @(posedge clk) begin
    running <= !rst && (running || grant) && !freed;
    if (rst || freed) sent <= 0;
    else if (beat) sent <= sent + LANES;
  end
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^head.waits;
  // verilator lint_on UNUSEDSIGNAL
endmodule
