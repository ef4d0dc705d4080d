"""Guided search beside a grid, at equal numbers of evaluations, in a space whose whole grid is known.

python benchmarks/guided.py [--seeds 11] [--write]

Of every front the hypervolume up to the worst of the true front in each objective, as a share of the true front's. ``--write`` puts the
table into ``docs/pareto.md``.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import accelsim
from accelsim.explore import SAMPLERS, costs_of, front, guided_search, hypervolume
from docs.pages import replaced

PAGE = Path(__file__).resolve().parent.parent / "docs" / "pareto.md"
NAME = "guided"
OBJECTIVES = ("latency_s", "energy_pj", "area_um2")
WORKLOAD = "digits_cnn"
AXES: Mapping[str, Sequence[Any]] = {
    "array.rows": (4, 6, 8, 12, 16, 24, 32, 48),
    "array.cols": (4, 6, 8, 12, 16, 24, 32, 48),
    "activation_buffer.size_bytes": tuple(1024 * 2**k for k in range(1, 7)),
    "weight_buffer.size_bytes": tuple(1024 * 2**k for k in range(5)),
    "dram.bandwidth_bytes_per_s": (4e8, 8e8, 16e8, 32e8),
    "weights.bits": (4, 6, 8),
}
COUNTS = (50, 100, 200, 400)
TITLES = {"nsga2": "NSGA-II", "nsga3": "NSGA-III", "tpe": "TPE", "random": "random", "grid": "coarse grid"}


def costs(edits: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
    """The objectives of each of ``edits``, shape (n, 3), NaN where one fails."""
    return costs_of(accelsim.evaluate(WORKLOAD, arch="edge_16x16", edits=edits), OBJECTIVES)


def edits_of(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The grid over ``axes``."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def coarse(most: int) -> dict[str, list[Any]]:
    """As many levels of each axis, evenly spaced from its first to its last, as ``most`` points hold: one more of the coarsest at a time."""
    levels = dict.fromkeys(AXES, 1)
    while True:
        finer = [axis for axis in AXES if levels[axis] < len(AXES[axis])]
        points = np.prod(list(levels.values()))
        fit = [axis for axis in finer if points // levels[axis] * (levels[axis] + 1) <= most]
        if not fit:
            return {axis: _spread(values, levels[axis]) for axis, values in AXES.items()}
        levels[min(fit, key=lambda axis: levels[axis] / len(AXES[axis]))] += 1


def _spread(values: Sequence[Any], count: int) -> list[Any]:
    places = np.linspace(0, len(values) - 1, count) if count > 1 else [(len(values) - 1) / 2]
    return [values[round(place)] for place in places]


class Truth:
    """The front of the whole grid, and how much of it other points reach."""

    def __init__(self) -> None:
        whole = costs(edits_of(AXES))
        self.points = len(whole)
        self.valid = int(np.isfinite(whole).all(axis=1).sum())
        self.best = whole[front(whole)]
        self.corner = self.best.max(axis=0)
        self.volume = hypervolume(self.best, self.corner)

    def share(self, points: np.ndarray[Any, Any]) -> float:
        """The hypervolume of ``points`` over that of the true front."""
        return hypervolume(points, self.corner) / self.volume


def search(truth: Truth, sampler: Any, seed: int) -> list[float]:
    """The share after each of :data:`COUNTS` trials of one search."""
    space = {"workloads": [WORKLOAD], "axes": {axis: list(values) for axis, values in AXES.items()}}
    found = guided_search(space, trials=max(COUNTS), objectives=OBJECTIVES, sampler=sampler, seed=seed).table
    found = found.sort_values("point")
    reached = costs_of(found, OBJECTIVES)
    return [truth.share(reached[(found["point"] < count).to_numpy()]) for count in COUNTS]


def table(truth: Truth, shares: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Median, least and most of every way, by the number of points."""
    seeds = len(next(iter(shares.values())))
    heads = " | ".join(f"{count} points" for count in COUNTS)
    lines = [f"| chosen by | {heads} |", "|---|" + "---:|" * len(COUNTS)]
    for way, rows in shares.items():
        cells = [_cell([row[k] for row in rows]) for k in range(len(COUNTS))]
        lines.append(f"| {TITLES[way]} | {' | '.join(cells)} |")
    lines.append(
        f"| {TITLES['grid']} | {' | '.join(f'{truth.share(costs(edits_of(coarse(n)))):.3f}' for n in COUNTS)} |"
    )
    about = (
        f"`{WORKLOAD}`, {len(AXES)} axes, {truth.points:,} points of which {truth.valid:,} are machines, {len(truth.best)} of them on the "
        f"true front in {', '.join(OBJECTIVES)}; {seeds} seeds."
    )
    return "\n".join([about, "", *lines]) + "\n"


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=11)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    truth, shares = Truth(), dict[str, list[list[float]]]()
    for sampler in SAMPLERS:
        begin = time.perf_counter()
        shares[sampler] = [search(truth, sampler, seed) for seed in range(options.seeds)]
        took = (time.perf_counter() - begin) / options.seeds
        print(f"{TITLES[sampler]}: {took:.1f} s a search of {max(COUNTS)} points", file=sys.stderr)
    text = table(truth, shares)
    print(text)
    if options.write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), NAME, text), encoding="utf-8")


if __name__ == "__main__":
    main()
