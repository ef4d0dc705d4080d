"""Tables of layer shapes in CSV: the own format and SCALE-Sim's topologies, which differ in their header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.arch import Arithmetic
from accelsim.graph import Graph
from accelsim.importers.registry import OperatorSupport


def load(path: Path, *, arithmetic: Arithmetic | None = None, overrides: Mapping[str, str] | None = None) -> Graph:
    """The shape-only Graph of the table at ``path``, which has no integer rules; ModelError where it cannot be had."""
    from accelsim.importers.tables.lines import read_lines
    from accelsim.importers.tables.scalesim import is_topology, load_topology
    from accelsim.importers.tables.table import COLUMNS, load_table

    lines = read_lines(path, ",".join(COLUMNS))
    return load_topology(lines) if is_topology(lines) else load_table(lines)


def graph_of_text(text: str, *, name: str) -> Graph:
    """The shape-only Graph, called ``name``, of a table of our own columns that is in no file; ModelError as :func:`load`."""
    from accelsim.importers.tables.lines import lines_of
    from accelsim.importers.tables.table import COLUMNS, load_table

    return load_table(lines_of(text, Path(f"{name}.csv"), ",".join(COLUMNS)))


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operation that a row may name."""
    from accelsim.importers.tables.table import OPERATIONS

    notes = "shapes only: timing and energy, no values"
    return tuple(
        OperatorSupport(op, ".csv", "2 to 32 bits", kind.__name__, notes) for op, (kind, _) in OPERATIONS.items()
    )
