// What the queues of the core read: one packed record per operation, as the exported memory images have them, first field in the
// highest bits. Addresses and sizes count elements. Also how a window walks over an input box, by additions alone.
package isa_pkg;
  typedef enum int {
    STORE,
    LOAD_ACTIVATIONS,
    LOAD_WEIGHTS,
    COMPUTE,
    REQUANTIZE,
    VECTOR,
    KEEP,
    RECALL
  } engine_t;
  localparam int ENGINES = 8;
  localparam int RANK = 6;  // axes of a box

  typedef logic signed [31:0] int_t;
  typedef logic [7:0] results_t;         // that are there at one edge: several where another transfer of their queue held them up
  typedef int_t [ENGINES-1:0] counts_t;  // by engine: how many of its operations must be over

  typedef struct packed {
    counts_t waits;
    int_t    turn;           // transfers in front of it in a queue that engines share: it waits until they let go
    int_t    base;
    int_t    elements;
  } transfer_t;

  typedef struct packed {
    counts_t         waits;
    int_t            base;         // of the elements, one behind the other: in the output buffer, or in a buffer of operands
    int_t            elements;
    int_t            bits;         // of an element
    int_t            weights;      // into the buffer of weights
    int_t            place;        // of the first element in the resident memory
    int_t            axis;         // along which rows stand in a window of so many (0: no window), the first one at row
    int_t            window;
    int_t            row;
    int_t            wrap;         // elements of the window's rows
    int_t [RANK-1:0] sizes;        // of the box, axis 0 the innermost
    int_t [RANK-1:0] steps;        // to the next element along each axis
  } box_t;

  typedef struct packed {
    counts_t waits;
    int_t    first;          // the sums start at the bias
    int_t    ends;           // and are requantized behind this operation
    int_t    kept;           // the weights stand in the array
    int_t    pixels;         // n * oh * ow
    int_t    groups;
    int_t    pack;           // groups that share a fold
    int_t    step_taps;      // folds of a step are of as many taps, not of the channels of one
    int_t    outputs;        // channels of the tile
    int_t    unit;           // output channels of a group
    int_t    reduction;
    int_t    oh, ow;
    int_t    kh, kw, ic;
    int_t    y0, x0;         // first tap of the first pixel, in the box
    int_t    stride_h, stride_w;
    int_t    dilation_h, dilation_w;
    int_t    box_h, box_w;
    int_t    up_h, up_w;     // inputs stand so far apart, with zeros between; y and x count those, the box too
    int_t    rest_y, rest_x; // of y0 and x0 in it, and of strides and dilations
    int_t    stride_rest_h, stride_rest_w;
    int_t    dilation_rest_h, dilation_rest_w;
    int_t    row, column;    // elements to the next row and to the next column of the box
    int_t    zero_point;
    int_t    input_base;     // element under the first tap of the first pixel
    int_t    step_kx, step_ky, step_group;  // to the next tap: behind the channels, the columns, the rows of the kernel
    int_t    step_ox, step_oy, step_n;      // to the next pixel
    int_t    step_unit;      // to the input channels of the next group
    int_t    step_pack;      // to those of the next groups of a fold
    int_t    weight_base;
    int_t    step_columns;   // to the weights of the next columns
    int_t    step_weights;   // to those of the next groups
    int_t    step_channels;  // to the output channels of the next groups
    int_t    bias_base;
    int_t    accumulator_base;
  } compute_t;

  typedef struct packed {
    counts_t waits;
    int_t    sums;           // in the order of the outputs, channel last
    int_t    outputs;        // channels of the tile
    int_t    accumulator_base;
    int_t    base;           // in the output buffer
    int_t    parameters;     // address of those of the first channel
    int_t    per_channel;
    int_t    scheme;
    int_t    zero_point;
    int_t    clamp_min;
    int_t    clamp_max;
    int_t    pixels;         // of the tile, as the array has cut it: these for a unit that takes sums as they come
    int_t    groups;
    int_t    pack;
    int_t    unit;
    int_t    computes;       // compute operations that are over when the tile ends
  } requantize_t;

  typedef struct packed {
    counts_t waits;
    int_t    turn;
    int_t    base;
    int_t    elements;
    int_t    follows;        // a requantization, whose codes go as they come
    int_t    codes_before;   // those of all requantizations before it
    int_t    outputs, pixels, groups, pack, unit;
  } store_t;

  typedef struct packed {
    int_t outputs;           // channels of the tile
    int_t pixels;
    int_t groups;
    int_t pack;              // groups that share a fold
    int_t unit;              // channels of a group
  } walk_t;

  typedef struct packed {
    int_t taken;             // sums of the operation
    int_t vectors;           // of which so many have been taken whole
    int_t groups;            // groups before those of the vector
    int_t channels;          // and their channels
    int_t block, block_row;  // first column, and sums before its pixel where columns are pixels
    int_t step, step_row;    // pixel or channel of the vector, and sums before the pixel
    int_t column, row;       // of the sum in its group, and sums before its pixel where columns are pixels
    int_t group_channels;    // channels between the first group of the vector and that of the sum
  } sum_t;

  typedef struct packed {
    int_t ky, kx, ic;
    int_t y, x;              // beside the first tap, and what is left of whole inputs
    int_t rest_y, rest_x;
    int_t offset;
    int_t k;                 // number of the tap in its group
    int_t group;             // groups before it
  } tap_t;

  typedef struct packed {
    int_t oy, ox;
    int_t y, x;              // beside the first pixel, and what is left of whole inputs
    int_t rest_y, rest_x;
    int_t offset;
  } pixel_t;

  // Each function reads some fields of a record.
  // verilator lint_off UNUSEDSIGNAL
  function automatic tap_t next_tap(tap_t tap, compute_t op);
    tap_t next = tap;
    next.k = tap.k + 1;
    next.ic = tap.ic + 1;
    next.offset = tap.offset + 1;
    if (next.ic == op.ic) begin
      next.ic = 0;
      next.kx = tap.kx + 1;
      next.x = tap.x + op.dilation_w;
      next.offset = tap.offset + op.step_kx;
      next.rest_x = tap.rest_x + op.dilation_rest_w;
      if (next.rest_x >= op.up_w) begin
        next.rest_x = next.rest_x - op.up_w;
        next.offset = next.offset + op.column;
      end
      if (next.kx == op.kw) begin
        next.kx = 0;
        next.x = 0;
        next.rest_x = 0;
        next.ky = tap.ky + 1;
        next.y = tap.y + op.dilation_h;
        next.offset = tap.offset + op.step_ky;
        next.rest_y = tap.rest_y + op.dilation_rest_h;
        if (next.rest_y >= op.up_h) begin
          next.rest_y = next.rest_y - op.up_h;
          next.offset = next.offset + op.row;
        end
        if (next.ky == op.kh) begin
          next.ky = 0;
          next.y = 0;
          next.rest_y = 0;
          next.offset = tap.offset + op.step_group;
          next.k = 0;
          next.group = tap.group + 1;
        end
      end
    end
    return next;
  endfunction

  // The same channels of the next tap of the kernel.
  function automatic tap_t next_kernel_tap(tap_t tap, compute_t op);
    tap_t last = tap;
    last.ic = op.ic - 1;
    last.k = tap.k + op.ic - 1 - tap.ic;
    last.offset = tap.offset + op.ic - 1 - tap.ic;
    next_kernel_tap = next_tap(last, op);
    next_kernel_tap.ic = tap.ic;
    next_kernel_tap.k = next_kernel_tap.k + tap.ic;
    next_kernel_tap.offset = next_kernel_tap.offset + tap.ic;
  endfunction

  function automatic pixel_t next_pixel(pixel_t pixel, compute_t op);
    pixel_t next = pixel;
    next.ox = pixel.ox + 1;
    next.x = pixel.x + op.stride_w;
    next.offset = pixel.offset + op.step_ox;
    next.rest_x = pixel.rest_x + op.stride_rest_w;
    if (next.rest_x >= op.up_w) begin
      next.rest_x = next.rest_x - op.up_w;
      next.offset = next.offset + op.column;
    end
    if (next.ox == op.ow) begin
      next.ox = 0;
      next.x = 0;
      next.rest_x = 0;
      next.oy = pixel.oy + 1;
      next.y = pixel.y + op.stride_h;
      next.offset = pixel.offset + op.step_oy;
      next.rest_y = pixel.rest_y + op.stride_rest_h;
      if (next.rest_y >= op.up_h) begin
        next.rest_y = next.rest_y - op.up_h;
        next.offset = next.offset + op.row;
      end
      if (next.oy == op.oh) begin
        next.oy = 0;
        next.y = 0;
        next.rest_y = 0;
        next.offset = pixel.offset + op.step_n;
      end
    end
    return next;
  endfunction

  // What the rests of place, pixel and tap make together: 0, 1 or 2 whole inputs, if anything is left no input.
  function automatic int_t whole_inputs(int_t rest, int_t up);
    return (rest >= up + up) ? 2 : (rest >= up) ? 1 : 0;
  endfunction

  function automatic int_t input_offset(tap_t tap, pixel_t pixel, compute_t op);
    int_t rows, columns;
    rows = whole_inputs(op.rest_y + pixel.rest_y + tap.rest_y, op.up_h);
    columns = whole_inputs(op.rest_x + pixel.rest_x + tap.rest_x, op.up_w);
    input_offset = pixel.offset + tap.offset;
    if (rows != 0) input_offset = input_offset + ((rows == 2) ? op.row + op.row : op.row);
    if (columns != 0) input_offset = input_offset + ((columns == 2) ? op.column + op.column : op.column);
  endfunction

  function automatic logic on_input(int_t rest, int_t up);
    return rest == 0 || rest == up || rest == up + up;
  endfunction

  // Padding stands outside the box, whose elements are all there.
  function automatic logic inside_box(tap_t tap, pixel_t pixel, compute_t op);
    int_t y, x;
    y = op.y0 + pixel.y + tap.y;
    x = op.x0 + pixel.x + tap.x;
    return y >= 0 && y < op.box_h && x >= 0 && x < op.box_w && on_input(op.rest_y + pixel.rest_y + tap.rest_y, op.up_h)
        && on_input(op.rest_x + pixel.rest_x + tap.rest_x, op.up_w);
  endfunction

  // The sum that follows as the array finishes them, and its channel and place in the tile.
  function automatic sum_t next_sum(sum_t sum, walk_t of, int cols, logic turned);
    sum_t next;
    int_t whole;  // what columns hold of a group: its channels, or pixels
    int_t steps, columns, groups_here;
    next = sum;
    whole = turned ? of.pixels : of.unit;
    steps = turned ? of.unit : of.pixels;
    columns = (whole - sum.block < cols) ? whole - sum.block : cols;
    groups_here = (of.groups - sum.groups < of.pack) ? of.groups - sum.groups : of.pack;
    next.taken = sum.taken + 1;
    next.column = sum.column + 1;
    next.row = sum.row + of.outputs;
    if (next.column == columns) begin
      next.column = 0;
      next.row = 0;
      next.group_channels = sum.group_channels + of.unit;
      if (next.group_channels == groups_here * of.unit) begin
        next.group_channels = 0;
        next.vectors = sum.vectors + 1;
        next.step = sum.step + 1;
        next.step_row = sum.step_row + of.outputs;
        if (next.step == steps) begin
          next.step = 0;
          next.step_row = 0;
          next.block = sum.block + cols;
          next.block_row = sum.block_row + cols * of.outputs;
          if (next.block >= whole) begin
            next.block = 0;
            next.block_row = 0;
            next.groups = sum.groups + of.pack;
            next.channels = sum.channels + of.pack * of.unit;
          end
        end
      end
    end
    return next;
  endfunction

  function automatic int_t channel_of(sum_t sum, logic turned);
    return sum.channels + sum.group_channels + (turned ? sum.step : sum.block + sum.column);
  endfunction

  function automatic int_t place_of(sum_t sum, logic turned);
    return channel_of(sum, turned) + (turned ? sum.block_row + sum.row : sum.step_row);
  endfunction
  // verilator lint_on UNUSEDSIGNAL
endpackage
