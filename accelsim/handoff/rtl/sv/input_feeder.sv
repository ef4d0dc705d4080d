// Cuts a compute operation into folds and feeds them to an array whose inputs stand while filters stream (input-stationary): the reduction
// over rows, pixels over columns.
//
// Loop nest, outermost first: groups (PACK of them side by side in a fold, as a block diagonal), columns of pixels, rows, channels. When
// what enters is as in fold_feeder, inputs in the place of weights and filters in that of pixels.
module input_feeder
  import isa_pkg::*;
#(
    parameter int COUNT      = 1,
    parameter int ROWS       = 4,
    parameter int COLS       = 4,
    parameter int PRODUCTS   = 1,      // taps of a row
    parameter bit OVERLAPPED = 1'b0,
    parameter bit BEHIND     = 1'b0,
    parameter bit BY_TAP     = 1'b0,
    parameter int TILE_ISSUE = 0,
    parameter int FOLD_ISSUE = 0,
    parameter     FILE       = ""
) (
    input  logic            clk,
    input  logic            rst,
    input  counts_t         over,
    input  logic            fold_done,      // the array writes the last sum of a fold at this edge
    output logic            started,
    output logic            freed,
    output logic            input_first,    // inputs of row 0 enter
    output int_t [COLS-1:0][PRODUCTS-1:0] input_address,
    output logic [COLS-1:0][PRODUCTS-1:0] input_used,
    output logic            enter,          // a filter of each group enters
    output logic            enter_swap,
    output logic            enter_last,
    output logic            enter_first,
    output logic            enter_ends,     // their sums are finished
    output logic            enter_begins,   // and are the tile's first ones
    output int_t [COLS-1:0] enter_address,  // of the sums
    output int_t [COLS-1:0] bias_address,
    output logic [COLS-1:0] column_used,
    output int_t [ROWS*PRODUCTS-1:0] weight_address,
    output logic [ROWS*PRODUCTS-1:0] weight_used,
    output int_t [ROWS*PRODUCTS-1:0] weight_channel, // whose filter enters, beside the first one's parameters
    output int_t            zero_point
);
  typedef struct packed {
    logic   shifting;       // inputs enter, else filters or the last sums
    logic   draining;
    int_t   issue;           // cycles until the fold begins: issue
    int_t   cycle;          // of the phase
    int_t   groups_before;
    pixel_t pixel;          // of the first column
    int_t   pixels_before;
    tap_t   tap;            // of row 0
    tap_t   input_tap;      // whose inputs enter
    int_t   filters_before;
    int_t   filter_offset;  // elements of the weights
    int_t   group_offset;   // elements of the input
    int_t   weight_group;
    int_t   channel_group;
    int_t   sums;           // address of the first column's sum of the first filter
  } state_t;
  typedef struct packed {
    pixel_t pixel;
    int_t   number;         // of the pixel in the tile
    int_t   group;
    int_t   group_offset;
    int_t   channels;       // before those of the group
    int_t   sum;            // address beside the first one
  } column_t;
  logic ready, running, active, busy;
  compute_t op;
  int_t number;
  state_t held, now, next, first;
  tap_t [ROWS*PRODUCTS-1:0] row_tap;
  logic [ROWS*PRODUCTS-1:0] row_there;
  tap_t [PRODUCTS-1:0] input_tap;
  logic [PRODUCTS-1:0] input_there;
  tap_t behind_rows, behind_inputs;
  column_t column[COLS+1];
  op_queue #(.WIDTH($bits(compute_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head(op), .number
  );
  assign started = ready && !running;
  assign active = (ready || running) && !rst;
  assign busy = active && now.issue == 0;
  always_comb begin
    first = '0;
    first.issue = TILE_ISSUE + FOLD_ISSUE;
    first.shifting = !OVERLAPPED;
    first.weight_group = op.weight_base;
    first.sums = op.accumulator_base;
    now = running ? held : first;
  end

  int_t groups_here, group_step;
  assign groups_here = (op.groups - now.groups_before < op.pack) ? op.groups - now.groups_before : op.pack;
  assign group_step = op.unit * op.reduction;
  row_taps #(.ROWS(ROWS), .PRODUCTS(PRODUCTS), .BY_TAP(BY_TAP)) u_rows (
      .first(now.tap), .op, .taps(row_tap), .there(row_there), .next(behind_rows)
  );
  // Inputs of rows without a tap meet no weights, so those that enter need not know where the fold ends.
  row_taps #(.ROWS(1), .PRODUCTS(PRODUCTS), .BY_TAP(BY_TAP)) u_inputs (
      .first(now.input_tap), .op, .taps(input_tap), .there(input_there), .next(behind_inputs)
  );
  always_comb begin
    for (int r = 0; r < ROWS * PRODUCTS; r++) begin
      weight_used[r] = row_there[r] && row_tap[r].group < groups_here;
      weight_channel[r] = op.bias_base + now.channel_group + row_tap[r].group * op.unit + now.filters_before;
      weight_address[r] = now.weight_group + row_tap[r].group * group_step + now.filter_offset + row_tap[r].k;
    end
    column[0] = '0;
    column[0].pixel = now.pixel;
    column[0].number = now.pixels_before;
    for (int c = 0; c < COLS; c++) begin
      column_used[c] = column[c].group < groups_here;
      for (int i = 0; i < PRODUCTS; i++) begin
        input_address[c][i] = op.input_base + now.group_offset + column[c].group_offset + input_offset(input_tap[i], column[c].pixel, op)
            - input_tap[i].group * op.step_unit;
        input_used[c][i] = column_used[c] && column[c].group == input_tap[i].group && input_there[i]
            && inside_box(input_tap[i], column[c].pixel, op);
      end
      enter_address[c] = now.sums + column[c].sum + now.channel_group + now.filters_before;
      bias_address[c] = op.bias_base + now.channel_group + column[c].channels + now.filters_before;
      column[c+1] = column[c];
      column[c+1].pixel = next_pixel(column[c].pixel, op);
      column[c+1].number = column[c].number + 1;
      column[c+1].sum = column[c].sum + op.outputs;
      if (column[c+1].number == op.pixels) begin
        column[c+1].pixel = '0;
        column[c+1].number = 0;
        column[c+1].group = column[c].group + 1;
        column[c+1].group_offset = column[c].group_offset + op.step_unit;
        column[c+1].channels = column[c].channels + op.unit;
        column[c+1].sum = column[c].channels + op.unit;
      end
    end
  end

  logic streams, last_filter, tile_last, more_rows, more_columns, more_groups, fold_over;
  assign streams = busy && (OVERLAPPED ? now.filters_before < op.unit : !now.shifting && !now.draining);
  assign last_filter = now.filters_before + 1 == op.unit;
  assign input_first = busy && (OVERLAPPED || now.shifting) && now.cycle == 0;
  assign enter = streams;
  assign enter_swap = streams && now.filters_before == 0;
  assign enter_last = streams && last_filter && (tile_last || !(OVERLAPPED || BEHIND));
  assign enter_first = op.first != 0 && now.tap.k == 0 && now.tap.group == 0;
  assign enter_ends = streams && op.ends != 0 && !more_rows;
  assign enter_begins = enter_ends && now.groups_before == 0 && now.pixels_before == 0 && now.filters_before == 0;
  assign zero_point = op.zero_point;

  assign more_rows = op.pack == 1 && behind_rows.group == 0;
  assign more_columns = op.pack == 1 && now.pixels_before + COLS < op.pixels;
  assign more_groups = now.groups_before + op.pack < op.groups;
  assign tile_last = !more_rows && !more_columns && !more_groups;
  always_comb begin
    if (OVERLAPPED) fold_over = busy && now.cycle + 1 >= op.unit && now.cycle + 1 >= ROWS;
    else if (BEHIND) fold_over = streams && last_filter;
    else fold_over = fold_done && ((streams && last_filter) || now.draining);
  end
  assign freed = active && fold_over && tile_last;
  always_comb begin
    next = now;
    next.cycle = now.cycle + 1;
    next.input_tap = behind_inputs;
    if (!OVERLAPPED && now.shifting && now.cycle + 1 == ROWS) next.shifting = 1'b0;
    if (streams) begin
      next.filters_before = now.filters_before + 1;
      next.filter_offset = now.filter_offset + op.reduction;
      if (!OVERLAPPED && last_filter) next.draining = 1'b1;
    end
    if (fold_over) begin
      next.issue = FOLD_ISSUE;
      next.shifting = !OVERLAPPED;
      next.draining = 1'b0;
      next.cycle = 0;
      next.filters_before = 0;
      next.filter_offset = 0;
      if (more_rows) next.tap = behind_rows;
      else begin
        next.tap = '0;
        if (more_columns) begin
          next.pixel = column[COLS].pixel;
          next.pixels_before = now.pixels_before + COLS;
          next.sums = now.sums + COLS * op.outputs;
        end else begin
          next.pixel = '0;
          next.pixels_before = 0;
          next.sums = op.accumulator_base;
          next.groups_before = now.groups_before + op.pack;
          next.group_offset = now.group_offset + op.step_pack;
          next.weight_group = now.weight_group + op.step_weights;
          next.channel_group = now.channel_group + op.step_channels;
        end
      end
      next.input_tap = next.tap;
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
  assign unused = ^{number, op, fold_done, behind_rows, column[COLS]};
  // verilator lint_on UNUSEDSIGNAL
endmodule
