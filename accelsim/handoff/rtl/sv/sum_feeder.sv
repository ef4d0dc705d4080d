// Cuts a compute operation into folds and feeds them to an array whose sums stand while operands stream (output-stationary).
//
// Loop nest, outermost first: groups, columns of channels, rows of pixels, the reduction, PRODUCTS taps of it in a step, or, BY_TAP, so many
// of one kernel tap. A fold takes its steps; the next one follows when its last sum is written, or, BEHIND, max(steps, ROWS) cycles behind
// it.
module sum_feeder
  import isa_pkg::*;
#(
    parameter int COUNT    = 1,
    parameter int ROWS     = 4,
    parameter int COLS     = 4,
    parameter int PRODUCTS = 1,
    parameter bit BEHIND   = 1'b0,
    parameter bit BY_TAP   = 1'b0,
    parameter int TILE_ISSUE = 0,
    parameter int FOLD_ISSUE = 0,
    parameter     FILE     = ""
) (
    input  logic            clk,
    input  logic            rst,
    input  counts_t         over,
    input  logic            fold_done,
    output logic            started,
    output logic            freed,
    output logic            step,
    output logic            step_first,
    output logic            step_last,
    output logic            tile_last,
    output logic            fold_first,
    output logic            fold_ends,      // its sums are finished
    output logic            fold_begins,    // and are the tile's first ones
    output logic [ROWS-1:0] fold_rows,
    output logic [COLS-1:0] fold_columns,
    output int_t            fold_address,   // of the sum of the first row and column
    output int_t            fold_row_step,
    output int_t            bias_address,
    output int_t [PRODUCTS-1:0] weight_address, // of the first column
    output logic [PRODUCTS-1:0] weight_used,
    output int_t            weight_step,    // to the next column
    output int_t [ROWS-1:0][PRODUCTS-1:0] input_address,
    output logic [ROWS-1:0][PRODUCTS-1:0] input_used,
    output int_t            zero_point
);
  typedef struct packed {
    int_t   issue;          // cycles until the fold begins: issue
    int_t   cycle;
    int_t   groups_before;
    int_t   column;
    tap_t   tap;
    pixel_t pixel;         // of row 0
    int_t   pixels_before;
    int_t   group_offset;
    int_t   weight_group, weight;
    int_t   channel_group;
    int_t   sums;
  } state_t;
  logic ready, running, active, busy;
  compute_t op;
  int_t number;
  state_t held, now, next, first;
  pixel_t row_pixel[ROWS+1];
  tap_t [PRODUCTS-1:0] taps;
  tap_t behind;
  op_queue #(.WIDTH($bits(compute_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head(op), .number
  );
  assign started = ready && !running;
  assign active = (ready || running) && !rst;
  assign busy = active && now.issue == 0;
  always_comb begin
    first = '0;
    first.issue = TILE_ISSUE + FOLD_ISSUE;
    first.weight = op.weight_base;
    first.weight_group = op.weight_base;
    first.sums = op.accumulator_base;
    now = running ? held : first;
  end

  row_taps #(.ROWS(1), .PRODUCTS(PRODUCTS), .BY_TAP(BY_TAP), .ALONE(1'b1)) u_taps (
      .first(now.tap), .op, .taps, .there(weight_used), .next(behind)
  );
  always_comb begin
    row_pixel[0] = now.pixel;
    for (int r = 0; r < ROWS; r++) begin
      row_pixel[r+1] = next_pixel(row_pixel[r], op);
      fold_rows[r] = now.pixels_before + r < op.pixels;
      for (int i = 0; i < PRODUCTS; i++) begin
        input_address[r][i] = op.input_base + now.group_offset + input_offset(taps[i], row_pixel[r], op);
        input_used[r][i] = fold_rows[r] && weight_used[i] && inside_box(taps[i], row_pixel[r], op);
      end
    end
    for (int i = 0; i < PRODUCTS; i++) weight_address[i] = now.weight + taps[i].k;
    for (int c = 0; c < COLS; c++) fold_columns[c] = now.column + c < op.unit;
  end
  assign step = busy && now.tap.group == 0;
  assign step_first = now.cycle == 0;
  assign step_last = behind.group != 0;
  assign fold_first = op.first != 0;
  assign fold_ends = op.ends != 0;
  assign fold_begins = fold_ends && now.groups_before == 0 && now.column == 0 && now.pixels_before == 0;
  assign fold_address = now.sums + now.channel_group + now.column;
  assign fold_row_step = op.outputs;
  assign bias_address = op.bias_base + now.channel_group + now.column;
  assign weight_step = op.reduction;
  assign zero_point = op.zero_point;

  logic more_pixels, more_columns, fold_over;
  assign more_pixels = now.pixels_before + ROWS < op.pixels;
  assign more_columns = now.column + COLS < op.unit;
  assign tile_last = !more_pixels && !more_columns && now.groups_before + 1 >= op.groups;
  assign fold_over = BEHIND ? busy && (!step || step_last) && now.cycle + 1 >= ROWS : busy && fold_done;
  assign freed = fold_over && tile_last;
  always_comb begin
    next = now;
    next.cycle = now.cycle + 1;
    if (step) next.tap = behind;
    if (fold_over) begin
      next.issue = FOLD_ISSUE;
      next.cycle = 0;
      next.tap = '0;
      if (more_pixels) begin
        next.pixel = row_pixel[ROWS];
        next.pixels_before = now.pixels_before + ROWS;
        next.sums = now.sums + ROWS * op.outputs;
      end else begin
        next.pixel = '0;
        next.pixels_before = 0;
        next.sums = op.accumulator_base;
        if (more_columns) begin
          next.column = now.column + COLS;
          next.weight = now.weight + op.step_columns;
        end else begin
          next.column = 0;
          next.groups_before = now.groups_before + 1;
          next.group_offset = now.group_offset + op.step_pack;
          next.weight_group = now.weight_group + op.step_weights;
          next.weight = now.weight_group + op.step_weights;
          next.channel_group = now.channel_group + op.step_channels;
        end
      end
    end
    if (now.issue != 0) begin
      next = now;
      next.issue = now.issue - 1;
    end
  end
  always_ff @(posedge clk) begin
    running <= active && !freed;
    held <= next;
  end
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{number, op, fold_done, row_pixel[ROWS], taps};
  // verilator lint_on UNUSEDSIGNAL
endmodule
