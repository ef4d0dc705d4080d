"""Labels: the right answer of each inference, as the index of an output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError


def check_labels(labels: NDArray[Any], *, count: int, outputs: int) -> None:
    """InputError unless ``labels`` are ``count`` integers from 0 to ``outputs`` - 1."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(f"labels: expected {count} integers, got shape {labels.shape} of {labels.dtype}")
    wrong = np.flatnonzero((labels < 0) | (labels >= outputs))
    if wrong.size:
        first = int(wrong[0])
        raise InputError(
            f"labels: {int(labels[first])} at index {first} is no output of the network ({wrong.size} of {count} are not); expected 0 "
            f"to {outputs - 1}, the index of the right one; leave 'labels' out to run without accuracy",
            index=first,
        )
