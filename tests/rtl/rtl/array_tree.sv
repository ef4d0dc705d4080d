// Broadcast array: every column is one channel; TREE activations go to all columns at once, each column adds its TREE products
// by a tree and the tree's exact sum to its accumulator in one addition (products_per_add = TREE).
//
//   step:  acc[c] <= fit((first ? bias[c] : acc[c]) + sum over j of activation[j] * weight[c][j])
//   cycle: one step per cycle, nothing to fill or drain: pixels * ceil(reduction / TREE) cycles per COLS channels.
module array_tree #(
    parameter int COLS            = 4,
    parameter int TREE            = 4,
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32
) (
    input  logic                                          clk,
    input  logic [1:0]                                    policy,
    input  logic                                          step,
    input  logic                                          step_first,
    input  logic [COLS-1:0][TREE-1:0][WEIGHT_BITS-1:0]    weights,
    input  logic [TREE-1:0][ACTIVATION_BITS-1:0]          activations,
    input  logic [COLS-1:0][ACC_BITS-1:0]                 bias,
    output logic [COLS-1:0][ACC_BITS-1:0]                 acc
);
  localparam int PRODUCT_BITS = WEIGHT_BITS + ACTIVATION_BITS;
  localparam int TREE_BITS = PRODUCT_BITS + $clog2(TREE);
  localparam int SUM_BITS = ((ACC_BITS > TREE_BITS) ? ACC_BITS : TREE_BITS) + 1;

  for (genvar c = 0; c < COLS; c++) begin : g_col
    logic [TREE-1:0][PRODUCT_BITS-1:0] products;
    logic signed [TREE_BITS-1:0] sum;
    logic signed [SUM_BITS-1:0] total;
    logic signed [ACC_BITS-1:0] next;

    for (genvar j = 0; j < TREE; j++) begin : g_product
      assign products[j] = PRODUCT_BITS'($signed(weights[c][j])) * PRODUCT_BITS'($signed(activations[j]));
    end
    adder_tree #(.LEAVES(TREE), .BITS(PRODUCT_BITS)) u_tree (.terms(products), .total(sum));
    assign total = SUM_BITS'($signed(step_first ? bias[c] : acc[c])) + SUM_BITS'(sum);
    fit #(.IN_BITS(SUM_BITS), .OUT_BITS(ACC_BITS)) u_fit (.policy, .value(total), .held(next));
    always_ff @(posedge clk) if (step) acc[c] <= next;
  end
endmodule
