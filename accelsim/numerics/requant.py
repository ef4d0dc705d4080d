"""Accumulator to output code: the parameters a layer carries, and the functions that apply them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.display import Brief
from accelsim.errors import AccumulatorOverflowError, ConfigError, GraphError, InputError
from accelsim.numerics.intformat import INT32, INT64, IntFormat
from accelsim.numerics.scheme_facts import Family, RequantScheme
from accelsim.numerics.schemes import scheme_named
from accelsim.numerics.shift_form import ShiftForm
from accelsim.numerics.stages import RAW_BIAS, StagedScheme, operand_name
from accelsim.numerics.thresholds import Thresholds, threshold_block, threshold_int

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_COLUMNS = {Family.SCALES: ("s_in", "s_w", "s_out"), Family.RAW_SUM: ("factor", "raw")}
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Requant(Brief):
    """``clamp(scale(acc) + zero_point, clamp_min, clamp_max)``, one set of parameters per output channel or for all.

    ``multiplier`` has shape (C,) or (1,): int32 significands m (integer schemes), float32 factors
    (``float32_half_even``), ones (``shift_*``); for ``float64_half_away`` (C, 3) or (1, 3): float64 columns s_in, s_w,
    s_out; for ``xnnpack_mean`` (C, 2) or (1, 2): float32 columns factor and raw. ``shift`` has shape (C,) or (1,):
    exponents e of ``M = m * 2**(e-31)`` (integer schemes), right shifts (``shift_*``, ``vta_shift``), zeros otherwise.
    Schemes of hardware multipliers (``Family.FIXED_POINT``: ``single_N``, ``xnnpack_rndnu``, ``nvdla_cvt``,
    ``ethosu_truncate``) hold m and right shifts s of ``M = m * 2**-s``; ``onnx_reference`` holds float64 factors. Both
    arrays are copied, made read-only and brought to one length. Raises :class:`GraphError` for parameters outside a
    scheme's range and :class:`ConfigError` for an unknown scheme.
    """

    scheme: str
    multiplier: NDArray[Any]
    shift: NDArray[np.int32]
    zero_point: int
    clamp_min: int
    clamp_max: int

    def __post_init__(self) -> None:
        rule = scheme_named(self.scheme)
        multiplier, shift = _multipliers(self.multiplier, rule), _shifts(self.shift, rule)
        _check_lengths(len(multiplier), len(shift), rule)
        channels = max(len(multiplier), len(shift))
        object.__setattr__(self, "scheme", rule.name)
        object.__setattr__(self, "multiplier", _frozen(multiplier, channels))
        object.__setattr__(self, "shift", _frozen(shift, channels))
        for name in ("zero_point", "clamp_min", "clamp_max"):
            object.__setattr__(self, name, _int32(getattr(self, name), name))
        rule.check(self)
        if self.clamp_min > self.clamp_max:
            raise GraphError(f"requantization clamp: expected min <= max, got [{self.clamp_min}, {self.clamp_max}]")

    @property
    def rule(self) -> RequantScheme:
        """The scheme's definition."""
        return scheme_named(self.scheme)

    @property
    def channel_count(self) -> int:
        """Channels with parameters of their own; 1 where all share one set."""
        return len(self.multiplier)

    @property
    def is_per_channel(self) -> bool:
        """Whether each output channel has parameters of its own."""
        return self.channel_count > 1

    def channels(self, lo: int, hi: int) -> Requant:
        """Parameters of output channels ``lo`` to ``hi - 1``; the record itself when all channels share one set."""
        if not self.is_per_channel:
            return self
        if not 0 <= lo < hi <= self.channel_count:
            raise GraphError(f"requantization: channels {lo}:{hi} of a record that has {self.channel_count}")
        return replace(self, multiplier=self.multiplier[lo:hi], shift=self.shift[lo:hi])

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """What the scheme's formula reads by name, beside zero point, clamp and table: (C,) each, or (1,) where channels share it."""
        rule = self.rule
        if isinstance(rule, StagedScheme):
            stages = zip(rule.stages.stages, rule.operands(self), strict=True)
            return {operand_name(i): row for i, (stage, row) in enumerate(stages, start=1) if stage.named}
        columns = _COLUMNS.get(rule.family)
        if columns is not None:
            return {name: np.ascontiguousarray(self.multiplier[:, i]) for i, name in enumerate(columns)}
        factors = {} if rule.family is Family.POWER_OF_TWO else {"multiplier": self.multiplier}
        return factors if rule.family.is_float else {**factors, "shift": self.shift}

    @property
    def table(self) -> tuple[int, ...]:
        """Entries of the table that the formula reads; none without one."""
        rule = self.rule
        stages = rule.stages.stages if isinstance(rule, StagedScheme) else ()
        return next((stage.values for stage in stages if stage.values), ())

    @property
    def bias(self) -> NDArray[np.int64] | None:
        """The bias that the rule adds, in units of the accumulator: (C,) or (1,); None where accumulators hold it."""
        return np.asarray(self.multiplier[:, RAW_BIAS]) if self.rule.takes_bias else None

    def with_bias(self, bias: NDArray[np.int64] | None) -> Requant:
        """The record whose rule adds ``bias`` (C,), in units of the accumulator; itself where the rule has no place for one.

        GraphError for a bias that does not fit the operand of its stage.
        """
        rule = self.rule
        if not isinstance(rule, StagedScheme) or not rule.takes_bias:
            return self
        wanted = np.zeros(self.channel_count, dtype=np.int64) if bias is None else np.asarray(bias)
        if self.is_per_channel and wanted.shape != (self.channel_count,):
            raise GraphError(f"bias of shape {wanted.shape} for requantization of {self.channel_count} channels")
        if np.array_equal(np.broadcast_to(self.multiplier[:, RAW_BIAS], wanted.shape), wanted):
            return self
        return replace(self, multiplier=rule.biased(self.multiplier, self.shift, wanted))


Requantization = Requant | Thresholds
"""What takes an accumulator to a code: a multiplication by a scheme's rule, or comparisons."""


def requantize_int(acc: int, requant: Requantization, channel: int = 0) -> int:
    """Output code of one accumulator: the definition of the scheme, in exact integer arithmetic.

    Raises :class:`AccumulatorOverflowError` when ``acc`` is wider than the scheme takes.
    """
    if isinstance(requant, Thresholds):
        return threshold_int(acc, requant, channel)
    rule = requant.rule
    _check_width(acc, acc, rule.wide, rule.name)
    scaled = rule.twin(acc, requant, channel if requant.is_per_channel else 0)
    if rule.is_whole:
        return scaled
    return min(max(scaled + requant.zero_point, requant.clamp_min), requant.clamp_max)


def requantize(acc: ArrayLike, requant: Requantization, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Output codes of accumulators of shape (..., C), channel last; int32 of the same shape, or ``out`` when given.

    ``out`` may have any integer type that holds the clamp range. Raises :class:`AccumulatorOverflowError` for
    accumulators wider than the scheme takes, :class:`GraphError` when C is not the record's number of channels,
    :class:`InputError` for accumulators or ``out`` of the wrong type.
    """
    values = _accumulators(acc, requant)
    if requant.is_per_channel and values.shape[-1:] != (requant.channel_count,):
        got = f"accumulators of shape {values.shape}"
        raise GraphError(
            f"requantization of {requant.channel_count} channels: expected them on the last axis, got {got}"
        )
    result = np.empty(values.shape, dtype=np.int32) if out is None else out
    _check_out(result, values, requant)
    columns = requant.channel_count if requant.is_per_channel else values.size
    block = (values.size // max(columns, 1), columns)
    target = result if result.flags.c_contiguous else np.empty(values.shape, dtype=result.dtype)
    _block(values.reshape(block), requant, target.reshape(block))
    if target is not result:
        result[...] = target
    return result


def _block(values: NDArray[Any], requant: Requantization, out: NDArray[Any]) -> None:
    if isinstance(requant, Thresholds):
        threshold_block(values, requant, out)
        return
    low, high, zero = requant.clamp_min, requant.clamp_max, requant.zero_point
    requant.rule.kernel(values, requant.multiplier, requant.shift, zero, low, high, out)


def shift_form(requant: Requant, *, bound: int) -> ShiftForm | None:
    """One product and one shift for accumulators of magnitude ``bound`` at most (below 2^31), or None where there is none."""
    rule = requant.rule
    if isinstance(rule.shift_form, str) or bound > INT32.max:
        return None
    multiplier, shift = requant.multiplier.astype(np.int64), requant.shift.astype(np.int64)
    form = rule.shift_form(*rule.encoder.integers(multiplier, shift))
    wraps = rule.is_doubled and bound << max(int(shift.max()), 0) > INT32.max
    return None if wraps or int(np.abs(form.factor).max()) > INT32.max else form


def multiply(values: ArrayLike, m: int, e: int, scheme: str) -> NDArray[np.int64]:
    """``values`` scaled by one multiplier of an integer or shift scheme, no zero point, no clamp; int64, same shape.

    ``m`` and ``e`` are what :class:`Requant` holds in ``multiplier`` and ``shift``. Raises :class:`ConfigError` for
    schemes that multiply in floating point, :class:`AccumulatorOverflowError` for values wider than the scheme takes,
    or that a left shift would carry out of int64.
    """
    rule = scheme_named(scheme)
    if rule.family.is_float:
        raise ConfigError(
            f"requantization scheme {scheme!r} multiplies in floating point; expected an integer scheme here"
        )
    flat = _checked_integers(values, rule.name, rule.wide)
    if rule.family is Family.POWER_OF_TWO and e < 0 and flat.size:
        _check_width(int(flat.min()), int(flat.max()), INT64.bits + e, rule.name)
    out = np.empty(flat.shape, dtype=np.int64)
    multiplier, shift = _frozen(_multipliers([m], rule), 1), _frozen(_shifts([e], rule), 1)
    rule.kernel(flat.reshape(1, -1), multiplier, shift, 0, INT64.min, INT64.max, out.reshape(1, -1))
    return out


def _multipliers(values: ArrayLike, rule: RequantScheme) -> NDArray[Any]:
    """The multiplier column(s) in the scheme's type, checked to lose nothing by the conversion."""
    given = np.asarray(values)
    columns = () if rule.family.columns == 1 else (rule.family.columns,)
    if given.ndim != 1 + len(columns) or given.shape[1:] != columns or not len(given):
        wanted = f"(C, {columns[0]})" if columns else "(C,)"
        raise GraphError(f"{rule.name} multipliers: expected shape {wanted} with C >= 1, got {given.shape}")
    _check_multiplier_range(given, rule)
    converted = given.astype(rule.family.dtype)
    if not np.array_equal(converted, given):
        raise GraphError(
            f"{rule.name} multipliers: expected exact {rule.family.dtype} values, got {given.dtype} that are not"
        )
    return converted


def _check_multiplier_range(given: NDArray[Any], rule: RequantScheme) -> None:
    if rule.family.is_float:
        fine = bool(np.isfinite(given).all()) and float(np.abs(given).max()) <= _FLOAT32_MAX
        positive = rule.family is not Family.SCALES or bool((given > 0).all())
    else:
        low, high = rule.multipliers
        factors = given[:, 0] if given.ndim > 1 else given
        fine = given.dtype.kind in "iu" and low <= factors.min() and factors.max() <= high
        positive = True
    if not (fine and positive):
        raise GraphError(f"{rule.name} multipliers: expected {_wanted(rule)}, got {given.tolist()[:4]} ...")


def _wanted(rule: RequantScheme) -> str:
    full = rule.multipliers == (INT32.min, INT32.max)
    return (
        f"finite {rule.family.dtype} values"
        if full
        else f"integers from {rule.multipliers[0]} to {rule.multipliers[1]}"
    )


def _shifts(values: ArrayLike, rule: RequantScheme) -> NDArray[np.int32]:
    given = np.asarray(values)
    if given.ndim != 1 or not len(given) or given.dtype.kind not in "iu":
        raise GraphError(
            f"{rule.name} shifts: expected integers of shape (C,) with C >= 1, got {given.dtype} {given.shape}"
        )
    low, high = rule.exponents
    if not low <= given.min() <= given.max() <= high:
        raise GraphError(f"{rule.name} shifts: expected {low} to {high}, got {given.min()} to {given.max()}")
    return given.astype(np.int32)


def _check_lengths(multipliers: int, shifts: int, rule: RequantScheme) -> None:
    if multipliers != shifts and 1 not in (multipliers, shifts):
        raise GraphError(
            f"{rule.name}: {multipliers} multipliers but {shifts} shifts; expected as many, or one of either"
        )


def _frozen(values: NDArray[Any], channels: int) -> NDArray[Any]:
    """A private read-only copy of ``channels`` rows."""
    copy = np.ascontiguousarray(np.broadcast_to(values, (channels, *values.shape[1:])))
    copy = copy.copy() if copy is values or np.shares_memory(copy, values) else copy
    copy.flags.writeable = False
    return copy


def _int32(value: int, name: str) -> int:
    if not INT32.contains(int(value)) or int(value) != value:
        raise GraphError(f"requantization {name}: expected an int32 value, got {value}")
    return int(value)


def _accumulators(acc: ArrayLike, requant: Requantization) -> NDArray[Any]:
    wide = INT64.bits if isinstance(requant, Thresholds) else requant.rule.wide
    return _checked_integers(acc, requant.scheme, wide)


def _checked_integers(acc: ArrayLike, scheme: str, wide: int) -> NDArray[Any]:
    """Contiguous int32 or int64 accumulators, checked against the scheme's width."""
    values = np.asarray(acc)
    if values.dtype.kind not in "iu" or values.dtype == np.uint64:
        raise InputError(f"requantization {scheme}: expected int32 or int64 accumulators, got {values.dtype}")
    if values.dtype != np.int64:
        values = values.astype(np.int64 if values.dtype == np.uint32 else np.int32, copy=False)
    if values.dtype.itemsize * 8 > wide and values.size:
        _check_width(int(values.min()), int(values.max()), wide, scheme)
    return np.ascontiguousarray(values).reshape(values.shape)


def _check_width(low: int, high: int, bits: int, scheme: str) -> None:
    taken = IntFormat(bits)
    if not (taken.contains(low) and taken.contains(high)):
        worst = low if not taken.contains(low) else high
        raise AccumulatorOverflowError(
            f"requantization scheme {scheme!r}: expected {taken} accumulators, got {worst}; saturate them first",
            value=worst,
            scheme=scheme,
        )


def _check_out(out: NDArray[Any], values: NDArray[Any], requant: Requantization) -> None:
    if out.shape != values.shape or out.dtype.kind not in "iu":
        raise InputError(f"requantization out: expected integers of shape {values.shape}, got {out.dtype} {out.shape}")
    holder = np.iinfo(out.dtype)
    if requant.clamp_min < int(holder.min) or requant.clamp_max > int(holder.max):
        raise InputError(f"requantization out: {out.dtype} does not hold [{requant.clamp_min}, {requant.clamp_max}]")
