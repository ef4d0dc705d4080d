// One MAC unit of the weight-stationary array: psum_out = psum_in + the sum of PRODUCTS weights * activations, exact.
//
// Weights pass down one row per cycle, the row's own first for row 0; the capture token passes down one row in two cycles, so
// that at row r it meets the r-th weight that followed it. The weight waits in `shadow` until the first activation of its
// fold arrives with `swap`: a running fold is not disturbed while the next one's weights pass (TPUv1's double buffering).
module pe_ws #(
    parameter int WEIGHT_BITS     = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int PSUM_BITS       = 20,
    parameter int PRODUCTS        = 1
) (
    input  logic                              clk,
    input  logic [PRODUCTS-1:0][WEIGHT_BITS-1:0]     weight_in,
    output logic [PRODUCTS-1:0][WEIGHT_BITS-1:0]     weight_out,
    input  logic                              capture_in,
    output logic                              capture_out,
    input  logic [PRODUCTS-1:0][ACTIVATION_BITS-1:0] activation_in,
    output logic [PRODUCTS-1:0][ACTIVATION_BITS-1:0] activation_out,
    input  logic                              swap_in,
    output logic                              swap_out,
    input  logic signed [PSUM_BITS-1:0]       psum_in,
    output logic signed [PSUM_BITS-1:0]       sum,       // of this cycle
    output logic signed [PSUM_BITS-1:0]       psum_out   // registered, for the row below
);
  logic [PRODUCTS-1:0][WEIGHT_BITS-1:0] shadow, held, weight;
  logic capture_half;

  assign weight = swap_in ? shadow : held;
  always_comb begin
    sum = psum_in;
    for (int i = 0; i < PRODUCTS; i++) sum = sum + PSUM_BITS'($signed(weight[i])) * PSUM_BITS'($signed(activation_in[i]));
  end

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
