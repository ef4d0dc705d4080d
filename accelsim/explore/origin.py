"""Where the rows of a sweep come from, and the command that runs one of them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.explore.edits import OBJECTIVE
from accelsim.explore.float_network import FloatNetwork, Quantize, read_quantize
from accelsim.explore.sweep.space import expanded
from accelsim.explore.widths import is_width

ATTRIBUTE = "sweep"
"""Of a DataFrame of :func:`accelsim.read_sweep`, in ``attrs``."""


@dataclass(frozen=True)
class Origin:
    """The machine that a sweep edits, by the name that its space gives, the ``axes`` along which it does, its ``groups`` of layers, and
    how it quantizes float networks; ``labelled`` has the inputs of each workload's accuracy."""

    machine: str
    axes: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    quantize: Quantize | None
    labelled: Mapping[str, str]

    @classmethod
    def of(cls, table: Any) -> Origin | None:
        """What ``table`` says of it; None for a table that is of no sweep."""
        about = getattr(table, "attrs", {}).get(ATTRIBUTE)
        needed = ("workload", "objective", *about["axes"]) if about else ()
        if about is None or not all(name in table.columns for name in needed):  # columns may have been dropped
            return None
        space = about.get("space", {})
        options = space.get("quantize")
        quantize = None if options is None else read_quantize(options)
        labelled = dict(zip(space.get("workloads", ()), space.get("accuracy") or (), strict=False))
        return cls(about["machine"]["name"], tuple(about["axes"]), about["groups"], quantize, labelled)

    def command(self, workload: str, values: Mapping[str, Any], objective: str) -> str:
        """``accelsim run`` for the row of ``workload`` with those ``values`` of axes, whose tiles minimise ``objective``.

        Behind ``accelsim quantize`` where that makes its integers.
        """
        edits = list(self._edits(workload, values))
        model, before = workload, ""
        if self.quantize is not None:
            model = f"{Path(workload).stem}_quantized.onnx"
            before = shlex.join([*_quantizing(workload, self.quantize, edits), "--out", model]) + " && "
            edits = [(path, value) for path, value in edits if not is_width(path)]
        words = [word for path, value in edits for word in ("--set", f"{path}={value}")]
        words += ["--input", self.labelled[workload]] if workload in self.labelled else []
        return before + shlex.join(("accelsim", "run", model, "--arch", self.machine, *words, "--objective", objective))

    def _edits(self, workload: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for axis in self.axes:
            for path in self._paths(axis, workload):
                yield path, text_of(values[axis])

    def _paths(self, axis: str, workload: str) -> Sequence[str]:
        """What ``axis`` edits in ``workload``: a path, those of the layers of a group, or nothing that ``--set`` knows."""
        if axis == OBJECTIVE:
            return ()
        return expanded(axis, workload, self.groups, self.quantize)


def _quantizing(workload: str, quantize: Quantize, edits: Iterable[tuple[str, str]]) -> list[str]:
    """Words of ``accelsim quantize`` for the widths among ``edits``."""
    network = FloatNetwork.of(workload, quantize)
    settings = network.chosen(tuple((path, value) for path, value in edits if is_width(path)))
    given = network.quantize.calib
    calib = ["--calib", given] if given else []
    return ["accelsim", "quantize", workload, *calib, *settings.words, *quantize.options]


def plain(value: Any) -> Any:
    """``value`` without numpy; None where it is missing."""
    bare = value.item() if isinstance(value, np.generic) else value
    return None if bare != bare else bare


def text_of(value: Any) -> str:
    """``value`` as ``--set`` reads it: exact, null where there is none, whole numbers without a point."""
    if value is None:
        return "null"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
