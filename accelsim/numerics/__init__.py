"""What an n-bit integer is: formats, rounding, overflow and requantization; every rule has a pure-``int`` twin.

Compiled functions that others call by name (``_COMPILED``) are importable from here as well; asking for one imports numba.
"""

from __future__ import annotations

from typing import Any

from accelsim.numerics.float32 import FLOAT32_OPERATORS, dequantize_float32, quantize_float32
from accelsim.numerics.formulas import FUNCTIONS, PRIMITIVES
from accelsim.numerics.intformat import BIPOLAR, INT4, INT8, INT16, INT32, INT64, UINT8, IntFormat
from accelsim.numerics.mlas import fused, mlas_erf, mlas_gelu, mlas_logistic, mlas_tanh
from accelsim.numerics.overflow import Overflow, fit, fit_array, lowest
from accelsim.numerics.requant import Requant, Requantization, multiply, requantize, requantize_int, shift_form
from accelsim.numerics.rounding import Rounding, round_divide, round_shift
from accelsim.numerics.scheme_facts import Encoder, Family, Folding, RequantScheme
from accelsim.numerics.schemes import ALIAS_REASONS, ALIASES, SCHEMES, scheme_named
from accelsim.numerics.shift_form import ShiftForm
from accelsim.numerics.stages import (
    MOST_STAGES,
    STAGES_PREFIX,
    Kind,
    Operand,
    Stage,
    StagedScheme,
    StageList,
    stage_list,
    staged_scheme,
)
from accelsim.numerics.thresholds import NEVER, Thresholds
from accelsim.numerics.twins import ieee_round, mbqm_int, rdbpot_int, reduced_multiplier16, srdhm_int

_COMPILED = frozenset(
    {
        "multiply_by_quantized_multiplier",
        "rounding_divide_by_pot",
        "saturating_rounding_doubling_high_mul",
    }
)


def __getattr__(name: str) -> Any:
    """Import a compiled primitive when it is first asked for (PEP 562)."""
    if name not in _COMPILED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from accelsim.numerics import _kernels

    return getattr(_kernels, name)
