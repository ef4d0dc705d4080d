// The scales that requantize.sv implements, in the order of requantize_all's outputs.
package requantize_pkg;
  typedef enum int {
    TFLITE_DOUBLE,
    HALF_UP_TWICE,
    SINGLE,
    TFLITE_INT16,
    FIXED_HALF_UP,
    ETHOSU_TRUNCATE,
    NVDLA_CVT,
    SHIFT_HALF_UP,
    SHIFT_HALF_EVEN,
    SHIFT_FLOOR,
    VTA_SHIFT,
    SHIFT_HALF_AWAY
  } scheme_t;
endpackage
