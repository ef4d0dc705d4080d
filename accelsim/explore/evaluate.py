"""``evaluate``: one row per machine, each mapped afresh, equal to what :func:`accelsim.simulate` says of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch, load_arch
from accelsim.energy import COMPONENTS
from accelsim.errors import AccelsimError, InputError
from accelsim.explore.accuracy import Arrays, labelled
from accelsim.explore.float_network import Quantize
from accelsim.explore.networks import Networks, Point, model_of
from accelsim.graph import Graph
from accelsim.hardware import Engine, passes_of
from accelsim.mapper import DEFAULT_OBJECTIVE, OBJECTIVES, Objective, checked_objective
from accelsim.mapper.network import Prices, counts_of, energies
from accelsim.result import bound_of, network_bound
from accelsim.simulation import simulate
from accelsim.timing import CHIP, COUNTS, WIDTH, chip_of, queues_of, width_of

BLOCK = 4096
"""Machines at hand at once, whatever the number of edits."""
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
        ("accuracy", np.float64),
        ("bound", "U15"),
        ("objective", "U6"),
        ("error", object),
    ]
)
"""A row of :func:`evaluate`: cycles -1 and energies NaN where there is an ``error`` text, else that is empty.
``objective`` is what its tiles minimise; ``accuracy`` is NaN without labels."""


def evaluate(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch,
    edits: Iterable[Mapping[str, object]],
    objective: Objective = DEFAULT_OBJECTIVE,
    inputs: Arrays | NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    quantize: Mapping[str, Any] | Quantize | None = None,
) -> NDArray[np.void]:
    """A table with one row (:data:`ROW`) for each of ``edits``: the machine ``arch`` with the values at those dotted paths.

    ``model`` and ``arch`` as of :func:`accelsim.simulate`; ``edits`` as of :meth:`Arch.with_`, a generator too. They may edit the
    network as well: ``weights.bits`` and ``activations.bits``, ``layers.NAME.weights.bits`` of one layer, and ``batch``, the images
    computed at a time, of which the row's figures then are all; and ``mapping.objective``, where a row is to minimise something else
    than ``objective`` (``cycles``, ``energy``, or ``edp``, energy x delay). Every machine is mapped by the default mapper and scheduled
    whole, without building a Program: cycles and bytes are those of ``simulate``, energies but for rounding (1e-12). ``area_um2`` is NaN
    where the energy table lacks a part's; ``bound`` names the busiest part of the machine. A machine that is invalid, or that the
    network does not fit, has its error in its own row; a model that cannot be read raises.

    With ``inputs`` and ``labels``, as of :func:`accelsim.run`, ``accuracy`` is the share of labels that the machine's own integers meet,
    computed once for each distinct arithmetic. With ``quantize``, options of ``accelsim quantize`` by name, ``model`` is a float network
    that becomes integers at the widths of each row; without, widths are timed and priced, and a row that edits them has no accuracy.

    Machines of several cores, with a DRAM standard or bursts, coded weights or activations, unrolled windows or fused pairs take the path of
    ``simulate``, tens of times slower. ``pandas.DataFrame(table)`` makes a frame of it.
    """
    base = arch if isinstance(arch, Arch) else load_arch(arch)
    source = model_of(model, quantize)
    networks, left = Networks(source, base, checked_objective(objective), labelled(inputs, labels)), iter(edits)
    tables = [_empty(0)]
    while block := list(itertools.islice(left, BLOCK)):
        tables.append(_block(networks, block))
    return np.concatenate(tables)


def _block(networks: Networks, edits: Sequence[Mapping[str, object]]) -> NDArray[np.void]:
    """The rows of some edits."""
    table = _empty(len(edits))
    slow, fast = list[Point](), dict[object, list[Point]]()
    for row, edit in enumerate(edits):
        try:
            point = networks.point(row, edit)
        except InputError:  # of all rows
            raise
        except AccelsimError as error:
            table[row]["error"] = str(error)
            continue
        table[row]["accuracy"] = point.accuracy
        arch = point.arch
        kind = (
            id(point.network),
            arch.array.flow.stationary,
            arch.streams.apart,
            arch.activation_buffer.resident_bytes,
            passes_of(point.network.lowered.graph, arch),
        )
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


def _is_fast(point: Point) -> bool:
    """Whether the compiled loop knows all that the machine does."""
    lowered, arch = point.network.lowered, point.arch
    fits = lowered.graph.shape_only or arch.rules().name == lowered.graph.arithmetic
    return fits and lowered.streams(arch)


def _run(points: Sequence[Point], table: NDArray[np.void]) -> list[Point]:
    """Fill the rows of ``points``, machines of one network with the same tensors on chip; those that a tile fits nowhere come back."""
    from accelsim.mapper.compiled import Layers, Points, run_points

    network, ready, back = points[0].network, list[Point](), list[Point]()
    chips, widths, tilings, prices = [], [], [], []
    for point in points:
        try:
            cut, price = network.lowered.tilings(point.arch, point.objective), network.groups.prices(point.arch)
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
        np.array([queues_of(point.arch) for point in ready]),
        np.array([OBJECTIVES.index(point.objective) for point in ready], dtype=np.int64),
        np.stack(tilings),
        np.stack([price.rates for price in prices]),
        groups.charges(prices, ready[0].arch.array.flow.stationary, ready[0].arch.streams.apart),
        np.array([price.clock + price.leakage for price in prices]),
        np.full(len(ready), -1, dtype=np.int64),
        np.zeros((len(ready), groups.count, len(_FIGURES)), dtype=np.int64),
    )
    alike = ready[0].arch  # in what is kept and computed on the fly
    layers = Layers(lowered.twins, groups.of, lowered.space(alike), counts, figures)
    run_points(lowered.network(alike), lowered.cuts.tiles(), lowered.kept(alike), layers, columns)
    done = columns.cycles >= 0
    _fill(table, ready, columns, prices, done)
    return back + [point for point, found in zip(ready, done, strict=True) if not found]


def _fill(
    table: NDArray[np.void], points: Sequence[Point], columns: Any, prices: list[Prices], done: NDArray[np.bool_]
) -> None:
    """Rows of the points that are ``done``."""
    if not done.any():
        return
    rows = np.array([point.row for point in points], dtype=np.int64)[done]
    groups, cycles, totals = points[0].network.groups, columns.cycles[done], columns.totals[done]
    kept = [price for price, found in zip(prices, done, strict=True) if found]
    machines = [point.arch for point, found in zip(points, done, strict=True) if found]
    actions = groups.actions(totals, machines[0].array.flow.stationary, machines[0].streams.apart)
    spent = energies(actions, kept, cycles)
    for component, energy in spent.items():
        table[f"{component}_pj"][rows] = energy
    table["cycles"][rows], table["energy_pj"][rows] = cycles, sum(spent.values())
    table["objective"][rows] = [point.objective for point, found in zip(points, done, strict=True) if found]
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


def _simulated(point: Point, table: NDArray[np.void]) -> None:
    """One row by the path of a single run."""
    row = table[point.row]
    try:
        result = simulate(point.network.lowered.graph, arch=point.arch, objective=point.objective)
    except AccelsimError as error:
        row["error"], row["accuracy"] = str(error), np.nan
        return
    total = result.total
    row["cycles"], row["latency_s"], row["energy_pj"] = total.cycles, total.latency_s, total.energy_pj
    for component, part in total.energy_split_pj.items():
        row[f"{component}_pj"] = part
    row["area_um2"] = np.nan if result.area_um2 is None else result.area_um2
    row["dram_read_bytes"], row["dram_write_bytes"] = total.dram_read_bytes, total.dram_write_bytes
    row["utilization"], row["bound"] = total.utilization, network_bound(result)
    row["objective"] = point.objective
