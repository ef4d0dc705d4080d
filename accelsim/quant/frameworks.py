"""Fake quantization exactly as each framework rounds it: tie rule, division or inverse, zero point before or after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError, InputError
from accelsim.numerics import IntFormat, Rounding
from accelsim.quant.affine import check_real, check_zero_points, round_real

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Reals = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class FakeQuantRule:
    """How one framework makes codes of real numbers.

    ``by_inverse``: multiplies by the float32 value of ``1 / scale`` instead of dividing. ``zero_point_first``: adds the zero
    point before rounding, so that ties fall the other way where it is odd; ``from_lowest``: its distance from the lowest code, as
    codes that count from 0 have it, which float32 may round otherwise. ``single_product``: scale times steps is rounded to float32
    whatever the type of the values. Bounds are integers, so that clamping before rounding
    and after it give the same code.
    """

    name: str
    rounding: Rounding
    by_inverse: bool
    zero_point_first: bool
    from_lowest: bool = False
    single_product: bool = False
    source: str


_RULES = (
    FakeQuantRule(
        name="pytorch", rounding=Rounding.HALF_EVEN, by_inverse=True, zero_point_first=False, single_product=True,
        source="torch.fake_quantize_per_tensor_affine: ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp",
    ),
    FakeQuantRule(
        name="pytorch-per-channel", rounding=Rounding.HALF_EVEN, by_inverse=True, zero_point_first=False,
        source="torch.fake_quantize_per_channel_affine: the same file",
    ),
    FakeQuantRule(
        name="onnx", rounding=Rounding.HALF_EVEN, by_inverse=False, zero_point_first=False,
        source="ONNX QuantizeLinear; ONNX Runtime mlas/lib/quantize.cpp",
    ),
    FakeQuantRule(
        name="tflite", rounding=Rounding.HALF_AWAY, by_inverse=False, zero_point_first=False,
        source="LiteRT kernels/internal/reference/quantize.h, AffineQuantize: the reference kernels",
    ),
    FakeQuantRule(
        name="qonnx", rounding=Rounding.HALF_EVEN, by_inverse=False, zero_point_first=True,
        source="qonnx/custom_op/general/intquant.py; brevitas/core/quant/int_base.py, IntQuant",
    ),
    FakeQuantRule(
        name="aimet-onnx", rounding=Rounding.HALF_UP, by_inverse=False, zero_point_first=True, from_lowest=True,
        source="AIMET DlQuantization trim_functions.cpp: half away from zero, of codes that count from 0; in float32 (aimet-onnx 2.42)",
    ),
)  # fmt: skip
FAKE_QUANT_RULES: Mapping[str, FakeQuantRule] = MappingProxyType({rule.name: rule for rule in _RULES})
"""By framework. Brevitas goes by ``qonnx``; aimet-torch, which calls torch.round or torch.fake_quantize, by ``pytorch``;
torch.quantize_per_tensor as well (torch 2.15 on x86; 2.13 was seen to add the zero point first)."""


def codes_as(
    x: ArrayLike,
    *,
    framework: str,
    scale: ArrayLike,
    zero_point: ArrayLike,
    fmt: IntFormat,
    dtype: DTypeLike = np.float32,
) -> NDArray[np.int64]:
    """Codes of ``x`` by the rule of ``framework``, int64 of its shape after broadcasting; every step in ``dtype``.

    ``dtype`` is float32 or float64. Raises :class:`ConfigError` for an unknown framework or impossible parameters,
    :class:`InputError` for NaN.
    """
    rule, kind = _rule(framework), _precision(dtype)
    zeros = check_zero_points(zero_point, fmt)
    scales = _scales(scale, rule, kind)
    real = np.asarray(x, kind)
    check_real(real)
    with np.errstate(over="ignore"):
        steps = real * (np.float32(1) / scales.astype(np.float32)) if rule.by_inverse else real / scales
        lowest = fmt.min if rule.from_lowest else 0
        if rule.zero_point_first:
            steps = steps + (zeros - lowest).astype(kind)
    moved = np.int64(lowest) if rule.zero_point_first else zeros
    # Clamped before rounding, which changes no code, and keeps every number a whole one of int64.
    bounded = np.clip(steps.astype(np.float64), fmt.min - moved, fmt.max - moved)
    codes: NDArray[np.int64] = round_real(bounded, rule.rounding).astype(np.int64) + moved
    return codes


def fake_quant_as(
    x: ArrayLike,
    *,
    framework: str,
    scale: ArrayLike,
    zero_point: ArrayLike,
    fmt: IntFormat,
    dtype: DTypeLike = np.float32,
) -> Reals:
    """``scale * (code - zero_point)`` of :func:`codes_as`, in ``dtype``."""
    kind = _precision(dtype)
    codes = codes_as(x, framework=framework, scale=scale, zero_point=zero_point, fmt=fmt, dtype=kind)
    rule = _rule(framework)
    product = np.dtype(np.float32) if rule.single_product else kind
    steps = (codes - np.asarray(zero_point, np.int64)).astype(product)
    real: Reals = (steps * _scales(scale, rule, product)).astype(kind)
    return real


def _scales(scale: ArrayLike, rule: FakeQuantRule, kind: np.dtype[Any]) -> Reals:
    """In ``kind``; PyTorch's kernels hold scales in float32 whatever the type of the values."""
    single = np.asarray(scale, np.float32)
    if not (np.isfinite(single).all() and (single > 0).all()):
        raise ConfigError(f"scale: expected positive finite float32 values, got {np.ravel(scale).tolist()[:4]}")
    return single.astype(kind) if rule.by_inverse else np.asarray(scale, kind)


def _rule(framework: str) -> FakeQuantRule:
    if framework not in FAKE_QUANT_RULES:
        raise ConfigError(f"framework {framework!r}: expected one of {', '.join(FAKE_QUANT_RULES)}")
    return FAKE_QUANT_RULES[framework]


def _precision(dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"fake quantization in {kind}: expected float32 or float64")
    return kind
