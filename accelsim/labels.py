"""Labels: the right answer of each inference, as the index of an output, or as the index that a network ends in by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError


def answers(outputs: NDArray[Any], *, classes: int | None = None) -> NDArray[np.int64]:
    """The answer of each row of ``outputs`` (inferences, elements): its largest element's index, the first of several.

    Where elements are indices of so many ``classes`` themselves, which an ArgMax made, the first of them.
    """
    found: NDArray[np.int64] = (outputs.argmax(axis=1) if classes is None else outputs[:, 0]).astype(np.int64)
    return found


def check_labels(labels: NDArray[Any], *, count: int, outputs: int, classes: int | None = None) -> None:
    """InputError unless ``labels`` are ``count`` integers from 0 to ``outputs`` - 1, or the one output an index of so many ``classes``."""
    labels = np.asarray(labels)
    if classes is not None and outputs != 1:
        raise InputError(
            f"labels: the network ends in {outputs} indices of classes for each inference, and a label is the one right answer of an "
            "inference; leave 'labels' out to run without accuracy"
        )
    outputs = outputs if classes is None else classes
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
