"""Data that no network can be quantized by, told in one sentence each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError

Batches = Mapping[str, NDArray[np.float32]]

FEWEST = 8
"""Inferences that ranges and roundings are set from; fewer say too little of what a channel takes."""
DEVIATIONS = 2.0
"""Standard deviations above chance, below which an accuracy is none."""


def check_calibration(batches: Batches) -> None:
    """InputError for fewer than :data:`FEWEST` inferences, or for inferences that are all the same."""
    count = len(next(iter(batches.values())))
    if count < FEWEST:
        raise InputError(
            f"calibration data: {count} inferences are too few to set ranges and roundings from; give {FEWEST} or more, a hundred "
            "or so are usual"
        )
    if all((values == values[:1]).all() for values in batches.values()):
        raise InputError(
            f"calibration data: all {count} inferences are the same; give typical inputs that differ from each other"
        )


def constant_channels(batches: Batches) -> Iterator[str]:
    """A sentence for each input with channels (axis 1 of images, the last one else) that never change."""
    for name, values in batches.items():
        axis = 2 if values.ndim >= 4 else values.ndim - 1
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        still = np.flatnonzero(np.ptp(rows, axis=1) == 0)
        if len(still) and len(rows) > 1:
            yield (
                f"calibration data: {len(still)} of {len(rows)} channels of input {name!r} are constant (the first: {still[0]}); what "
                "the network does where they change is not calibrated"
            )


def check_accuracy(accuracy: float, *, classes: int, count: int) -> None:
    """InputError where a float network meets its labels no more often than chance would."""
    chance = 1 / max(classes, 2)
    if accuracy <= chance + DEVIATIONS * math.sqrt(chance * (1 - chance) / count):
        raise InputError(
            f"the float network meets {accuracy:.1%} of {count} labels, no more than chance of {classes} classes would: labels, order of "
            "classes or preprocessing of the inputs do not fit the network; mend them before it is quantized"
        )
