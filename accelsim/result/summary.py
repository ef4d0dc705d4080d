"""From Program and Timeline to a Result."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.energy import COMPONENTS, Costs, EnergySplit, EnergyTable, count_actions, layer_energy
from accelsim.graph import MacLayer
from accelsim.program import DRAM_ENGINES, WRITE_BACK, Engine, MacMapping, Mapping, Program
from accelsim.program.array_model import pipelines_tiles
from accelsim.result.bounds import array_work, compute_bounds, traffic_bounds
from accelsim.result.energy import energy_summary, not_held
from accelsim.result.record import Bound, LayerResult, Result, Total, ValueSummary
from accelsim.timing import Stalls, Timeline, stalls

NOT_MODELLED = (
    "loads of biases and requantization parameters",
    "instruction fetch and host",
)
NO_ROWS = "DRAM refresh and row-buffer misses"
"""Modelled by machines that name a ``dram.standard``."""
BLIND = "compression of weights of which only the shape is known"
NOT_KEPT = "activations kept on chip between layers"
"""Modelled by machines that set ``activation_buffer.resident_bytes`` aside."""
_SUMS = (
    "compute_cycles",
    "compute_bound_cycles",
    "traffic_bound_cycles",
    "dram_read_bytes",
    "dram_write_bytes",
    "buffer_read_bytes",
    "buffer_write_bytes",
)
_BUFFERS = ("weight_buffer", "activation_buffer", "output_buffer")


def summarize(timeline: Timeline, *, table: EnergyTable, values: ValueSummary | None = None) -> Result:
    """The Result of one scheduled Program, its energy by ``table``."""
    program = timeline.program
    counts, costs = count_actions(program), Costs(table)
    energies = layer_energy(program, counts, table, cycles=timeline.layer_cycles, costs=costs)
    busy = _busy(program)
    stream = _per_layer(program, program.stream_cycles)
    tiles = _per_layer(program, np.isin(program.engine, WRITE_BACK).astype(np.int64))
    waits, floors = stalls(timeline), np.stack([compute_bounds(program), traffic_bounds(program)])
    layers = tuple(
        _layer(
            timeline,
            i,
            busy[:, :, i],
            int(stream[i]),
            int(tiles[i]),
            floors[:, i],
            counts.of_layer(i),
            energies[i],
            waits,
        )
        for i in range(len(program.graph.layers))
    )
    total = _total(timeline, layers, busy, waits)
    energy = energy_summary(timeline, energies, table=table, costs=costs, latency_s=total.latency_s)
    return Result(
        accelsim_version=_version(),
        model=program.graph.name,
        arithmetic=program.graph.arithmetic,
        arch=program.arch.model_dump(mode="json"),
        energy_table=f"{table.name} v{table.version}",
        layers=layers,
        total=total,
        energy=energy,
        values=values,
        not_modelled=(*_not_modelled(program), *not_held(costs), *table.not_modelled),
    )


def _not_modelled(program: Program) -> tuple[str, ...]:
    arch = program.arch
    left_out = [BLIND] if _compressed_blindly(program) else []
    left_out += [] if arch.dram.channel else [NO_ROWS]
    left_out += [] if arch.activation_buffer.resident_bytes else [NOT_KEPT]
    return (*NOT_MODELLED, *left_out)


def _compressed_blindly(program: Program) -> bool:
    layers = [layer for layer in program.graph.layers if isinstance(layer, MacLayer) and len(layer.inputs) == 1]
    return program.arch.dma.weight_compression is not None and any(layer.weights is None for layer in layers)


def _version() -> str:
    try:
        return version("accelsim")
    except PackageNotFoundError:
        return "0+source"


def _per_layer(program: Program, values: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.zeros(len(program.graph.layers), dtype=np.int64)
    np.add.at(total, program.layer, values)
    return total


def _busy(program: Program) -> NDArray[np.int64]:
    """Busy cycles, int64 of shape (cores, engines, layers)."""
    busy = np.zeros((program.arch.cores.count, len(Engine), len(program.graph.layers)), dtype=np.int64)
    np.add.at(busy, (program.core, program.engine, program.layer), program.cycles)
    return busy


def _layer(
    timeline: Timeline,
    index: int,
    busy: NDArray[np.int64],
    stream: int,
    tiles: int,
    floors: NDArray[np.int64],
    counts: dict[str, int],
    energy: EnergySplit,
    waits: Stalls,
) -> LayerResult:
    program = timeline.program
    layer, arch = program.graph.layers[index], program.arch
    mine = program.layer == index
    cycles = int(timeline.layer_cycles[index])
    compute = int(busy[:, Engine.COMPUTE].sum())
    if arch.array.first_cycle == 0:
        compute -= int((busy[:, Engine.COMPUTE] > 0).sum())
    work = array_work(program, index)
    return LayerResult(
        index=index,
        name=layer.name,
        op=getattr(layer, "source_operator", layer.operator),
        output=layer.output,
        output_shape=program.graph.tensors[layer.output].shape,
        macs=layer.macs,
        tiles=tiles,
        cycles=cycles,
        compute_cycles=compute,
        stream_cycles=stream,
        compute_bound_cycles=int(floors[0]),
        traffic_bound_cycles=int(floors[1]),
        busy_cycles=_by_engine(busy.sum(axis=0)),
        stall_cycles=_keys(waits.of_layer(index)),
        start_cycle=int(timeline.start[mine].min(initial=2**62)) if mine.any() else int(timeline.layer_finish[index]),
        finish_cycle=int(timeline.layer_finish[index]),
        utilization=_ratio(work, arch.peak_macs_per_cycle * cycles),
        compute_utilization=_ratio(work, arch.array.rows * arch.array.cols * compute),
        bound=_bound(_longest(busy), stream, int(busy[:, Engine.COMPUTE].sum())),
        dram_read_bytes=counts["dram_read_asked"] // 8,
        dram_write_bytes=counts["dram_write_asked"] // 8,
        buffer_read_bytes=sum(counts[f"{name}_read"] for name in _BUFFERS) // 8,
        buffer_write_bytes=sum(counts[f"{name}_write"] for name in _BUFFERS) // 8,
        counts=counts,
        energy_pj=energy.total,
        energy_split_pj=dict(energy.components),
        energy_tensor_pj=dict(energy.tensors),
        mapping=_mapping_text(program.mappings[index]),
        cores=int((busy > 0).any(axis=1).sum()),
    )


def _by_engine(busy: NDArray[np.int64]) -> dict[str, int]:
    return {engine.name.lower(): int(busy[engine]) for engine in Engine}


def _longest(busy: NDArray[np.int64]) -> NDArray[np.int64]:
    """Busy cycles (engines,) of the busiest core; of all cores where they take turns, at the DRAM port."""
    longest: NDArray[np.int64] = busy.max(axis=0)
    longest[list(DRAM_ENGINES)] = busy[:, list(DRAM_ENGINES)].sum(axis=0)
    return longest


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if part and whole else None


def _bound(busy: NDArray[np.int64], stream: int, array: int) -> Bound:
    """The busiest part; the three DMA engines count together first, since they share one port.

    ``stream`` of the ``array`` cycles of all cores stream operands.
    """
    compute = int(busy[Engine.COMPUTE])
    stream = stream * compute // max(array, 1)
    dram: dict[Bound, int] = {
        "weight load": int(busy[Engine.LOAD_WEIGHTS]),
        "activation load": int(busy[Engine.LOAD_ACTIVATIONS]),
        "store": int(busy[Engine.STORE]),
    }
    arrays: dict[Bound, int] = {"compute": stream, "fill/drain": compute - stream}
    groups: list[dict[Bound, int]] = [
        arrays,
        {"vector": int(busy[Engine.VECTOR])},
        {"requantize": int(busy[Engine.REQUANTIZE])},
        {"keep": int(busy[Engine.KEEP])},
        {"recall": int(busy[Engine.RECALL])},
        dram,
    ]
    busiest = max(groups, key=lambda parts: sum(parts.values()))
    if not sum(busiest.values()):
        return "none"
    return max(busiest, key=lambda part: busiest[part])


def _mapping_text(mapping: Mapping | None) -> str:
    if mapping is None:
        return "alias"
    if isinstance(mapping, MacMapping):
        tile = f"oh{mapping.oh} ow{mapping.ow} oc{mapping.oc} ic{mapping.ic} kh{mapping.kh} kw{mapping.kw} g{mapping.groups}"
        tile += f" n{mapping.n}" if mapping.n > 1 else ""
        text = f"{tile} {mapping.order}"
    else:
        text = "x".join(map(str, mapping.tile))
    return f"{text} band{mapping.band}" if mapping.band else text


def _array_cycles(timeline: Timeline, waits: Stalls) -> dict[str, int]:
    stream, busy = int(timeline.program.stream_cycles.sum()), timeline.busy_cycles(Engine.COMPUTE)
    rest = "weight_shift" if pipelines_tiles(timeline.program.arch) else "fill_drain"
    return {"stream": stream, rest: busy - stream, **_keys(waits.by_cause())}


def _keys(cycles: dict[str, int]) -> dict[str, int]:
    """Causes as JSON keys, without those that took no time."""
    return {cause.lower().replace(" ", "_"): n for cause, n in cycles.items() if n}


def _total(timeline: Timeline, layers: tuple[LayerResult, ...], busy: NDArray[np.int64], waits: Stalls) -> Total:
    program = timeline.program
    cycles = timeline.total_cycles
    latency = cycles / program.arch.clock_hz
    energy = sum(layer.energy_pj for layer in layers)
    macs = program.graph.macs
    work = sum(array_work(program, i) for i in range(len(layers)))
    sums: dict[str, Any] = {name: sum(getattr(layer, name) for layer in layers) for name in _SUMS}
    return Total(
        macs=macs,
        tile_operations=len(program),
        cycles=cycles,
        array_cycles=_array_cycles(timeline, waits),
        latency_s=latency,
        inferences_per_s=1 / latency if latency else 0.0,
        utilization=_ratio(work, program.arch.peak_macs_per_cycle * cycles) or 0.0,
        weight_bytes=program.graph.weight_bytes,
        energy_pj=float(energy),
        energy_split_pj={name: sum(layer.energy_split_pj[name] for layer in layers) for name in COMPONENTS},
        energy_per_mac_fj=energy / macs * 1e3 if macs else None,
        average_power_w=energy * 1e-12 / latency if latency else 0.0,
        core_busy_cycles=tuple(_by_engine(core) for core in busy.sum(axis=2)),
        **sums,
    )
