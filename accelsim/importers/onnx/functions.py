"""Functions of real numbers as ONNX defines them: those of MLAS as it has them, others computed in float64 and rounded once to float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.formulas import Floats, Function
from accelsim.numerics import FLOAT32_OPERATORS, mlas_erf, mlas_gelu

Doubles = NDArray[np.float64]
FunctionOfTwo = Callable[[Floats, Floats], Floats]
TANH_GELU = math.sqrt(2 / math.pi), 0.044715
"""Factors of ``x`` and ``x^3`` in the approximate Gelu (Hendrycks and Gimpel, arXiv 1606.08415)."""


def wide(function: Callable[[Doubles], Doubles]) -> Function:
    """``function`` of float32 numbers, computed in float64; float64 numbers stay what they are."""

    def narrow(x: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return function(x.astype(np.float64)).astype(_kind(x))

    return narrow


def _erf(x: Doubles) -> Doubles:
    real: Doubles = np.array([math.erf(v) for v in x.reshape(-1)], np.float64).reshape(x.shape)
    return real


def _gelu(x: Doubles) -> Doubles:
    real: Doubles = 0.5 * x * (1 + _erf(x / math.sqrt(2)))
    return real


def known(in_float32: Function, function: Callable[[Doubles], Doubles]) -> Function:
    """``in_float32`` of float32 numbers, ``function`` of float64 ones."""
    return lambda x: in_float32(x) if x.dtype == np.float32 else wide(function)(x)


gelu = known(mlas_gelu, _gelu)
"""``x/2 * (1 + erf(x / sqrt 2))``."""


def tanh_gelu(x: Doubles) -> Doubles:
    """``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))``."""
    outer, inner = TANH_GELU
    real: Doubles = 0.5 * x * (1 + np.tanh(outer * (x + inner * x**3)))
    return real


def elu(alpha: float) -> Function:
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    return wide(lambda x: np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0))))


def celu(alpha: float) -> Function:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""
    return wide(lambda x: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha)))


def selu(alpha: float, gamma: float) -> Function:
    """``gamma`` times :func:`elu`."""
    return wide(lambda x: np.float32(gamma) * np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0))))


def softplus(x: Doubles) -> Doubles:
    """``log(1 + exp(x))``."""
    real: Doubles = np.logaddexp(0, x)
    return real


def _softsign(x: Floats) -> Floats:
    """``x * (1 / (1 + |x|))``, rounded after each operation."""
    one = _kind(x)(1)
    real: Floats = x * (one / (one + np.abs(x)))
    return real


UNARY: Mapping[str, Function] = MappingProxyType(
    {
        "Erf": known(mlas_erf, _erf),
        "Exp": wide(np.exp),
        "Log": wide(np.log),
        "Sqrt": wide(np.sqrt),
        "Reciprocal": wide(np.reciprocal),
        "Neg": wide(np.negative),
        "Abs": wide(np.abs),
        "Softplus": wide(softplus),
        "Softsign": _softsign,
        "Mish": wide(lambda x: x * np.tanh(softplus(x))),
        "FastGelu": wide(tanh_gelu),
    }
)
"""Operators without attributes."""


@dataclass(frozen=True)
class Accuracy:
    """How near ONNX Runtime's float32 polynomials come to a function: within ``parts * 2**-24 * max(|f|, floor)``; where ``exact``, to it.

    Twice what ONNX Runtime 1.31 needs for 2 million numbers up to 90, wherever in a vector they stand: the last numbers of one take other
    instructions than the first.
    """

    parts: float
    floor: float = 0.0
    exact: Callable[[Floats], NDArray[np.bool_]] = lambda x: x == 0

    def around(self, x: Floats, real: Floats) -> tuple[Floats, Floats]:
        """The least and the largest that the runtime may have for ``real``, the function of ``x``."""
        given = real.astype(np.float64)
        slack = self.parts * 2.0**-24 * np.maximum(np.abs(given), self.floor)
        slack = np.where(self.exact(x), 0, slack)
        return (given - slack).astype(np.float32), (given + slack).astype(np.float32)


ACCURACIES: Mapping[str, Accuracy] = MappingProxyType(
    {
        "Exp": Accuracy(4),
        "Log": Accuracy(8),
        "Softplus": Accuracy(10, exact=lambda x: x >= 9),
        "Mish": Accuracy(16, exact=lambda x: (x == 0) | (x >= 10)),
        "FastGelu": Accuracy(22, floor=1, exact=lambda x: (x == 0) | (x >= 6)),
        **dict.fromkeys(("Elu", "Celu", "Selu"), Accuracy(8, floor=2.5, exact=lambda x: x >= 0)),
    }
)
"""Of every function of one number whose float32 operations neither IEEE 754 fixes nor :mod:`accelsim.numerics.mlas` has."""


def _of_two(function: Callable[[Any, Any], Any]) -> FunctionOfTwo:
    """``function`` in float32, or in float64 where an operand is."""

    def quiet(a: Floats, b: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return np.asarray(function(a, b), _kind(a, b))

    return quiet


def _kind(*operands: NDArray[Any]) -> Any:
    return np.float64 if np.float64 in [x.dtype for x in operands] else np.float32


BINARY: Mapping[str, FunctionOfTwo] = MappingProxyType(
    {
        **{op: _of_two(FLOAT32_OPERATORS[op.upper()]) for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu")},
        "Pow": _of_two(lambda a, b: np.power(a.astype(np.float64), b)),
    }
)
"""Operators of two operands; one rounding to float32 each."""
