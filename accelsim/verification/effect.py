"""What differing codes do to the answer: arg-max, the five best, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.verification.records import OutputEffect

Array = NDArray[Any]
BEST = 5


def output_effect(tensor: str, pairs: Sequence[tuple[Array, Array]], labels: Array | None) -> OutputEffect:
    """``pairs`` are (oracle, machine) codes of one output, one per inference; ties go to the lowest index."""
    rows = [(a.reshape(-1), b.reshape(-1)) for a, b in pairs]
    answers = [(int(a.argmax()), int(b.argmax())) for a, b in rows]
    accuracies: tuple[float | None, float | None] = (None, None)
    if labels is not None and rows:
        hits = np.array(answers) == labels[:, None]
        accuracies = float(hits[:, 0].mean()), float(hits[:, 1].mean())
    return OutputEffect(
        tensor=tensor,
        inferences=len(rows),
        affected=sum(bool((a != b).any()) for a, b in rows),
        argmax_changed=sum(a != b for a, b in answers),
        top5_changed=sum(_best(a) != _best(b) for a, b in rows),
        oracle_accuracy=accuracies[0],
        machine_accuracy=accuracies[1],
    )


def _best(scores: Array) -> frozenset[int]:
    return frozenset(np.argsort(-scores.astype(np.int64), kind="stable")[:BEST].tolist())
