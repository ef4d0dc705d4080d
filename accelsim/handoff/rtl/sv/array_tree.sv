// Broadcast array: reduction over the ROWS leaves and over folds, channels over columns. A vector of ROWS
// activations goes to all columns at once, or to each column that of its group; each column adds its ROWS products by a tree, exactly, and the tree's sum to the
// accumulator of the vector's pixel in one addition (products_per_add = ROWS).
//
//   fold:  acc[t][c] <= fit((first ? bias[c] : acc[t][c]) + sum over j of activation[t][j] * weight[j][c])
//   cycle: one vector per cycle and nothing to skew; STAGES registers between a vector's products and its accumulator, so that the
//          last word of n vectors is written by the end of cycle number n + STAGES, counted from 1. The weights of a fold come
//          with its vectors: they are the outputs of registers filled while the fold before ran.
module array_tree #(
    parameter int COLS            = 4,
    parameter int ROWS            = 4,  // leaves of a column's tree
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int ADDR_BITS       = 8,
    parameter int STAGES          = 0,
    parameter int TREE_BITS       = WEIGHT_BITS + ACTIVATION_BITS + $clog2(ROWS)
) (
    input  logic                                       clk,
    input  logic                                       enter,        // a vector of activations enters
    input  logic                                       enter_last,   // the last one of the tile
    input  logic                                       enter_first,  // its accumulators start at the bias
    input  logic [COLS-1:0][ADDR_BITS-1:0]            enter_address,
    input  logic [COLS-1:0]                            enter_columns,  // that have sums
    input  logic [ROWS-1:0][COLS-1:0][WEIGHT_BITS-1:0] weights,
    input  logic [COLS-1:0][ROWS-1:0][ACTIVATION_BITS-1:0] activations,  // as each column sees them
    input  logic [COLS-1:0][ACC_BITS-1:0]              bias,
    output logic                                       done,         // the last accumulator of the tile is written at this edge
    output logic [COLS-1:0]                            write,
    output logic [COLS-1:0]                            first,
    output logic [COLS-1:0][ADDR_BITS-1:0]             address,
    output logic [COLS-1:0][ACC_BITS-1:0]              starts,
    output logic [COLS-1:0][TREE_BITS-1:0]             sums
);
  localparam int PRODUCT_BITS = WEIGHT_BITS + ACTIVATION_BITS;
  typedef struct packed {
    logic                 write;
    logic                 last;
    logic                 first;
    logic [COLS-1:0][ADDR_BITS-1:0] address;
    logic [COLS-1:0] columns;
    logic [COLS-1:0][ACC_BITS-1:0] bias;
  } control_t;

  control_t early, late;
  assign early = '{write: enter, last: enter_last, first: enter_first, address: enter_address, columns: enter_columns, bias: bias};
  delay #(.BITS($bits(control_t)), .STAGES(STAGES)) u_control (.clk, .early(early), .late(late));

  for (genvar c = 0; c < COLS; c++) begin : g_col
    logic [ROWS-1:0][PRODUCT_BITS-1:0] products;
    logic [TREE_BITS-1:0] sum;

    for (genvar j = 0; j < ROWS; j++) begin : g_product
      assign products[j] = PRODUCT_BITS'($signed(weights[j][c])) * PRODUCT_BITS'($signed(activations[c][j]));
    end
    adder_tree #(.LEAVES(ROWS), .BITS(PRODUCT_BITS)) u_tree (.terms(products), .total(sum));
    delay #(.BITS(TREE_BITS), .STAGES(STAGES)) u_sum (.clk, .early(sum), .late(sums[c]));
    assign write[c]   = late.write && late.columns[c];
    assign first[c]   = late.first;
    assign address[c] = late.address[c];
    assign starts[c]  = late.bias[c];
  end
  assign done = late.write && late.last;
endmodule
