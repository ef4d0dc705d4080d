"""Accumulator bounds as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from accelsim.execute import AccumulatorRecord, AccumulatorReport
from accelsim.report.lines import width_of
from accelsim.report.numbers import NONE, count, short_names
from accelsim.report.terminal import fact_table, plain_table

NATURAL_WIDTH = 170
"""Characters that the table may take where the page has no width of its own."""

_LEGEND = (
    ("any weights", "bound of every partial sum, for any weights of their format and any inputs; bits that hold it"),
    ("these weights", "the same for the model's weights and any inputs"),
    ("observed", "largest partial sum over the given inputs; no promise for others"),
)


def _value(value: int | None) -> str:
    return NONE if value is None else count(value)


def _peak(record: AccumulatorRecord) -> str:
    return NONE if record.observed is None else count(max(abs(end) for end in record.observed))


_Column = tuple[str, Callable[[AccumulatorRecord], str], bool]

_COLUMNS: Sequence[_Column] = (
    ("op", lambda record: record.operator, False),
    ("products", lambda record: count(record.reduction), True),
    ("any weights", lambda record: count(record.formats_bound), True),
    ("bits", lambda record: count(record.formats_bits), True),
    ("these weights", lambda record: _value(record.weights_bound), True),
    ("bits", lambda record: _value(record.weights_bits), True),
    ("observed", _peak, True),
    ("bits", lambda record: _value(record.observed_bits), True),
    ("has", lambda record: str(record.accumulator.bits), True),
    ("proved", lambda record: "yes" if record.proved else "no", False),
    ("kernel", lambda record: record.kernel, False),
)


_DROPPED_FIRST = ("op", "products", "kernel", "any weights")
"""Columns that go, in this order, where the page is too narrow for all."""


def accumulator_table(
    report: AccumulatorReport, *, heading: str, layers: Iterable[str], width: int | None = None
) -> RenderableType:
    """One row per MAC layer, called as among all ``layers`` of the network, then what follows for the whole.

    Columns without room in ``width`` are named.
    """
    short = short_names(layers)
    columns, hidden = _fitting(report, [("layer", lambda record: short[record.layer], False), *_COLUMNS], width)
    table = plain_table()
    for title, _, right in columns:
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for record in report.records:
        style = "" if record.proved else "yellow"
        table.add_row(*(Text(cell(record), style=style) for _, cell, _ in columns))
    missing = [Text(f"not shown for lack of width: {', '.join(hidden)}", style="dim")] if hidden else []
    facts = fact_table([*accumulator_facts(report), *_LEGEND])
    return Group(Text(heading, style="bold"), Text(), table, *missing, Text(), facts)


def _fitting(report: AccumulatorReport, known: Sequence[_Column], width: int | None) -> tuple[list[_Column], list[str]]:
    """Those of the ``known`` columns that fit into ``width`` characters, and the titles left out."""
    columns, hidden = list(known), []
    for title in _DROPPED_FIRST:
        if width is None or _width(report, columns) <= width:
            break
        hidden.append(title)
        at = next(i for i, column in enumerate(columns) if column[0] == title)
        del columns[at : at + (2 if title == "any weights" else 1)]
    return columns, hidden


def _width(report: AccumulatorReport, columns: Sequence[_Column]) -> int:
    return width_of([title, *map(cell, report.records)] for title, cell, _ in columns)


def accumulator_facts(report: AccumulatorReport) -> list[tuple[str, str]]:
    """Proof, reader and inputs as (name, value)."""
    return [
        ("accumulators", _proof(report)),
        ("values", _reader(report)),
        ("inputs", f"{count(report.inferences)} observed" if report.inferences else f"{NONE} (none were given)"),
    ]


def _proof(report: AccumulatorReport) -> str:
    unproved = sum(not record.proved for record in report.records)
    if not unproved:
        return f"proved safe in {count(len(report.records))} of {count(len(report.records))} layers"
    policy = "" if report.overflow is None else f"; overflow: {report.overflow.replace('_', ' ')}"
    return f"not proved safe in {count(unproved)} of {count(len(report.records))} layers{policy}"


def _reader(report: AccumulatorReport) -> str:
    if report.reader is None:
        return f"{NONE} (the network carries shapes only)"
    if report.reader == "program":
        return "through the Program's tiles, because the order of sums may change them"
    if report.overflow is None:
        return "by whole-layer kernels, sums exact: no machine was given"
    why = "no sum can overflow" if report.proved else "wrapped sums do not depend on their order"
    return f"by whole-layer kernels, because {why}"
