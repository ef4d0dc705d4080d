// One MAC of the weight-stationary array: psum_out = psum_in + weight * activation, exact.
//
// Weights pass down one row per cycle, the row's own first for row 0; the capture token passes down one row in two cycles, so
// that at row r it meets the r-th weight that followed it. The weight waits in `shadow` until the first activation of its
// fold arrives with `swap`: a running fold is not disturbed while the next one's weights pass (TPUv1's double buffering).
module pe_ws #(
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int PSUM_BITS       = 20
) (
    input  logic                              clk,
    input  logic signed [WEIGHT_BITS-1:0]     weight_in,
    output logic signed [WEIGHT_BITS-1:0]     weight_out,
    input  logic                              capture_in,
    output logic                              capture_out,
    input  logic signed [ACTIVATION_BITS-1:0] activation_in,
    output logic signed [ACTIVATION_BITS-1:0] activation_out,
    input  logic                              swap_in,
    output logic                              swap_out,
    input  logic signed [PSUM_BITS-1:0]       psum_in,
    output logic signed [PSUM_BITS-1:0]       sum,       // of this cycle
    output logic signed [PSUM_BITS-1:0]       psum_out   // registered, for the row below
);
  logic signed [WEIGHT_BITS-1:0] shadow, held, weight;
  logic capture_half;

  assign weight = swap_in ? shadow : held;
  assign sum    = psum_in + PSUM_BITS'(weight) * PSUM_BITS'(activation_in);

  always_ff @(posedge clk) begin
    weight_out     <= weight_in;
    capture_half   <= capture_in;
    capture_out    <= capture_half;
    if (capture_in) shadow <= weight_in;
    held           <= weight;
    activation_out <= activation_in;
    swap_out       <= swap_in;
    psum_out       <= sum;
  end
endmodule
