// One MAC of the output-stationary array: acc <= fit((first ? bias : acc) + weight * activation).
module pe_os #(
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int ACC_BITS        = 32
) (
    input  logic                              clk,
    input  logic        [1:0]                 policy,
    input  logic        [ACTIVATION_BITS+2:0] left_in,    // {step, first, last, activation}
    output logic        [ACTIVATION_BITS+2:0] left_out,
    input  logic signed [WEIGHT_BITS-1:0]     weight_in,
    output logic signed [WEIGHT_BITS-1:0]     weight_out,
    input  logic signed [ACC_BITS-1:0]        bias,
    output logic signed [ACC_BITS-1:0]        acc
);
  localparam int PRODUCT_BITS = WEIGHT_BITS + ACTIVATION_BITS;
  localparam int SUM_BITS = ((ACC_BITS > PRODUCT_BITS) ? ACC_BITS : PRODUCT_BITS) + 1;

  logic signed [ACTIVATION_BITS-1:0] activation;
  logic step, first, last;
  logic signed [ACC_BITS-1:0] start, next;
  logic signed [SUM_BITS-1:0] total;

  assign {step, first, last, activation} = left_in;
  assign start = first ? bias : acc;
  assign total = SUM_BITS'(start) + SUM_BITS'(weight_in) * SUM_BITS'(activation);
  fit #(.IN_BITS(SUM_BITS), .OUT_BITS(ACC_BITS)) u_fit (.policy, .value(total), .held(next));

  always_ff @(posedge clk) begin
    left_out   <= {step, first, last, activation};
    weight_out <= weight_in;
    if (step) acc <= next;
  end
endmodule
