"""The rules as compiled code calls them, from scalars up."""

from accelsim.numerics._kernels import (
    float32_half_even_rows,
    float64_half_away_rows,
    multiply_by_quantized_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    threshold_rows,
)
