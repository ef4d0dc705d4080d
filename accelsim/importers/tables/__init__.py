"""Tables of layer shapes in CSV: the own format and SCALE-Sim's topologies, which differ in their header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.arch import Arithmetic
from accelsim.graph import Graph
from accelsim.importers.registry import OperatorSupport


def load(path: Path, *, arithmetic: Arithmetic | None = None, overrides: Mapping[str, str] | None = None) -> Graph:
    """The shape-only Graph of the table at ``path``, which has no integer rules; ModelError where it cannot be had."""
    from accelsim.importers.tables.scalesim import is_topology, load_topology
    from accelsim.importers.tables.table import load_table

    return load_topology(path) if is_topology(path) else load_table(path)


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operation that a row may name."""
    from accelsim.importers.tables.table import OPERATIONS

    notes = "shapes only: timing and energy, no values"
    return tuple(
        OperatorSupport(op, ".csv", "2 to 32 bits", kind.__name__, notes) for op, (kind, _) in OPERATIONS.items()
    )
