"""What differing codes do to the answer: arg-max, the five best, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.labels import answers
from accelsim.verification.records import OutputEffect

Array = NDArray[Any]
BEST = 5


def output_effect(
    tensor: str, pairs: Sequence[tuple[Array, Array]], labels: Array | None, classes: int | None = None
) -> OutputEffect:
    """``pairs`` are (oracle, machine) codes of one output, one per inference; ties go to the lowest index.

    Of an output that is indices of so many ``classes``, each is an answer, and there are no second best.
    """
    rows = [(a.reshape(-1), b.reshape(-1)) for a, b in pairs]
    affected = [bool((a != b).any()) for a, b in rows]
    accuracies: tuple[float | None, float | None] = (None, None)
    given = [answers(np.array(side), classes=classes) for side in zip(*rows, strict=True)]
    if labels is not None and rows:
        accuracies = float((given[0] == labels).mean()), float((given[1] == labels).mean())
    changed = affected if classes is not None or not rows else list(given[0] != given[1])
    return OutputEffect(
        tensor=tensor,
        inferences=len(rows),
        affected=sum(affected),
        argmax_changed=int(sum(changed)),
        top5_changed=sum(affected) if classes is not None else sum(_best(a) != _best(b) for a, b in rows),
        oracle_accuracy=accuracies[0],
        machine_accuracy=accuracies[1],
    )


def _best(scores: Array) -> frozenset[int]:
    return frozenset(np.argsort(-scores.astype(np.int64), kind="stable")[:BEST].tolist())
