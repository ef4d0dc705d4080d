// One MAC unit of the output-stationary array: acc <= fit((first ? bias : acc) + the sum of PRODUCTS weights * activations), STAGES cycles
// later.
module pe_os #(
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32,
    parameter int STAGES          = 0,
    parameter int PRODUCTS        = 1
) (
    input  logic                              clk,
    input  logic        [1:0]                 policy,
    input  logic [PRODUCTS*ACTIVATION_BITS+2:0]      left_in,    // {step, first, last, activations}
    output logic [PRODUCTS*ACTIVATION_BITS+2:0]      left_out,
    input  logic [PRODUCTS-1:0][WEIGHT_BITS-1:0]     weight_in,
    output logic [PRODUCTS-1:0][WEIGHT_BITS-1:0]     weight_out,
    input  logic signed [ACC_BITS-1:0]        bias,
    output logic signed [ACC_BITS-1:0]        acc,
    output logic signed [ACC_BITS-1:0]        sum,        // what acc takes at this edge, if anything
    output logic                              wrote_last  // the fold's last product is added at this edge
);
  localparam int PRODUCT_BITS = WEIGHT_BITS + ACTIVATION_BITS + $clog2(PRODUCTS);
  localparam int SUM_BITS = ((ACC_BITS > PRODUCT_BITS) ? ACC_BITS : PRODUCT_BITS) + 1;

  logic [PRODUCTS-1:0][ACTIVATION_BITS-1:0] activation;
  logic step, first, last, step_late, first_late, last_late;
  logic signed [PRODUCT_BITS-1:0] product;
  logic [PRODUCT_BITS-1:0] product_late;
  logic signed [ACC_BITS-1:0] start, next;
  logic signed [SUM_BITS-1:0] total;

  assign {step, first, last, activation} = left_in;
  always_comb begin
    product = '0;
    for (int i = 0; i < PRODUCTS; i++)
      product = product + PRODUCT_BITS'($signed(weight_in[i])) * PRODUCT_BITS'($signed(activation[i]));
  end
  delay #(.BITS(PRODUCT_BITS + 3), .STAGES(STAGES)) u_product (
      .clk, .early({step, first, last, product}), .late({step_late, first_late, last_late, product_late})
  );
  assign start = first_late ? bias : acc;
  assign total = SUM_BITS'(start) + SUM_BITS'($signed(product_late));
  fit #(.IN_BITS(SUM_BITS), .OUT_BITS(ACC_BITS)) u_fit (.policy, .value(total), .held(next));
  assign sum = next;
  assign wrote_last = step_late && last_late;

  always_ff @(posedge clk) begin
    left_out   <= {step, first, last, activation};
    weight_out <= weight_in;
    if (step_late) acc <= next;
  end
endmodule
