"""Does fake-quant match the integer hardware? If not: which layer, which element, why."""

from accelsim.verification.names import (
    BIAS,
    CLAMP,
    INPUT_ZERO,
    MULTIPLIER,
    OUTPUT_ZERO,
    PADDING,
    ROUNDING,
    TIE,
    TRUNCATION,
)
from accelsim.verification.oracles import ORACLES, Oracle, make_oracle
from accelsim.verification.readings.exact import ExactRequant, decimal, multipliers_of
from accelsim.verification.records import Cause, Comparison, Finding, FirstDifference, LayerReport, OutputEffect
from accelsim.verification.report import VerificationReport, WidthRow, WidthStudy
from accelsim.verification.session import RANDOM_INPUTS, verify
from accelsim.verification.tolerance import Tolerance
