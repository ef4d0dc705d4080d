// One stage of a requantization unit: `kind` says what it does to x, `operand` is its constant or what the layer gives.
//
//   ADD        x + operand              LIMIT  the nearest of low ... high (saturate, clip)
//   MULTIPLY   x * operand              WRAP   the low `operand` bits, two's complement where `rounding` is not 0
//   SHIFT      x / 2^operand, rounded   LEFT   x * 2^operand
//   TABLE      the entry of x + operand
// The result register has `bits` bits, sign included: a narrower one than the values need shows as a wrong code.
module output_stage
  import output_stages_pkg::*;
#(
    parameter int ENTRIES = 1  // of the table
) (
    input  logic signed [63:0]        x,
    input  logic        [2:0]         kind,
    input  logic        [2:0]         rounding,
    input  logic signed [63:0]        operand,
    input  logic signed [63:0]        low,
    input  logic signed [63:0]        high,
    input  logic        [6:0]         bits,
    input  logic [ENTRIES-1:0][31:0]  entries,
    output logic signed [63:0]        y
);
  localparam int INDEX_BITS = (ENTRIES > 1) ? $clog2(ENTRIES) : 1;
  typedef logic signed [127:0] wide_t;  // holds every product and left shift exactly

  function automatic wide_t round_shift(wide_t value, int s, logic [2:0] how);
    wide_t half, rest, bias, ones;
    if (s == 0) return value;
    half = wide_t'(1) <<< (s - 1);
    ones = (half <<< 1) - wide_t'(1);
    rest = value & ones;
    case (how)
      HALF_EVEN: bias = (rest == half && !value[s]) ? '0 : half;
      HALF_AWAY: bias = (value < 0) ? half - wide_t'(1) : half;
      HALF_UP:   bias = half;
      HALF_DOWN: bias = half - wide_t'(1);
      TRUNC:     bias = (value < 0) ? ones : '0;
      CEIL:      bias = ones;
      AWAY:      bias = (value < 0) ? '0 : ones;
      default:   bias = '0;
    endcase
    return (value + bias) >>> s;
  endfunction

  function automatic wide_t wrap(wide_t value, int n, logic is_signed);
    wide_t moved;
    moved = value <<< (128 - n);
    return is_signed ? moved >>> (128 - n) : wide_t'($unsigned(moved) >> (128 - n));
  endfunction

  wide_t result;
  always_comb begin
    case (kind)
      ADD:      result = wide_t'(x) + wide_t'(operand);
      MULTIPLY: result = wide_t'(x) * wide_t'(operand);
      SHIFT:    result = round_shift(wide_t'(x), 32'(operand), rounding);
      LEFT:     result = wide_t'(x) <<< operand[6:0];
      WRAP:     result = wrap(wide_t'(x), 32'(operand), rounding != 0);
      LIMIT:    result = (x < low) ? wide_t'(low) : (x > high) ? wide_t'(high) : wide_t'(x);
      default:  result = wide_t'($signed(entries[INDEX_BITS'(x + operand)]));
    endcase
  end
  assign y = 64'(wrap(result, 32'(bits), 1'b1));
endmodule
