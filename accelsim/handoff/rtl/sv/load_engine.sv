// Loads of one queue, and the results of a unit outside the core: a request with the operation's number goes out, the other side grants
// it, lets go of the engine in the last cycle at its port, and sends the elements in beats, and says when results count as there.
module load_engine
  import isa_pkg::*;
#(
    parameter int COUNT = 1,
    parameter int BITS  = 8,
    parameter int LANES = 4,
    parameter     FILE  = ""
) (
    input  logic                        clk,
    input  logic                        rst,
    input  counts_t                     over,
    input  int_t                        turns,  // transfers of the queue that have let go
    output logic                        request,
    output int_t                        number,
    input  logic                        grant,
    input  logic                        release_port,
    input  logic                        beat,
    input  results_t                    last,
    input  logic [LANES-1:0][BITS-1:0]  data,
    output logic                        freed,
    output results_t                    finished,
    output int_t                        write_count,
    output int_t                        write_address,
    output logic [LANES-1:0][BITS-1:0]  write_data
);
  logic ready, running, arrived, arriving_ready;
  transfer_t head, arriving;
  int_t sent, arriving_number, left;

  op_queue #(.WIDTH($bits(transfer_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head, .number
  );
  // Several transfers are under way at once; the one whose elements come is the first that lacks some. One of none, all of whose
  // inputs are padding, has no beat.
  op_queue #(.WIDTH($bits(transfer_t)), .COUNT(COUNT), .FILE(FILE)) u_arriving (
      .clk, .rst, .over, .advance(arrived), .ready(arriving_ready), .head(arriving), .number(arriving_number)
  );
  assign request = ready && !running && head.turn == turns;
  assign freed = release_port && (running || grant);
  assign finished = last;
  assign arrived = (beat && left <= LANES) || (arriving_ready && arriving.elements == 0);
  assign left = arriving.elements - sent;
  assign write_count = !beat ? 0 : (left < LANES) ? left : LANES;
  assign write_address = arriving.base + sent;
  assign write_data = data;
  always_ff @(posedge clk) begin
    running <= !rst && (running || grant) && !freed;
    if (rst || arrived) sent <= 0;
    else if (beat) sent <= sent + LANES;
  end
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{head, arriving_number, arriving.waits, arriving.turn};
  // verilator lint_on UNUSEDSIGNAL
endmodule
