// Cuts a compute operation into folds and feeds them to an array whose weights stand while pixels stream (weight-stationary, adder tree).
//
// Loop nest, outermost first: groups (PACK of them side by side in a fold, as a block diagonal, or, without SHIFTS, in the columns alone),
// columns, stripes of STRIPE pixels (0: all of them), rows, pixels. STEP folds make a step: of the channels of one tap, or, as the operation
// says, of as many taps; what is left of a step idles.
//   SHIFTS, serial:       a fold's weights enter in ROWS cycles, then its pixels; the next fold follows when its last sum is written
//   SHIFTS, BEHIND:       the next fold's weights enter while the last sums drain
//   SHIFTS, OVERLAPPED:   a fold's weights and pixels enter together, the pixels ROWS cycles late (VECTOR_DELAY of the core), each fold
//                         max(pixels, ROWS) cycles behind the one before
//   without SHIFTS:       weights stand beside the pixels (adder tree): `pixels` cycles each fold
// What stands in the buffers is read while the operation holds the array, and no later.
module fold_feeder
  import isa_pkg::*;
#(
    parameter int COUNT      = 1,
    parameter int ROWS       = 4,
    parameter int COLS       = 4,
    parameter int PRODUCTS   = 1,      // taps of a row
    parameter bit SHIFTS     = 1'b1,
    parameter bit OVERLAPPED = 1'b0,
    parameter bit BEHIND     = 1'b0,
    parameter bit BY_TAP     = 1'b0,
    parameter int STEP       = 1,
    parameter int STRIPE     = 0,
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
    output logic            tile_last,      // the fold is the last one of its operation
    output logic            weight_first,   // weights of row 0 enter
    output int_t [PRODUCTS-1:0] weight_k,       // numbers of the taps whose weights enter, their groups, and whether there are any
    output int_t [PRODUCTS-1:0] weight_group,
    output logic [PRODUCTS-1:0] weight_used,
    output int_t            weight_address, // of the first column's first tap
    output logic            enter,
    output logic            enter_swap,
    output logic            enter_last,
    output logic            enter_first,
    output logic            enter_ends,     // its sums are finished
    output logic            enter_begins,   // and are the tile's first ones
    output int_t            enter_address,  // of the sum of the first column
    output int_t [COLS-1:0] column_group,   // group of each column in the fold
    output logic [COLS-1:0] column_used,
    output int_t [COLS-1:0] column_offset,  // of the input elements of its group
    output int_t            reduction,
    output int_t            bias_address,   // of the first column
    output int_t [ROWS*PRODUCTS-1:0] input_address,
    output logic [ROWS*PRODUCTS-1:0] input_used,
    output int_t [ROWS*PRODUCTS-1:0] row_k,      // number of each tap of the rows, its group, and whether there is one
    output int_t [ROWS*PRODUCTS-1:0] row_group,
    output logic [ROWS*PRODUCTS-1:0] row_used,
    output int_t            zero_point
);
  typedef struct packed {
    logic   shifting;       // weights enter, else pixels or the last sums
    logic   draining;
    int_t   issue;           // cycles until the fold begins: issue
    int_t   cycle;          // of the phase
    int_t   groups_before;
    int_t   column;         // first output channel of the fold, in its group
    tap_t   tap;            // of row 0
    tap_t   weight_tap;     // whose weights enter
    int_t   step;           // folds before this one in its step
    tap_t   step_next;      // behind the first of them
    logic   idle;
    pixel_t pixel, stripe_pixel;  // and the first one of its stripe
    int_t   pixels_before, stripe_before;
    int_t   group_offset;   // elements of the input
    int_t   weight_group, weight;
    int_t   channel_group;
    int_t   sums, stripe_sums;  // address of the pixel's first sum
  } state_t;

  logic ready, running, active, busy;
  compute_t op;
  int_t number;
  state_t held, now, next, first;
  tap_t [ROWS*PRODUCTS-1:0] row_tap;
  logic [ROWS*PRODUCTS-1:0] row_there;
  tap_t [PRODUCTS-1:0] weight_tap;
  tap_t behind_rows, behind_weights;
  op_queue #(.WIDTH($bits(compute_t)), .COUNT(COUNT), .FILE(FILE)) u_queue (
      .clk, .rst, .over, .advance(freed), .ready, .head(op), .number
  );
  assign started = ready && !running;
  assign active = (ready || running) && !rst;
  assign busy = active && now.issue == 0;

  always_comb begin
    first = '0;
    first.issue = TILE_ISSUE + FOLD_ISSUE;
    first.shifting = SHIFTS && !OVERLAPPED && op.kept == 0;
    first.weight = op.weight_base;
    first.weight_group = op.weight_base;
    first.sums = op.accumulator_base;
    first.stripe_sums = op.accumulator_base;
    now = running ? held : first;
  end

  // Rows and columns of the fold.
  row_taps #(.ROWS(ROWS), .PRODUCTS(PRODUCTS), .BY_TAP(BY_TAP), .ALONE(!SHIFTS)) u_rows (
      .first(now.tap), .op, .taps(row_tap), .there(row_there), .next(behind_rows)
  );
  // Weights of rows without a tap meet no activations, so those that enter need not know where the fold ends.
  row_taps #(.ROWS(1), .PRODUCTS(PRODUCTS), .BY_TAP(BY_TAP)) u_weights (
      .first(now.weight_tap), .op, .taps(weight_tap), .there(weight_used), .next(behind_weights)
  );
  int_t groups_here;
  assign groups_here = (op.groups - now.groups_before < op.pack) ? op.groups - now.groups_before : op.pack;
  always_comb begin
    int_t place, group, offset;
    place = now.column;
    group = 0;
    offset = 0;
    for (int c = 0; c < COLS; c++) begin
      column_group[c] = group;
      column_used[c] = group < groups_here && !now.idle;
      column_offset[c] = offset;
      place = place + 1;
      if (place == op.unit) begin
        place = 0;
        group = group + 1;
        offset = offset + op.step_unit;
      end
    end
    for (int r = 0; r < ROWS * PRODUCTS; r++) begin
      row_used[r] = row_there[r] && row_tap[r].group < groups_here;
      input_address[r] = op.input_base + now.group_offset + input_offset(row_tap[r], now.pixel, op);
      input_used[r] = row_used[r] && inside_box(row_tap[r], now.pixel, op);
      row_k[r] = row_tap[r].k;
      row_group[r] = row_tap[r].group;
    end
  end

  // What enters in this cycle.
  logic streams, tile_pixels, last_pixel, more_rows;
  assign streams = busy && (OVERLAPPED ? now.pixels_before < op.pixels : !now.shifting && !now.draining);
  assign tile_pixels = now.pixels_before + 1 == op.pixels;
  assign last_pixel = tile_pixels || (STRIPE != 0 && now.pixels_before + 1 - now.stripe_before == STRIPE);
  assign weight_first = busy && (OVERLAPPED ? op.kept == 0 : now.shifting) && SHIFTS && now.cycle == 0;
  always_comb
    for (int i = 0; i < PRODUCTS; i++) begin
      weight_k[i] = weight_tap[i].k;
      weight_group[i] = weight_tap[i].group;
    end
  assign weight_address = now.weight;
  assign enter = streams;
  assign enter_swap = streams && op.kept == 0 && now.pixels_before == 0;
  assign enter_last = streams && last_pixel && (tile_last || !(OVERLAPPED || BEHIND || !SHIFTS));
  assign enter_first = op.first != 0 && now.tap.k == 0 && now.tap.group == 0 && !now.idle;
  assign enter_ends = streams && op.ends != 0 && !more_rows;
  assign enter_begins = enter_ends && now.groups_before == 0 && now.column == 0 && now.pixels_before == 0;
  assign enter_address = now.sums + now.channel_group + now.column;
  assign reduction = op.reduction;
  assign bias_address = op.bias_base + now.channel_group + now.column;
  assign zero_point = op.zero_point;

  // The next fold.
  logic more_pixels, more_columns, more_groups, fold_over, step_over;
  tap_t other_tap, step_next, next_rows;
  always_comb begin
    step_over = now.step + 1 == STEP;
    other_tap = next_kernel_tap(now.tap, op);
    step_next = (now.step == 0) ? behind_rows : now.step_next;
    // Taps of a step are all at the same channels; the next step takes others, or those of the next taps.
    next_rows = (op.step_taps != 0 && step_next.ic != 0) ? step_next : behind_rows;
  end
  assign more_rows = (op.pack == 1 || !SHIFTS) && (!step_over || next_rows.group == 0);
  assign more_pixels = !tile_pixels;
  assign more_columns = op.pack == 1 && now.column + COLS < op.unit;
  assign more_groups = now.groups_before + op.pack < op.groups;
  assign tile_last = !more_rows && !(STRIPE != 0 && more_pixels) && !more_columns && !more_groups;
  always_comb begin
    if (!SHIFTS) fold_over = streams && last_pixel;
    else if (OVERLAPPED)
      fold_over = busy && now.cycle + 1 >= op.pixels && (now.cycle + 1 >= ROWS || op.kept != 0);
    else if (BEHIND) fold_over = streams && last_pixel;
    else fold_over = fold_done && ((streams && last_pixel) || now.draining);
  end
  assign freed = active && fold_over && tile_last;

  always_comb begin
    next = now;
    next.cycle = now.cycle + 1;
    next.weight_tap = behind_weights;
    if (SHIFTS && !OVERLAPPED && now.shifting && now.cycle + 1 == ROWS) next.shifting = 1'b0;
    if (streams) begin
      next.pixel = next_pixel(now.pixel, op);
      next.pixels_before = now.pixels_before + 1;
      next.sums = now.sums + op.outputs;
      if (SHIFTS && !OVERLAPPED && last_pixel) next.draining = 1'b1;
    end
    if (fold_over) begin
      next.issue = FOLD_ISSUE;
      next.shifting = SHIFTS && !OVERLAPPED;
      next.draining = 1'b0;
      next.cycle = 0;
      next.pixel = now.stripe_pixel;
      next.pixels_before = now.stripe_before;
      next.sums = now.stripe_sums;
      next.step = step_over ? 0 : now.step + 1;
      next.step_next = step_next;
      next.idle = 1'b0;
      if (more_rows && step_over) next.tap = next_rows;
      else if (more_rows) begin
        next.idle = now.idle || ((op.step_taps != 0) ? other_tap.group != 0 : behind_rows.ic == 0);
        if (!next.idle) next.tap = (op.step_taps != 0) ? other_tap : behind_rows;
      end else if (STRIPE != 0 && more_pixels) begin
        if (now.tap.k == 0 && now.step == 0) next.issue = 0;  // the weights of the only fold stand there
        next.tap = '0;
        next.pixel = next_pixel(now.pixel, op);
        next.pixels_before = now.pixels_before + 1;
        next.sums = now.sums + op.outputs;
        next.stripe_pixel = next.pixel;
        next.stripe_before = next.pixels_before;
        next.stripe_sums = next.sums;
      end else begin
        next.tap = '0;
        next.pixel = '0;
        next.pixels_before = 0;
        next.sums = op.accumulator_base;
        next.stripe_pixel = '0;
        next.stripe_before = 0;
        next.stripe_sums = op.accumulator_base;
        if (more_columns) begin
          next.column = now.column + COLS;
          next.weight = now.weight + op.step_columns;
        end else begin
          next.column = 0;
          next.groups_before = now.groups_before + op.pack;
          next.group_offset = now.group_offset + op.step_pack;
          next.weight_group = now.weight_group + op.step_weights;
          next.weight = now.weight_group + op.step_weights;
          next.channel_group = now.channel_group + op.step_channels;
        end
      end
      next.weight_tap = next.tap;
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
  assign unused = ^{number, op.waits, fold_done, behind_rows, weight_tap, other_tap, step_next, next_rows, more_pixels};
  // verilator lint_on UNUSEDSIGNAL
endmodule
