// Accumulator to output code, combinational: clamp(scale(acc) + zero_point, clamp_min, clamp_max); SCHEME names the scale.
//
//   tflite_double    half_away(high(acc << max(e, 0)) / 2^max(-e, 0)), high(a) = min((a m + 2^30) >> 31, 2^31 - 1); << wraps
//   half_up_twice    the same with both roundings half up
//   single           (acc m + 2^(30-e)) >> (31 - e)
//   tflite_int16     (acc m16 + 2^(14-e)) >> (15 - e), m16 = min((m + 2^15) >> 16, 2^15 - 1)
//   fixed_half_up    (acc m + 2^(s-1)) >> s: single_N, xnnpack_rndnu
//   ethosu_truncate  acc m / 2^s toward zero
//   nvdla_cvt        acc m / 2^s half away from zero, saturated to 17 bits
//   shift_half_up, shift_half_away, shift_half_even, shift_floor: acc / 2^s, a negative s shifts left
//   vta_shift        low 8 bits of (acc >> s) + zero_point after MAX and MIN
// `multiplier` is m; `shift` is the exponent e of M = m 2^(e-31) for the first four, the right shift s for the others.
module requantize
  import requantize_pkg::*;
#(
    parameter scheme_t SCHEME   = SINGLE,
    parameter int      ACC_BITS = 32
) (
    input  logic signed [ACC_BITS-1:0] acc,
    input  logic signed [31:0]         multiplier,
    input  logic signed [7:0]          shift,
    input  logic signed [31:0]         zero_point,
    input  logic signed [31:0]         clamp_min,
    input  logic signed [31:0]         clamp_max,
    output logic signed [31:0]         code
);
  localparam int WIDE = 128;  // holds every product and every left shift exactly; synthesis trims what a scheme leaves unused
  typedef logic signed [WIDE-1:0] wide_t;
  typedef enum {HALF_UP, HALF_AWAY, HALF_EVEN, FLOOR, TRUNC} rounding_t;

  function automatic wide_t round_shift(wide_t value, int s, rounding_t rounding);
    wide_t half, rest, bias;
    if (s <= 0) return value <<< -s;
    half = wide_t'(1) <<< (s - 1);
    rest = value & ((half <<< 1) - wide_t'(1));
    case (rounding)
      HALF_UP:   bias = half;
      HALF_AWAY: bias = (value < 0) ? half - wide_t'(1) : half;
      HALF_EVEN: bias = (rest == half && !value[s]) ? '0 : half;
      TRUNC:     bias = (value < 0) ? (half <<< 1) - wide_t'(1) : '0;
      default:   bias = '0;
    endcase
    return (value + bias) >>> s;
  endfunction

  function automatic wide_t limit(wide_t value, wide_t low, wide_t high);
    return (value < low) ? low : (value > high) ? high : value;
  endfunction

  // The saturating doubling high multiply of gemmlowp and NEON after a left shift that wraps at 32 bits.
  function automatic wide_t high_multiply(wide_t value, logic signed [31:0] m, int left);
    logic signed [31:0] shifted;
    wide_t scaled;
    shifted = 32'(value <<< left);
    scaled  = round_shift(wide_t'(shifted) * wide_t'(m), 31, HALF_UP);
    return limit(scaled, scaled, 128'sd2147483647);
  endfunction

  // Each scheme reads some of them.
  // verilator lint_off UNUSEDSIGNAL
  wide_t wide, product, m16, scaled, moved;
  int    s, left, right;
  // verilator lint_on UNUSEDSIGNAL
  assign wide    = wide_t'(acc);
  assign product = wide * wide_t'(multiplier);
  assign m16     = limit(round_shift(wide_t'(multiplier), 16, HALF_UP), -128'sd32768, 128'sd32767);
  assign s       = 32'(shift);
  assign left    = (s > 0) ? s : 0;
  assign right   = (s < 0) ? -s : 0;

  if (SCHEME == TFLITE_DOUBLE) begin : g_scale
    assign scaled = round_shift(high_multiply(wide, multiplier, left), right, HALF_AWAY);
  end else if (SCHEME == HALF_UP_TWICE) begin : g_scale
    assign scaled = round_shift(high_multiply(wide, multiplier, left), right, HALF_UP);
  end else if (SCHEME == SINGLE) begin : g_scale
    assign scaled = round_shift(product, 31 - s, HALF_UP);
  end else if (SCHEME == TFLITE_INT16) begin : g_scale
    assign scaled = round_shift(wide * m16, 15 - s, HALF_UP);
  end else if (SCHEME == FIXED_HALF_UP) begin : g_scale
    assign scaled = round_shift(product, s, HALF_UP);
  end else if (SCHEME == ETHOSU_TRUNCATE) begin : g_scale
    assign scaled = round_shift(product, s, TRUNC);
  end else if (SCHEME == NVDLA_CVT) begin : g_scale
    assign scaled = limit(round_shift(product, s, HALF_AWAY), -128'sd65536, 128'sd65535);
  end else if (SCHEME == SHIFT_HALF_UP) begin : g_scale
    assign scaled = round_shift(wide, s, HALF_UP);
  end else if (SCHEME == SHIFT_HALF_AWAY) begin : g_scale
    assign scaled = round_shift(wide, s, HALF_AWAY);
  end else if (SCHEME == SHIFT_HALF_EVEN) begin : g_scale
    assign scaled = round_shift(wide, s, HALF_EVEN);
  end else if (SCHEME == SHIFT_FLOOR || SCHEME == VTA_SHIFT) begin : g_scale
    assign scaled = round_shift(wide, s, FLOOR);
  end else begin : g_scale
    $error("requantize: unknown SCHEME");
  end

  assign moved = scaled + wide_t'(zero_point);
  if (SCHEME == VTA_SHIFT) begin : g_code
    wide_t above, below;
    assign above = (clamp_min > -32'sd128 && moved < wide_t'(clamp_min)) ? wide_t'(clamp_min) : moved;
    assign below = (clamp_max < 32'sd127 && above > wide_t'(clamp_max)) ? wide_t'(clamp_max) : above;
    assign code  = 32'($signed(below[7:0]));
  end else begin : g_code
    assign code = 32'(limit(moved, wide_t'(clamp_min), wide_t'(clamp_max)));
  end
endmodule
