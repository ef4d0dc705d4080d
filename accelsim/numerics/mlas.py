"""Functions of one float32 number as ONNX Runtime computes them: the polynomials of MLAS with FMA, operation by operation.

Constants and order are those of onnxruntime/core/mlas/lib: logistic.cpp, tanh.cpp and erf.cpp, in their kernels for x86 with FMA3.
The polynomials of the logistic function end in a sum with 1/2, so that small results have an absolute error of 3e-8, not a relative one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
F = np.float32

LOGISTIC_BOUND, TANH_BOUND = F(18), F(9)
LOGISTIC_OVER = (
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
)
LOGISTIC_UNDER = (
    6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03, 1.16817656904453e-01,
    9.93151921023180e-01,
)  # fmt: skip
TANH_OVER = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08, 1.48572235717979e-05,
    6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
TANH_UNDER = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
ERF_BOUND, ERF_SPLIT = F(3.925), F(0.921875)
ERF_SMALL = (-5.99104969e-4, 4.99339588e-3, -2.67667342e-2, 1.12818025e-1, -3.76124859e-1, 1.28379151e-1)
ERF_BIG = (1.72948930e-5, -3.83208680e-4, 3.88393435e-3, -2.42545605e-2, 1.06777847e-1, 6.34846687e-1, 1.28717512e-1)
LEAST_EXPONENT = F(-88.3762626647949)
EXP = (1.38319808e-3, 8.37550033e-3, 4.16689515e-2, 1.66664466e-1, 4.99999851e-1, 1.0, 1.0)
LOG2_E, LN2_HIGH, LN2_LOW = F(1.44269504088896341), F(-6.93145752e-1), F(-1.42860677e-6)
TO_WHOLE = F(1.5 * 2**23)
"""What is added to a float32 number, and taken off again, to round it to a whole one."""


def fused(a: Any, b: Any, c: Any) -> Floats:
    """``a * b + c`` of float32 numbers, rounded once; the arrays' twin of the scalar :func:`accelsim.kernels._rows.fused`.

    The product is exact in float64. Where the sum is not, its last bit is set to odd towards what was lost (Boldo and Melquiond,
    "Emulation of a FMA", 2008).
    """
    product, addend = np.asarray(a, np.float64) * np.asarray(b, np.float64), np.asarray(c, np.float64)
    total = np.asarray(product + addend)
    back = total - product
    lost = (product - (total - back)) + (addend - back)
    bits = total.view(np.int64)
    inexact = (lost != 0) & np.isfinite(total) & ((bits & 1) == 0)
    outward = (lost > 0) == (total > 0)
    odd = np.where(inexact, np.where(outward, bits + 1, bits - 1), bits)
    result: Floats = odd.view(np.float64).astype(np.float32)
    return result


def mlas_logistic(x: Floats) -> Floats:
    """``1 / (1 + exp(-x))``; some results are 1 + 2^-23, which the kernel lets through."""
    bounded = np.clip(x, -LOGISTIC_BOUND, LOGISTIC_BOUND)
    real: Floats = np.maximum(_odd_quotient(bounded, LOGISTIC_OVER, LOGISTIC_UNDER) + F(0.5), F(0))
    return real


def mlas_tanh(x: Floats) -> Floats:
    """``tanh(x)``."""
    return _odd_quotient(np.clip(x, -TANH_BOUND, TANH_BOUND), TANH_OVER, TANH_UNDER)


def mlas_erf(x: Floats) -> Floats:
    """``erf(x)``: a polynomial up to ``ERF_SPLIT``, and beyond it ``1 - exp`` of one."""
    size = np.minimum(np.abs(x), ERF_BOUND)
    near = fused(_polynomial(size * size, ERF_SMALL), size, size)
    far = F(1) - _exp(np.maximum(LEAST_EXPONENT, -fused(_polynomial(size, ERF_BIG), size, size)))
    real: Floats = np.copysign(np.where(size > ERF_SPLIT, far, near), x)
    return real


def mlas_gelu(x: Floats) -> Floats:
    """``x/2 * (1 + erf(x / sqrt 2))``, the quotient a product with the float32 nearest to its reciprocal."""
    real: Floats = F(0.5) * (x * (F(1) + mlas_erf(x * F(np.sqrt(0.5)))))
    return real


def _odd_quotient(x: Floats, over: Sequence[float], under: Sequence[float]) -> Floats:
    """``x * over(x^2) / under(x^2)``."""
    square = x * x
    quotient: Floats = _polynomial(square, over) * x / _polynomial(square, under)
    return quotient


def _polynomial(x: Floats, coefficients: Sequence[float]) -> Floats:
    """From the highest power down."""
    value = np.full(x.shape, coefficients[0], np.float32)
    for coefficient in coefficients[1:]:
        value = fused(value, x, F(coefficient))
    return value


def _exp(x: Floats) -> Floats:
    """A power of two times a polynomial of what is left."""
    whole = fused(LOG2_E, x, TO_WHOLE) - TO_WHOLE
    left = fused(whole, LN2_LOW, fused(whole, LN2_HIGH, x))
    real: Floats = np.ldexp(_polynomial(left, EXP), np.nan_to_num(whole).astype(np.int32))
    return real
