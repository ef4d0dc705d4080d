// A device under test to begin with: one multiplier, one accumulator, one requantizer. Put your own in its place.
//
// start loads the bias; each cycle with valid adds one product w * (x - x_zero); finish requantizes: one cycle later done is 1,
// acc is the finished sum, code the output. A sum that leaves ACC_BITS wraps (POLICY 0), saturates (1), or saturates at -max and max (2).
`timescale 1ns / 1ps
module toy_mac #(
    parameter ACC_BITS = 32,
    parameter POLICY   = 0
) (
    input  wire               clk,
    input  wire               start,
    input  wire               valid,
    input  wire               finish,
    input  wire signed [63:0] bias,
    input  wire signed [32:0] x,
    input  wire signed [32:0] x_zero,
    input  wire signed [32:0] w,
    input  wire signed [32:0] factor,
    input  wire signed [63:0] offset,
    input  wire signed [63:0] negative,
    input  wire        [7:0]  shift,
    input  wire signed [32:0] y_zero,
    input  wire signed [32:0] clamp_min,
    input  wire signed [32:0] clamp_max,
    output reg                done,
    output reg signed  [63:0] acc,
    output reg signed  [32:0] code
);
    localparam signed [79:0] MAX = (80'sd1 <<< (ACC_BITS - 1)) - 80'sd1;
    localparam signed [79:0] MIN = POLICY == 2 ? -MAX : -MAX - 80'sd1;

    /* verilator lint_off UNUSEDSIGNAL */  // high bits of sums that were fitted, of codes that were clamped
    function signed [63:0] fit(input signed [79:0] sum);
        reg signed [79:0] moved;
        begin
            moved = (sum <<< (80 - ACC_BITS)) >>> (80 - ACC_BITS);
            if (POLICY != 0) moved = sum < MIN ? MIN : sum > MAX ? MAX : sum;
            fit = moved[63:0];
        end
    endfunction

    wire signed [79:0] product = 80'(w) * (80'(x) - 80'(x_zero));
    wire signed [95:0] scaled  = 96'(acc) * 96'(factor);
    wire signed [95:0] rounded = scaled + 96'(offset) - (scaled < 0 ? 96'(negative) : 96'sd0);
    wire signed [95:0] moved   = (rounded >>> shift) + 96'(y_zero);
    wire signed [95:0] low     = moved < 96'(clamp_min) ? 96'(clamp_min) : moved;
    wire signed [95:0] clamped = low > 96'(clamp_max) ? 96'(clamp_max) : low;
    /* verilator lint_on UNUSEDSIGNAL */

    always @(posedge clk) begin
        done <= finish;
        code <= clamped[32:0];
        if (start) acc <= fit(80'(bias));
        else if (valid) acc <= fit(80'(acc) + product);
    end
endmodule
