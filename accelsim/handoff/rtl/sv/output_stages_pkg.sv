// Kinds and roundings of output_stage.sv, in the order of accelsim/numerics/stages/_loop.py and rounding.py.
package output_stages_pkg;
  typedef enum logic [2:0] {ADD, MULTIPLY, SHIFT, LEFT, WRAP, LIMIT, TABLE} kind_t;
  typedef enum logic [2:0] {HALF_EVEN, HALF_AWAY, HALF_UP, HALF_DOWN, FLOOR, TRUNC, CEIL, AWAY} rounding_t;
endpackage
