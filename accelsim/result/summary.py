"""From Program and Timeline to a Result."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from accelsim.energy import COMPONENTS, Costs, EnergySplit, EnergyTable, count_actions, layer_energy
from accelsim.graph import MacLayer
from accelsim.hardware import DRAM_ENGINES, Engine
from accelsim.objective import Objective
from accelsim.program import MacMapping, Program
from accelsim.result.area import area_summary
from accelsim.result.bounds import array_work, traffic_bound
from accelsim.result.energy import energy_summary, not_held
from accelsim.result.measured import Cycles, Measured, busy_cycles, measured
from accelsim.result.notes import notes as machine_notes
from accelsim.result.record import Bound, LayerResult, Result, Total, ValueSummary
from accelsim.timing import Stalls, Timeline, stalls

NOT_MODELLED = "instruction fetch and host"
NO_PARAMETERS = "loads of biases and requantization parameters"
"""Modelled by machines that give ``requantizer.parameter_bytes``."""
NO_ROWS = "DRAM refresh and row-buffer misses"
"""Modelled by machines that name a ``dram.standard``."""
BLIND = "compression of weights of which only the shape is known"
NOT_KEPT = "activations kept on chip between layers"
"""Modelled by machines that set ``activation_buffer.resident_bytes`` aside."""
_SUMS = (
    "compute_cycles", "compute_bound_cycles", "dram_read_bytes", "dram_write_bytes", "buffer_read_bytes", "buffer_write_bytes",
)  # fmt: skip
_ENGINES = tuple(engine.name.lower() for engine in Engine)
_PARTS: tuple[tuple[Bound, ...], ...] = (
    ("compute", "fill/drain"), ("vector",), ("requantize",), ("keep",), ("recall",), ("weight load", "activation load", "store"),
)  # fmt: skip
"""Groups of parts in which the busiest is looked for."""
_BUFFERS = ("weight_buffer", "activation_buffer", "output_buffer")


def summarize(
    timeline: Timeline,
    *,
    table: EnergyTable,
    values: ValueSummary | None = None,
    mapper: str | None = None,
    objective: Objective | None = None,
    notes: Sequence[str] = (),
) -> Result:
    """The Result of one scheduled Program, its energy by ``table``.

    ``mapper`` and ``objective`` say who cut its layers and for what, where that is known; ``notes`` come behind the machine's.
    """
    program = timeline.program
    counts, costs = count_actions(program), Costs(table)
    energies = layer_energy(program, counts, table, cycles=timeline.layer_cycles, costs=costs)
    busy, waits = busy_cycles(program), stalls(timeline)
    work = array_work(program)
    of_layers = zip(measured(timeline, busy), work, counts.by_layer(), energies, _causes(waits), strict=True)
    layers = tuple(_layer(program, i, *figures) for i, figures in enumerate(of_layers))
    total = _total(timeline, layers, busy, waits, sum(work))
    energy = energy_summary(timeline, energies, table=table, costs=costs, latency_s=total.latency_s)
    return Result(
        accelsim_version=package_version(),
        model=program.graph.name,
        arithmetic=program.graph.arithmetic,
        arch=program.arch.model_dump(mode="json"),
        energy_table=f"{table.name} v{table.version}",
        layers=layers,
        total=total,
        energy=energy,
        area=area_summary(program.arch, table),
        values=values,
        not_modelled=(*_not_modelled(program), *not_held(program.arch, costs), *table.not_modelled),
        notes=(*machine_notes(program), *notes),
        mapper=mapper,
        objective=objective,
    )


def _not_modelled(program: Program) -> tuple[str, ...]:
    arch = program.arch
    left_out = [] if arch.requantizer.parameter_bytes else [NO_PARAMETERS]
    left_out += [NOT_MODELLED]
    left_out += [BLIND] if _compressed_blindly(program) else []
    left_out += [] if arch.dram.channel else [NO_ROWS]
    left_out += [] if arch.activation_buffer.resident_bytes else [NOT_KEPT]
    return tuple(left_out)


def _compressed_blindly(program: Program) -> bool:
    layers = [layer for layer in program.graph.layers if isinstance(layer, MacLayer) and len(layer.inputs) == 1]
    coded = program.arch.dma.weight_compression is not None or program.arch.weight_buffer.coding is not None
    return coded and any(layer.weights is None for layer in layers)


@cache
def package_version() -> str:
    """The version of accelsim that is installed."""
    try:
        return version("accelsim")
    except PackageNotFoundError:
        return "0+source"


def _causes(waits: Stalls) -> list[dict[str, int]]:
    """Per layer the cycles of each cause, without those that took no time."""
    keys = [_key(cause) for cause in waits.causes]
    return [{key: n for key, n in zip(keys, row, strict=True) if n} for row in waits.cycles.T.tolist()]


def _key(cause: str) -> str:
    """A cause as JSON key."""
    return cause.lower().replace(" ", "_")


def _layer(
    program: Program, index: int, own: Measured, work: float, counts: dict[str, int], energy: EnergySplit,
    causes: dict[str, int],
) -> LayerResult:  # fmt: skip
    layer, arch = program.graph.layers[index], program.arch
    weight_banks, activation_banks = program.banks_of(index) or (None, None)
    array = own.busy[Engine.COMPUTE]
    compute = array - own.arrays if arch.array.first_cycle == 0 else array
    return LayerResult(
        index=index,
        name=layer.name,
        op=getattr(layer, "source_operator", layer.operator),
        output=layer.output,
        output_shape=program.graph.tensors[layer.output].shape,
        macs=layer.macs,
        tiles=own.tiles,
        cycles=own.cycles,
        compute_cycles=compute,
        stream_cycles=own.stream,
        compute_bound_cycles=own.compute_bound,
        traffic_bound_cycles=own.traffic_bound,
        busy_cycles=dict(zip(_ENGINES, own.busy, strict=True)),
        stall_cycles=causes,
        start_cycle=own.start,
        finish_cycle=own.finish,
        utilization=_ratio(work, arch.peak_macs_per_cycle * own.cycles),
        compute_utilization=_ratio(work, arch.array.macs * compute),
        bound=bound_of(own.longest, own.stream, array),
        dram_read_bytes=counts["dram_read_asked"] // 8,
        dram_write_bytes=counts["dram_write_asked"] // 8,
        buffer_read_bytes=sum(counts[f"{name}_read"] for name in _BUFFERS) // 8,
        buffer_write_bytes=sum(counts[f"{name}_write"] for name in _BUFFERS) // 8,
        counts=counts,
        energy_pj=energy.total,
        energy_split_pj=dict(energy.components),
        energy_tensor_pj=dict(energy.tensors),
        mapping=_mapping_text(program, index),
        weight_banks=weight_banks,
        activation_banks=activation_banks,
        cores=own.cores,
    )


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if part and whole else None


def bound_of(busy: Sequence[int], stream: int, array: int) -> Bound:
    """The busiest part; the three DMA engines count together first, since they share one port.

    ``stream`` of the ``array`` cycles of all cores stream operands.
    """
    compute = busy[Engine.COMPUTE]
    stream = stream * compute // max(array, 1)
    parts: tuple[tuple[int, ...], ...] = (
        (stream, compute - stream),
        (busy[Engine.VECTOR],),
        (busy[Engine.REQUANTIZE],),
        (busy[Engine.KEEP],),
        (busy[Engine.RECALL],),
        (busy[Engine.LOAD_WEIGHTS], busy[Engine.LOAD_ACTIVATIONS], busy[Engine.STORE]),
    )
    sums = [sum(part) for part in parts]
    most = max(sums)
    if not most:
        return "none"
    busiest = sums.index(most)
    return _PARTS[busiest][parts[busiest].index(max(parts[busiest]))]


def network_bound(result: Result) -> Bound:
    """The busiest part of the machine over all layers: of the busiest core, but for the DRAM port, at which all take turns."""
    cores = [[core[engine.name.lower()] for core in result.total.core_busy_cycles] for engine in Engine]
    longest = [
        sum(busy) if engine in DRAM_ENGINES else max(busy, default=0)
        for engine, busy in zip(Engine, cores, strict=True)
    ]
    return bound_of(longest, sum(layer.stream_cycles for layer in result.layers), sum(cores[Engine.COMPUTE]))


def _mapping_text(program: Program, index: int) -> str:
    mapping = program.mappings[index]
    if mapping is None:
        return "on the fly" if any(index in one.behind for one in program.passes) else "alias"
    if isinstance(mapping, MacMapping):
        tile = f"oh{mapping.oh} ow{mapping.ow} oc{mapping.oc} ic{mapping.ic} kh{mapping.kh} kw{mapping.kw} g{mapping.groups}"
        tile += f" n{mapping.n}" if mapping.n > 1 else ""
        text = f"{tile} {mapping.order}"
    else:
        text = "x".join(map(str, mapping.tile))
    return f"{text} band{mapping.band}" if mapping.band else text


def _array_cycles(timeline: Timeline, waits: Stalls) -> dict[str, int]:
    stream, busy = int(timeline.program.stream_cycles.sum()), timeline.busy_cycles(Engine.COMPUTE)
    rest = "weight_shift" if timeline.program.arch.array.pipelines_tiles else "fill_drain"
    causes = {_key(cause): cycles for cause, cycles in waits.by_cause().items() if cycles}
    return {"stream": stream, rest: busy - stream + causes.pop(rest, 0), **causes}


def _total(timeline: Timeline, layers: tuple[LayerResult, ...], busy: Cycles, waits: Stalls, work: float) -> Total:
    program = timeline.program
    cycles = timeline.total_cycles
    latency = cycles / program.arch.clock_hz
    energy = sum(layer.energy_pj for layer in layers)
    macs = program.graph.macs
    sums: dict[str, Any] = {name: sum(getattr(layer, name) for layer in layers) for name in _SUMS}
    return Total(
        macs=macs,
        tile_operations=len(program),
        cycles=cycles,
        traffic_bound_cycles=traffic_bound(program),
        array_cycles=_array_cycles(timeline, waits),
        latency_s=latency,
        inferences_per_s=1 / latency if latency else 0.0,
        utilization=_ratio(work, program.arch.peak_macs_per_cycle * cycles) or 0.0,
        weight_bytes=program.graph.weight_bytes,
        energy_pj=float(energy),
        energy_split_pj={name: sum(layer.energy_split_pj[name] for layer in layers) for name in COMPONENTS},
        energy_per_mac_fj=energy / macs * 1e3 if macs else None,
        average_power_w=energy * 1e-12 / latency if latency else 0.0,
        core_busy_cycles=tuple(dict(zip(_ENGINES, core, strict=True)) for core in busy.sum(axis=2).tolist()),
        **sums,
    )
