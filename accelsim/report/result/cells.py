"""What a Result says, cell by cell: columns, facts and notes that the text, the HTML and the terminal table share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.energy import MEMORIES, SCRATCHPADS
from accelsim.report.lines import width_of
from accelsim.report.numbers import (
    NAME_WIDTH,
    NONE,
    component_name,
    count,
    energy,
    femtojoules,
    power,
    seconds,
    share,
    short_names,
    size,
)
from accelsim.report.result.energy import area_line
from accelsim.result import LayerResult, Result, Total, ValueSummary
from accelsim.units import format_hertz

_NAME_WIDTHS = (NAME_WIDTH, 22, 16)


@dataclass(frozen=True)
class Column:
    """One column of the layer table; on a narrow page those of the highest ``priority`` go first (0 always stays)."""

    title: str
    cell: Callable[[LayerResult], str]
    right: bool = True
    priority: int = 0


def _where_it_runs(cell: Callable[[LayerResult], str]) -> Callable[[LayerResult], str]:
    """``cell``, or NONE for a layer that only renames memory."""
    return lambda layer: cell(layer) if layer.tiles else NONE


def layer_columns(result: Result, name_width: int = NAME_WIDTH) -> tuple[Column, ...]:
    """All columns of the layer table, layer names in at most ``name_width`` characters."""
    names = short_names((layer.name for layer in result.layers), name_width)
    return (
        Column("", lambda layer: str(layer.index)),
        Column("layer", lambda layer: names[layer.name], right=False),
        Column("op", lambda layer: layer.op, right=False, priority=1),
        Column("MACs", lambda layer: count(layer.macs) if layer.macs else NONE),
        Column("cycles", _where_it_runs(lambda layer: count(layer.cycles))),
        Column("util.", lambda layer: share(layer.utilization)),
        Column("bound", lambda layer: NONE if layer.bound == "none" else layer.bound, right=False),
        Column("DRAM read", _where_it_runs(lambda layer: size(layer.dram_read_bytes)), priority=2),
        Column("DRAM write", _where_it_runs(lambda layer: size(layer.dram_write_bytes)), priority=2),
        Column(
            "buffers",
            _where_it_runs(lambda layer: size(layer.buffer_read_bytes + layer.buffer_write_bytes)),
            priority=3,
        ),
        *(_BANKS for _ in range(any(layer.weight_banks is not None for layer in result.layers))),
        Column("energy", _where_it_runs(lambda layer: energy(layer.energy_pj))),
    )


_BANKS = Column(
    "banks", _where_it_runs(lambda layer: f"{layer.weight_banks}+{layer.activation_banks}"), right=False, priority=2
)
"""Of a memory that weights and activations share, those of the former and of the latter."""


def fit_columns(result: Result, width: int | None) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The columns that fit into ``width`` characters (None: all), and the titles left out."""
    if width is None:
        return layer_columns(result), ()
    for name_width in _NAME_WIDTHS:
        columns = layer_columns(result, name_width)
        if table_width(result, columns) <= width:
            return columns, ()
    for least in (3, 2, 1):
        kept = tuple(column for column in columns if column.priority < least)
        if table_width(result, kept) <= width:
            break
    return kept, tuple(column.title for column in columns if column.priority >= least)


def table_width(result: Result, columns: Sequence[Column]) -> int:
    """Characters that ``columns`` take, the total row included."""
    return width_of([c.title, *map(c.cell, result.layers), total_cell(result, c)] for c in columns)


def total_cell(result: Result, column: Column) -> str:
    """The entry of the total row in ``column``."""
    total = result.total
    entries = {
        "layer": "total",
        "MACs": count(total.macs) if total.macs else NONE,
        "cycles": count(total.cycles),
        "util.": share(total.utilization) if total.macs else NONE,
        "DRAM read": size(total.dram_read_bytes),
        "DRAM write": size(total.dram_write_bytes),
        "buffers": size(total.buffer_read_bytes + total.buffer_write_bytes),
        "energy": energy(total.energy_pj),
    }
    return entries.get(column.title, "")


def heading(result: Result) -> str:
    """Model, machine and who mapped one to the other, in one line."""
    known = [f"tiles by {tiles_by(result)}"] if result.mapper else []
    return "; ".join([f"{result.model} on {machine(result)}", *known])


def tiles_by(result: Result) -> str:
    """Who cut the layers, and what that minimised: ``default mapper, least edp``."""
    if result.mapper is None:
        return NONE
    name = "default mapper" if result.mapper == "default" else result.mapper
    return name if result.objective is None else f"{name}, least {result.objective}"


def machine(result: Result) -> str:
    """The machine in a few words."""
    return ", ".join([str(result.arch.get("name", NONE)), *_array(result.arch), clock(result)])


def _array(arch: dict[str, Any]) -> list[str]:
    array, cores = arch.get("array"), arch.get("cores")
    if not isinstance(array, dict):
        return []
    dataflow = str(array.get("dataflow", "")).replace("_", " ")
    several = f"{cores['count']} cores of " if isinstance(cores, dict) and cores.get("count", 1) != 1 else ""
    return [f"{several}{array.get('rows', NONE)}×{array.get('cols', NONE)} {dataflow}".rstrip()]


def clock(result: Result) -> str:
    """The machine's clock."""
    hz: Any = result.arch.get("clock_hz")
    return format_hertz(hz) if isinstance(hz, int | float) else NONE


def total_facts(result: Result) -> list[tuple[str, str]]:
    """Totals as (name, value)."""
    total = result.total
    return [
        ("MACs", count(total.macs) if total.macs else NONE),
        ("cycles", f"{count(total.cycles)} at {clock(result)}"),
        ("array busy", _array_busy(total) if total.macs else NONE),
        ("array time", _array_time(total)),
        ("lower bounds", _floors(total)),
        ("latency", seconds(total.latency_s)),
        ("rate", _rate(total.inferences_per_s)),
        ("utilization", share(total.utilization) if total.macs else NONE),
        ("weights", size(total.weight_bytes)),
        ("DRAM", f"{size(total.dram_read_bytes)} read, {size(total.dram_write_bytes)} written"),
        ("energy", energy(total.energy_pj)),
        ("energy per MAC", femtojoules(total.energy_per_mac_fj)),
        ("average power", power(total.average_power_w)),
    ]


def _array_busy(total: Total) -> str:
    cores = len(total.core_busy_cycles)
    return f"{count(total.compute_cycles)} cycles" + (f" in {cores} cores" if cores > 1 else "")


def _floors(total: Total) -> str:
    """How far the cycles are from what full arrays and what the DRAM port need at least."""
    floors = ("compute", total.compute_bound_cycles), ("traffic", total.traffic_bound_cycles)
    texts = [f"{total.cycles / cycles:,.2f}x the {name} bound" for name, cycles in floors if cycles]
    return ", ".join(texts) or NONE


def _array_time(total: Total) -> str:
    """What the array (of all cores) did in how much of the time, most of it first."""
    parts = sorted(total.array_cycles.items(), key=lambda part: -part[1])
    whole = sum(total.array_cycles.values())
    texts = [f"{share(cycles / whole)} {_ARRAY_TIME.get(name, name.replace('_', ' '))}" for name, cycles in parts]
    return ", ".join(texts) if total.cycles else NONE


_ARRAY_TIME = {"stream": "streaming", "fill_drain": "fill and drain", "dram_latency": "DRAM latency"}


def _rate(per_second: float) -> str:
    if not per_second:
        return NONE
    return f"{per_second:,.{0 if per_second >= 100 else 3}f} inferences/s"


def energy_parts(result: Result) -> list[tuple[str, str, float | None]]:
    """(component, energy, share of the total) in falling order; NONE and no share for a component that did not act. Scratchpads, and memories
    beside the DRAM, which few machines have, only where they did."""
    total = result.total.energy_pj
    rare = {*SCRATCHPADS.values(), *MEMORIES}
    spent = {name: pj for name, pj in result.total.energy_split_pj.items() if pj or name not in rare}
    parts = sorted(spent.items(), key=lambda part: -part[1])
    return [(component_name(name), energy(pj) if pj else NONE, pj / total if pj else None) for name, pj in parts]


def value_facts(result: Result) -> list[tuple[str, str]]:
    """Accuracy, and who computed the values, as (name, value)."""
    values = result.values
    if values is None:
        return [("accuracy", NONE), ("values", f"{NONE} (no inputs were given)")]
    return [("accuracy", _accuracy(values)), ("values", _reader(values)), ("accumulators", _proof(values))]


def _accuracy(values: ValueSummary) -> str:
    if values.accuracy is None or values.correct is None:
        return f"{NONE} (no labels were given)"
    return f"{values.accuracy * 100:.2f} % ({count(values.correct)} of {count(values.inputs)} inputs, bit-exact)"


def _reader(values: ValueSummary) -> str:
    if values.reader == "program":
        return f"{_inputs(values.inputs)} through the Program's tiles and buffers"
    checked = values.program_checked
    through = f"; {count(checked)} also through the Program's tiles and buffers, same bits" if checked else ""
    return f"{_inputs(values.inputs)} by whole-layer kernels{through}"


def _inputs(number: int) -> str:
    return f"{count(number)} input" + ("s" if number != 1 else "")


def _proof(values: ValueSummary) -> str:
    if values.accumulators_proved:
        return "proved: no sum can leave its accumulator, so the order of sums changes nothing"
    if values.reader == "layers":
        return "not proved to hold every sum; overflow wraps, so the order of sums changes nothing"
    return "not proved to hold every sum; summed in the array's own order"


def made_with(result: Result) -> str:
    """Arithmetic, energy table and version in one line."""
    notes = "".join(f" ({note})" for note in result.energy.notes) if result.energy else ""
    return (
        f"arithmetic {result.arithmetic}; energy table {result.energy_table}{notes}; accelsim {result.accelsim_version}"
    )


def closing(result: Result) -> list[str]:
    """What a page of a Result ends with, a line each: how it was made, how its area came about, what is not modelled."""
    return [made_with(result), *area_line(result.area), left_out(result)]


def left_out(result: Result) -> str:
    """What is not modelled, in one line."""
    return f"not modelled: {', '.join(result.not_modelled) or NONE}"
