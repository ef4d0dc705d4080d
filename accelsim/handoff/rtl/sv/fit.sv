// A value as an accumulator of OUT_BITS holds it.
//   policy 0, wrap:               value modulo 2^OUT_BITS
//   policy 1, saturate:           [-2^(OUT_BITS-1), 2^(OUT_BITS-1) - 1]
//   policy 2, saturate_symmetric: [-2^(OUT_BITS-1) + 1, 2^(OUT_BITS-1) - 1]
module fit #(
    parameter int IN_BITS  = 33,
    parameter int OUT_BITS = 32
) (
    input  logic        [1:0]          policy,
    input  logic signed [IN_BITS-1:0]  value,
    output logic signed [OUT_BITS-1:0] held
);
  localparam logic signed [IN_BITS-1:0] HIGH = IN_BITS'((64'sd1 <<< (OUT_BITS - 1)) - 64'sd1);

  logic signed [IN_BITS-1:0] low;
  assign low = (policy == 2'd2) ? -HIGH : -HIGH - IN_BITS'(1);

  always_comb begin
    held = value[OUT_BITS-1:0];
    if (policy != 2'd0 && value > HIGH) held = HIGH[OUT_BITS-1:0];
    if (policy != 2'd0 && value < low) held = low[OUT_BITS-1:0];
  end
endmodule
