"""The float network over the calibration data: the range of every quantized tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.ptq.plan import Group, Plan
from accelsim.ptq.settings import Settings
from accelsim.quant import (
    BINS,
    Quantizer,
    entropy_range,
    minmax_range,
    moving_average_range,
    percentile_range,
)

Floats = NDArray[np.float32]
Seen = dict[str, list[Floats]]


@dataclass(eq=False)
class Known:
    """What one calibration has given already: ranges of activations by the tensors that make them and their bits, scales of weights by the
    output of their node and their bits; of each way that settings set them."""

    ranges: dict[tuple[tuple[str, ...], int, object], tuple[float, float]] = field(default_factory=dict)
    scales: dict[tuple[str, int, object], Floats] = field(default_factory=dict)


def observe(tensors: Iterator[dict[str, Floats]], plan: Plan, settings: Settings) -> Seen:
    """What each measured tensor was, inference by inference: its two extremes where the range needs no more, or all of it.

    Raises InputError where the network makes NaN or infinities of the calibration data.
    """
    extremes = settings.keeps_extremes
    wanted = [name for group in plan.groups for name in group.measured]
    seen: Seen = {name: [] for name in wanted}
    for i, made in enumerate(tensors):
        check_finite({name: made[name] for name in wanted}, i)
        for name in wanted:
            values = made[name].astype(np.float32).reshape(-1)
            seen[name].append(np.array([values.min(), values.max()]) if extremes else values)
    return seen


def check_finite(made: Mapping[str, Floats], index: int) -> None:
    """InputError for a tensor of inference ``index`` that holds NaN or infinities."""
    for name, values in made.items():
        if not np.isfinite(values).all():
            raise InputError(f"calibration data: inference {index} makes tensor {name!r} infinite or NaN", index=index)


def group_range(group: Group, seen: Mapping[str, list[Floats]], settings: Settings) -> tuple[float, float]:
    """The range of one group; Softmax, Sigmoid and HardSigmoid have theirs by definition."""
    if group.known_range is not None:
        return group.known_range
    inferences = [np.concatenate(parts) for parts in zip(*(seen[name] for name in group.measured), strict=True)]
    return set_range(inferences, quantizer=settings.act_quantizer(group.bits), settings=settings)


def set_range(batches: list[Floats], *, quantizer: Quantizer, settings: Settings) -> tuple[float, float]:
    """The range of values that came in ``batches``, by the method of ``settings``."""
    if settings.range == "moving-average":
        return moving_average_range(batches)
    values = np.concatenate(batches)
    if settings.range == "percentile":
        return percentile_range(values, percent=settings.percentile)
    if settings.range == "mse":
        return quantizer.least_error_range(values)
    if settings.range == "entropy":
        return _entropy(values, quantizer)
    return minmax_range(values)


def _entropy(values: Floats, quantizer: Quantizer) -> tuple[float, float]:
    """Codes of one sign spend all their levels on one half of the symmetric histogram: twice as many over both."""
    low, high = minmax_range(values)
    levels = 2**quantizer.bits * (2 if low >= 0 or high <= 0 else 1)
    return entropy_range(values, levels=min(levels, BINS))
