// Every scheme side by side on the same operands; `select` is the one that reaches the output. 64-bit accumulators.
module requantize_all
  import requantize_pkg::*;
(
    input  logic        [3:0]  select,
    input  logic signed [63:0] acc,
    input  logic signed [31:0] multiplier,
    input  logic signed [7:0]  shift,
    input  logic signed [31:0] zero_point,
    input  logic signed [31:0] clamp_min,
    input  logic signed [31:0] clamp_max,
    output logic signed [31:0] code
);
  logic signed [31:0] codes[12];
  assign code = codes[select];

  `define UNIT(INDEX, NAME, BITS) \
    requantize #(.SCHEME(NAME), .ACC_BITS(BITS)) u_``INDEX ( \
        .acc(acc[BITS-1:0]), .multiplier, .shift, .zero_point, .clamp_min, .clamp_max, .code(codes[INDEX]));
  `UNIT(0, TFLITE_DOUBLE, 32)
  `UNIT(1, HALF_UP_TWICE, 32)
  `UNIT(2, SINGLE, 32)
  `UNIT(3, TFLITE_INT16, 48)
  `UNIT(4, FIXED_HALF_UP, 48)
  `UNIT(5, ETHOSU_TRUNCATE, 32)
  `UNIT(6, NVDLA_CVT, 32)
  `UNIT(7, SHIFT_HALF_UP, 64)
  `UNIT(8, SHIFT_HALF_EVEN, 64)
  `UNIT(9, SHIFT_FLOOR, 64)
  `UNIT(10, VTA_SHIFT, 32)
  `UNIT(11, SHIFT_HALF_AWAY, 64)
endmodule
