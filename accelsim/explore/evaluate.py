"""``evaluate``: one row per machine, each mapped afresh, equal to what :func:`accelsim.simulate` says of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch, load_arch
from accelsim.energy import COMPONENTS, check_clock
from accelsim.errors import AccelsimError
from accelsim.explore.lowered import Lowered, counts_of
from accelsim.explore.prices import Groups, Prices, energies
from accelsim.explore.widths import Widths, split, with_widths
from accelsim.graph import Graph
from accelsim.hardware import DRAM_ENGINES, Engine
from accelsim.importers import load_for, resolve_model
from accelsim.mapper import CYCLE_SLACK
from accelsim.result import Result, bound_of
from accelsim.simulation import simulate
from accelsim.timing import CHIP, COUNTS, MOST_OPERATIONS, WIDTH, chip_of, queue_of, supported, width_of

BLOCK = 4096
"""Machines at hand at once, whatever the number of edits."""
MOST_NARROWED = 256
"""Networks of other widths that are remembered."""
BATCH = 256
"""Machines in one compiled loop: few enough that what layers did takes a few megabytes."""
_FIGURES = {name: k for k, name in enumerate(COUNTS.names or ())}
_BUSY = [_FIGURES[f"{engine.name.lower()}_busy"] for engine in Engine]
ROW = np.dtype(
    [
        ("cycles", np.int64),
        ("latency_s", np.float64),
        ("energy_pj", np.float64),
        *((f"{component}_pj", np.float64) for component in COMPONENTS),
        ("area_um2", np.float64),
        ("dram_read_bytes", np.int64),
        ("dram_write_bytes", np.int64),
        ("utilization", np.float64),
        ("bound", "U15"),
        ("error", object),
    ]
)
"""A row of :func:`evaluate`: cycles -1 and energies NaN where there is an ``error`` text, else that is empty."""


class _Network(NamedTuple):
    """A Graph in one arithmetic: lowered, and its layers by what their actions cost; ``arithmetic`` of the machines that compute it."""

    lowered: Lowered
    groups: Groups
    arithmetic: str | None


class _Point(NamedTuple):
    """A machine, its row of the table, and the network that it computes."""

    row: int
    arch: Arch
    network: _Network


def evaluate(
    model: str | Path | Graph, *, arch: str | Path | Arch, edits: Iterable[Mapping[str, object]]
) -> NDArray[np.void]:
    """A table with one row (:data:`ROW`) for each of ``edits``: the machine ``arch`` with the values at those dotted paths.

    ``model`` and ``arch`` as of :func:`accelsim.simulate`; ``edits`` as of :meth:`Arch.with_`, a generator too. They may name the
    network's widths as well: ``weights.bits``, or ``layers.NAME.weights.bits`` of one layer. Every machine is mapped by the default
    mapper and scheduled whole, without building a Program: cycles and bytes are those of ``simulate``, energies but for rounding
    (1e-12). ``area_um2`` is NaN where the energy table lacks a part's; ``bound`` names the busiest part of the machine. A machine that
    is invalid, or that the network does not fit, has its error in its own row; a model that cannot be read raises.

    Machines of several cores, with a DRAM standard or bursts, coded weights, unrolled windows or fused pairs take the path of
    ``simulate``, tens of times slower. ``pandas.DataFrame(table)`` makes a frame of it.
    """
    base = arch if isinstance(arch, Arch) else load_arch(arch)
    networks, left = _Networks(model, base), iter(edits)
    tables = [_empty(0)]
    while block := list(itertools.islice(left, BLOCK)):
        tables.append(_block(networks, block))
    return np.concatenate(tables)


def _block(networks: _Networks, edits: Sequence[Mapping[str, object]]) -> NDArray[np.void]:
    """The rows of some edits."""
    table = _empty(len(edits))
    slow, fast = list[_Point](), dict[object, list[_Point]]()
    for row, edit in enumerate(edits):
        try:
            point = networks.point(row, edit)
        except AccelsimError as error:
            table[row]["error"] = str(error)
            continue
        kind = id(point.network), point.arch.array.flow.stationary, point.arch.activation_buffer.resident_bytes
        (fast.setdefault(kind, []) if _is_fast(point) else slow).append(point)
    for points in fast.values():
        for begin in range(0, len(points), BATCH):
            slow += _run(points[begin : begin + BATCH], table)
    for point in slow:
        _simulated(point, table)
    return table


def _empty(rows: int) -> NDArray[np.void]:
    table = np.zeros(rows, dtype=ROW)
    table["cycles"], table["error"] = -1, ""
    for name in ROW.names or ():
        if table[name].dtype == np.float64:
            table[name] = np.nan
    return table


class _Networks:
    """The Graphs of one model, by arithmetic."""

    def __init__(self, model: str | Path | Graph, base: Arch) -> None:
        self._model = model if isinstance(model, Graph) else resolve_model(model)
        self._known: dict[object, _Network] = {}
        self._narrowed: dict[object, _Network] = {}
        self._clocks: set[object] = set()
        self._base, self._own = base, base.arithmetic is None
        if self._own:
            self._base = base.with_({"arithmetic": self._network(base).arithmetic})

    def point(self, row: int, edit: Mapping[str, object]) -> _Point:
        """The machine of one row, with the network in its arithmetic; AccelsimError where it is invalid."""
        machine, widths = split(edit)
        arch = self._base.with_(machine)
        own = self._own and not any(path.partition(".")[0] in ("arithmetic", "overrides") for path in machine)
        network = self._with_widths(self._network(arch, own), widths)
        if (clock := (arch.tech, arch.clock_hz)) not in self._clocks:
            check_clock(arch)
            self._clocks.add(clock)
        network.lowered.check(arch)
        return _Point(row, arch, network)

    def _network(self, arch: Arch, own: bool = True) -> _Network:
        key = None if own and self._own else (arch.arithmetic, arch.overrides)
        if key not in self._known:
            graph, machine = load_for(self._model, arch)
            self._known[key] = _Network(Lowered(graph), Groups(graph), machine.arithmetic)
        return self._known[key]

    def _with_widths(self, network: _Network, widths: Widths) -> _Network:
        key = id(network), tuple((path, str(value)) for path, value in widths)
        if widths and key not in self._narrowed:
            if len(self._narrowed) >= MOST_NARROWED:
                self._narrowed.clear()
            graph = with_widths(network.lowered.graph, widths)
            self._narrowed[key] = _Network(Lowered(graph), Groups(graph), network.arithmetic)
        return self._narrowed[key] if widths else network


def _is_fast(point: _Point) -> bool:
    """Whether the compiled loop knows all that the machine does."""
    lowered, arch = point.network.lowered, point.arch
    fits = lowered.graph.shape_only or arch.rules().name == lowered.graph.arithmetic
    kept = lowered.whole_bytes or not arch.activation_buffer.resident_bytes
    return fits and kept and supported(arch) and lowered.least_operations(arch) <= MOST_OPERATIONS


def _run(points: Sequence[_Point], table: NDArray[np.void]) -> list[_Point]:
    """Fill the rows of ``points``, machines of one network with the same tensors on chip; those that a tile fits nowhere come back."""
    from accelsim.mapper.compiled import Layers, Points, run_points

    network, ready, back = points[0].network, list[_Point](), list[_Point]()
    chips, widths, tilings, prices = [], [], [], []
    for point in points:
        try:
            cut, price = network.lowered.tilings(point.arch), network.groups.prices(point.arch)
            width = [width_of(point.arch, *bits) for bits in network.lowered.widths]
        except AccelsimError:
            back.append(point)
            continue
        ready.append(point)
        chips.append(tuple(chip_of(point.arch).values()))
        widths.append(width)
        tilings.append(cut)
        prices.append(price)
    if not ready:
        return back
    lowered, groups = network.lowered, network.groups
    counts, figures = counts_of(len(lowered.graph.layers))
    columns = Points(
        np.array(chips, dtype=CHIP),
        np.array(widths, dtype=WIDTH).reshape(len(ready), -1),
        np.array([queue_of(point.arch.dma.queues) for point in ready]),
        np.stack(tilings),
        np.full(len(ready), -1, dtype=np.int64),
        np.zeros((len(ready), groups.count, len(_FIGURES)), dtype=np.int64),
    )
    layers = Layers(lowered.twins, groups.of, counts, figures)
    run_points(lowered.network, lowered.cuts.tiles(), lowered.kept(ready[0].arch), layers, CYCLE_SLACK, columns)
    done = columns.cycles >= 0
    _fill(table, ready, columns, prices, done)
    return back + [point for point, found in zip(ready, done, strict=True) if not found]


def _fill(
    table: NDArray[np.void], points: Sequence[_Point], columns: Any, prices: list[Prices], done: NDArray[np.bool_]
) -> None:
    """Rows of the points that are ``done``."""
    if not done.any():
        return
    rows = np.array([point.row for point in points], dtype=np.int64)[done]
    groups, cycles, totals = points[0].network.groups, columns.cycles[done], columns.totals[done]
    kept = [price for price, found in zip(prices, done, strict=True) if found]
    machines = [point.arch for point, found in zip(points, done, strict=True) if found]
    actions = groups.actions(totals, machines[0].array.flow.stationary)
    spent = energies(actions, kept, cycles)
    for component, energy in spent.items():
        table[f"{component}_pj"][rows] = energy
    table["cycles"][rows], table["energy_pj"][rows] = cycles, sum(spent.values())
    table["latency_s"][rows] = cycles / np.array([arch.clock_hz for arch in machines])
    table["area_um2"][rows] = [price.area for price in kept]
    table["dram_read_bytes"][rows] = actions.dram_read_asked.sum(axis=1) // 8
    table["dram_write_bytes"][rows] = actions.dram_write_asked.sum(axis=1) // 8
    rates = np.array([groups.cycles_per_product(arch) for arch in machines])
    work = (totals[:, :, _FIGURES["macs"]] * rates).sum(axis=1)
    peak = np.array([arch.peak_macs_per_cycle for arch in machines]) * cycles
    table["utilization"][rows] = work / np.maximum(peak, 1)
    sums = totals.sum(axis=1)
    busy, stream = sums[:, _BUSY].tolist(), sums[:, _FIGURES["stream"]].tolist()
    table["bound"][rows] = [bound_of(b, s, b[Engine.COMPUTE]) for b, s in zip(busy, stream, strict=True)]


def _simulated(point: _Point, table: NDArray[np.void]) -> None:
    """One row by the path of a single run."""
    row = table[point.row]
    try:
        result = simulate(point.network.lowered.graph, arch=point.arch)
    except AccelsimError as error:
        row["error"] = str(error)
        return
    total = result.total
    row["cycles"], row["latency_s"], row["energy_pj"] = total.cycles, total.latency_s, total.energy_pj
    for component, part in total.energy_split_pj.items():
        row[f"{component}_pj"] = part
    row["area_um2"] = np.nan if result.area_um2 is None else result.area_um2
    row["dram_read_bytes"], row["dram_write_bytes"] = total.dram_read_bytes, total.dram_write_bytes
    row["utilization"], row["bound"] = total.utilization, _bound_of_result(result)


def _bound_of_result(result: Result) -> str:
    """The busiest part of the machine over all layers: of the busiest core, but for the DRAM port, at which all take turns."""
    cores = [[core[engine.name.lower()] for core in result.total.core_busy_cycles] for engine in Engine]
    longest = [sum(busy) if engine in DRAM_ENGINES else max(busy) for engine, busy in zip(Engine, cores, strict=True)]
    return bound_of(longest, sum(layer.stream_cycles for layer in result.layers), sum(cores[Engine.COMPUTE]))
