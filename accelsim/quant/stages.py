"""Real ratios as what the stages of a requantization unit take from a layer: a significand of their width and a shift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ModelError
from accelsim.numerics import Operand
from accelsim.quant.fixed_point import encode_fixed_points, encode_shared_shift, power_of_two_shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.numerics import StagedScheme

_SHIFTS = (Operand.SHIFT, Operand.LEFT_SHIFT, Operand.RIGHT_SHIFT)


def encode_stages(
    ratio: NDArray[np.float64], *, rule: StagedScheme, zero_point: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """``multiplier`` (C, 4) and ``shift`` (C,) of a list of stages for the real factors ``ratio`` (C,).

    What the constants of the list multiply by is divided out; the rest is ``m * 2**-s``: with a multiplier and a shift as
    :func:`encode_fixed_points`, with one shift for all channels as :func:`encode_shared_shift`, with a shift alone the exact power of
    two, with a multiplier alone the nearest whole number, and with neither nothing. ModelError for ratios that the list cannot have.
    """
    rest = ratio / float(rule.constant_gain)
    multiplier, shift = rule.named(Operand.MULTIPLIER), rule.named(*_SHIFTS)
    if (multiplier is not None and multiplier.shared) or (shift is not None and shift.shared and multiplier is None):
        rest = _one_for_all(rest, rule)
    m: NDArray[Any]
    if multiplier is None:
        m = np.ones(len(rest), dtype=np.int32)
        s = _constant(rest, rule) if shift is None else _powers(rest, rule)
    elif shift is None:
        m, s = _whole(rest, rule), np.zeros(len(rest), dtype=np.int32)
    else:
        encode = encode_shared_shift if shift.shared else encode_fixed_points
        m, s = encode(rest, bits=rule.significand_bits, shifts=rule.exponents)
    return rule.parameters(m, s, zero_point), s


def _one_for_all(ratio: NDArray[np.float64], rule: StagedScheme) -> NDArray[np.float64]:
    if ratio.min() != ratio.max():
        raise ModelError(
            f"multipliers {ratio.min():.6g} to {ratio.max():.6g}: {rule.label} has one for all channels; quantize weights per tensor, or "
            "write per: channel"
        )
    return ratio[:1]


def _powers(ratio: NDArray[np.float64], rule: StagedScheme) -> NDArray[np.int32]:
    shifts = np.array([power_of_two_shift(float(real)) for real in ratio], dtype=np.int32)
    low, high = rule.exponents
    if shifts.min() < low or shifts.max() > high:
        raise ModelError(
            f"shifts {shifts.min()} to {shifts.max()}: {rule.label} has {low} to {high}; give it a larger max"
        )
    return shifts


def _whole(ratio: NDArray[np.float64], rule: StagedScheme) -> NDArray[np.int64]:
    m = np.floor(ratio + 0.5)
    if m.min() < 1 or m.max() > rule.multipliers[1]:
        raise ModelError(
            f"multipliers {ratio.min():.6g} to {ratio.max():.6g}: {rule.label} has whole numbers from 1 to {rule.multipliers[1]} before "
            "constant shifts; change those, or let the layer give the shift (shift: {by: shift, ...})"
        )
    return m.astype(np.int64)


def _constant(ratio: NDArray[np.float64], rule: StagedScheme) -> NDArray[np.int32]:
    """No shift; ModelError unless the constants are the nearest ones to every ratio."""
    factor = rule.constant_gain.numerator
    if (np.abs(ratio * factor - factor) > 0.5).any() or (factor == 1 and (ratio != 1).any()):
        raise ModelError(
            f"multipliers {(ratio * float(rule.constant_gain)).tolist()[:4]}: the constants of {rule.label} multiply by "
            f"{float(rule.constant_gain):.6g}; take multiplier and shift from the layer, or change them"
        )
    return np.zeros(len(ratio), dtype=np.int32)
