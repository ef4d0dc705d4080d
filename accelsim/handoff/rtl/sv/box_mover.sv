// Walks over the box of each operation of one engine in a row-major tensor, or in a window of its rows, and moves as many elements a cycle
// as WIDTH bits hold; all of them at once where WIDTH is 0. Elements stand one behind the other on the other side.
module box_mover
  import isa_pkg::*;
#(
    parameter int COUNT = 1,
    parameter int LANES = 4,
    parameter int WIDTH = 0,
    parameter     FILE  = ""
) (
    input  logic             clk,
    input  logic             rst,
    input  counts_t          over,
    output logic             started,
    output logic             freed,
    output int_t             number,
    output logic             weights,
    output int_t             count,    // elements of this cycle
    output int_t             flat,     // where the first of them stands on the other side
    output int_t [LANES-1:0] address   // of each in the tensor's place
);
  typedef struct packed {
    int_t             row;    // in the window
    int_t [RANK-1:0]  index;
    int_t [RANK-1:0]  at;     // address at the index of this axis and of those around it
  } walk_t;
  // verilator lint_off UNUSEDSIGNAL
  function automatic walk_t next_place(walk_t here, box_t op);
    walk_t next = here;
    logic over_end = 1'b1;
    for (int d = 0; d < RANK; d++) begin
      if (over_end && here.index[d] + 1 < op.sizes[d]) begin
        over_end = 1'b0;
        next.index[d] = here.index[d] + 1;
        next.at[d] = here.at[d] + op.steps[d];
        if (d == op.axis) begin
          next.row = here.row + 1;
          if (next.row == op.window) begin
            next.row = 0;
            next.at[d] = next.at[d] - op.wrap;
          end
        end
        for (int inner = 0; inner < d; inner++) next.at[inner] = next.at[d];
      end else if (over_end) begin
        next.index[d] = 0;
        if (d == op.axis) next.row = op.row;
      end
    end
    return next;
  endfunction
  // verilator lint_on UNUSEDSIGNAL

  logic ready, running, active;
  box_t op;
  walk_t held, now, next;
  int_t moved, moved_before, room, room_before;
  op_queue #(.WIDTH($bits(box_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head(op), .number
  );
  assign started = ready && !running;
  assign active = (ready || running) && !rst;
  assign moved_before = running ? moved : 0;
  assign room_before = running ? room : 0;
  assign weights = op.weights != 0;
  assign flat = op.base + moved_before;
  assign freed = active && moved_before + count == op.elements;
  always_comb begin
    now = '{row: op.row, index: '0, at: {RANK{op.place}}};
    if (running) now = held;
    next = now;
    count = 0;
    for (int i = 0; i < LANES; i++) begin
      address[i] = next.at[0];
      if (active && moved_before + i < op.elements && (WIDTH == 0 || (i + 1) * op.bits <= room_before + WIDTH)) begin
        count = i + 1;
        next = next_place(next, op);
      end
    end
  end
  always_ff @(posedge clk) begin
    running <= active && !freed;
    held <= next;
    moved <= moved_before + count;
    room <= room_before + WIDTH - count * op.bits;
  end
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{op.waits, op.bits};
  // verilator lint_on UNUSEDSIGNAL
endmodule
