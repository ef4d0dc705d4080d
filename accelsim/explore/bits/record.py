"""What a search of widths came to."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.explore.bits.slots import Slots
from accelsim.explore.bits.trials import Trial
from accelsim.explore.fronts import front, hypervolume
from accelsim.explore.origin import text_of

SCHEMA = 1
"""Version of the JSON."""


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of a proxy with what was measured: Spearman's rho and Kendall's tau, over ``points``."""

    proxy: str
    truth: str
    spearman: float
    kendall: float
    points: int


@dataclass(frozen=True, kw_only=True, eq=False)
class BitSearch:
    """All ``trials`` of a search over ``slots``, W8A8 (``baseline``) on the machine as it was given, and what is best.

    ``accuracy_of`` says whether ``accuracy`` counts labels or the float network's own answers, of which there are ``inputs``;
    ``float_accuracy`` is that of the float network. ``probes`` networks were run for the proxies, beside the trials.
    """

    network: str
    machine: str
    method: str
    slots: Slots
    baseline: Trial
    trials: tuple[Trial, ...]
    most_loss: float
    accuracy_of: str
    inputs: int
    float_accuracy: float
    agreements: tuple[Agreement, ...]
    probes: int
    seconds: float
    words: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def costs(self) -> NDArray[np.float64]:
        """Energy and latency over the baseline's and the share of wrong answers, of shape (trials, 3); NaN where a trial failed."""
        rows = [
            (x.energy_pj / self.baseline.energy_pj, x.latency_s / self.baseline.latency_s, 1 - x.accuracy)
            for x in self.trials
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The trials that no other beats in energy, latency and accuracy, ascending by energy; of equal ones the first."""
        costs = self.costs
        distinct = {tuple(costs[row]): int(row) for row in reversed(front(costs))}
        return tuple(self.trials[row] for row in sorted(distinct.values(), key=lambda row: tuple(costs[row])))

    @property
    def hypervolume(self) -> float:
        """Of the box from nothing to W8A8's energy and latency and no right answer, the share that the front dominates."""
        return hypervolume(self.costs, (1.0, 1.0, 1.0)) if np.isfinite(self.costs).all(axis=1).any() else 0.0

    @property
    def best(self) -> Trial | None:
        """The trial of least energy that loses no more accuracy against W8A8 than ``most_loss``; None where none does."""
        within = [x for x in self.front if self.loss(x) <= self.most_loss + 1e-12]
        return min(within, key=lambda x: x.energy_pj, default=None)

    def loss(self, trial: Trial) -> float:
        """What ``trial`` loses in accuracy against W8A8."""
        return self.baseline.accuracy - trial.accuracy

    def command(self, trial: Trial) -> str:
        """``accelsim quantize … && accelsim run …`` for the same integers, cycles and picojoules."""
        quantize, run = self.words
        file = f"{self.network}_{self.trials.index(trial)}.onnx"
        layers = [
            f"{name}={f'w{x.weights}' if x.weights else ''}{f'a{x.acts}' if x.acts else ''}"
            for name, x in self.slots.layers(trial.bits).items()
        ]
        single = [word for text in layers for word in ("--layer", text)]
        edits = [word for path, value in trial.edits for word in ("--set", f"{path}={text_of(value)}")]
        made = shlex.join(("accelsim", "quantize", *quantize, *single, "--out", file))
        return f"{made} && {shlex.join(('accelsim', 'run', file, *run, *edits))}"

    def row(self, trial: Trial) -> dict[str, Any]:
        """What there is to say of a trial, by name."""
        return {
            "point": self.trials.index(trial),
            **dict(trial.edits),
            "energy_pj": trial.energy_pj,
            "energy_share": trial.energy_pj / self.baseline.energy_pj,
            "latency_s": trial.latency_s,
            "latency_share": trial.latency_s / self.baseline.latency_s,
            "cycles": trial.cycles,
            "area_um2": trial.area_um2 if np.isfinite(trial.area_um2) else None,
            "accuracy": trial.accuracy,
            "loss": self.loss(trial),
            "sqnr_db": trial.sqnr_db,
            "accumulator_bits": trial.accumulator_bits,
            **{slot.label: bits for slot, bits in zip(self.slots.slots, trial.bits, strict=True)},
            "command": self.command(trial),
        }

    def as_json(self) -> str:
        """The front and what is said of the search."""
        best = self.best
        document: Mapping[str, Any] = {
            "schema_version": SCHEMA,
            "network": self.network,
            "machine": self.machine,
            "method": self.method,
            "accuracy_of": self.accuracy_of,
            "inputs": self.inputs,
            "float_accuracy": self.float_accuracy,
            "most_loss": self.most_loss,
            "baseline": {
                name: getattr(self.baseline, name)
                for name in ("energy_pj", "latency_s", "cycles", "accuracy", "sqnr_db")
            },
            "best": None if best is None else self.trials.index(best),
            "hypervolume": self.hypervolume,
            "trials": len(self.trials),
            "failed": sum(bool(x.error) for x in self.trials),
            "probes": self.probes,
            "seconds": self.seconds,
            "rank_correlations": [vars(x) for x in self.agreements],
            "front": [self.row(x) for x in self.front],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def as_csv(self) -> str:
        """A line for each row of the front."""
        rows = [self.row(x) for x in self.front]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["point"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
