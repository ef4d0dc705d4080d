"""The front of a sweep: the rows of one workload that no other dominates, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRONT_SCHEMA = 1
"""Version of the JSON of fronts."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """The rows of ``workload`` (empty where the table names none) that are best in ``objectives``, of which some are ``maximised``.

    ``rows`` hold ``point`` (the row's number in the sweep), ``knee``, every one of ``axes`` and objectives, and ``command``, which runs
    the row again (empty where the table does not say how it was made); they ascend by the first objective. ``hypervolume`` is the
    volume that they dominate up to the ``reference``, ``share`` that over the box from the best of each objective to there, None where that
    box is flat. ``counts`` are the rows of the workload, and of those that failed, are infeasible or lack an objective. ``values``, shape
    (n, m), are the objectives of all points.
    """

    workload: str
    objectives: tuple[str, ...]
    maximised: tuple[str, ...]
    axes: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    hypervolume: float
    share: float | None
    reference: tuple[float, ...]
    counts: Mapping[str, int]
    values: NDArray[np.float64]

    @property
    def knee(self) -> int | None:
        """The place in ``rows`` of the front's knee; None where there is no row."""
        return next((place for place, row in enumerate(self.rows) if row["knee"]), None)

    def as_json(self) -> dict[str, Any]:
        """All but ``values``."""
        return {
            "workload": self.workload,
            "objectives": list(self.objectives),
            "maximised": list(self.maximised),
            "axes": list(self.axes),
            "counts": dict(self.counts),
            "hypervolume": self.hypervolume,
            "share": self.share,
            "reference": dict(zip(self.objectives, self.reference, strict=True)),
            "rows": [dict(row) for row in self.rows],
        }


def fronts_json(fronts: Sequence[Front]) -> str:
    """Fronts as JSON."""
    return json.dumps(
        {"schema_version": FRONT_SCHEMA, "fronts": [front.as_json() for front in fronts]}, indent=2, ensure_ascii=False
    )
