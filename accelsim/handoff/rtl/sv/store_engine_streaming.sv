// Stores that take codes as the requantizer makes them: while an operation holds the port, up to LANES a cycle of those that are there,
// in the order of the sums, each with its place in the tile. The other side lets go of the port behind the last one.
module store_engine
  import isa_pkg::*;
#(
    parameter int COUNT  = 1,
    parameter int LANES  = 4,
    parameter int COLS   = 4,
    parameter bit TURNED = 1'b0,
    parameter     FILE   = ""
) (
    input  logic             clk,
    input  logic             rst,
    input  counts_t          over,
    input  int_t             turns,         // transfers of the queue that have let go
    input  int_t             codes,         // written by the requantizer at this edge
    output logic             request,
    output int_t             number,
    input  logic             grant,
    input  logic             release_port,
    input  logic             beat,
    input  results_t         last,
    output logic             freed,
    output results_t         finished,
    output int_t             count,         // elements that go in this cycle
    output int_t [LANES-1:0] position,      // of each in its tile
    output int_t [LANES-1:0] read_address
);
  logic ready, running;
  store_t head;
  walk_t walk;
  int_t written;
  sum_t held;
  sum_t at[LANES+1];
  logic [LANES-1:0] there;

  op_queue #(.WIDTH($bits(store_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head, .number
  );
  assign request = ready && !running && head.turn == turns;
  assign freed = release_port && (running || grant);
  assign finished = last;
  assign walk = '{outputs: head.outputs, pixels: head.pixels, groups: head.groups, pack: head.pack, unit: head.unit};
  always_comb begin
    count = 0;
    at[0] = running ? held : '0;
    for (int i = 0; i < LANES; i++) begin
      there[i] = beat && at[i].taken < head.elements && (head.follows == 0 || at[i].taken < written - head.codes_before);
      at[i+1] = there[i] ? next_sum(at[i], walk, COLS, TURNED) : at[i];
      position[i] = place_of(at[i], TURNED);
      read_address[i] = head.base + position[i];
      count = count + int_t'(there[i]);
    end
  end
  always_ff @(posedge clk) begin
    running <= !rst && (running || grant) && !freed;
    held <= at[LANES];
    written <= rst ? 0 : written + codes;
  end
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^head.waits;
  // verilator lint_on UNUSEDSIGNAL
endmodule
