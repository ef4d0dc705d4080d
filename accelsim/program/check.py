"""The rules of a Program: regions inside their memory, dependencies backwards, no read before its write, no write before its reads.

Ordering is exact: two vector clocks per operation hold, for each in-order queue of each core, the last of its operations known to have
finished, or to have let go of its engine, before this one may start (Fidge 1988; Mattern 1989). Knowing that of one operation is
knowing it of all earlier ones of its queue. What reads a result needs it finished; what overwrites a slot needs its readers to have
let go.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import HazardError, ProgramError
from accelsim.hardware import Engine, Memory, depth, slot_capacity, slots, space_bytes
from accelsim.program.places import check_places, last_recalls_of_places, operand_sources
from accelsim.program.program import Program

_ON_CHIP = (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS)


def check_program(program: Program) -> None:
    """Raise ProgramError or HazardError, naming the operations, on the first rule broken."""
    _check_columns(program)
    _check_dependencies(program)
    _check_regions(program)
    _check_conservation(program)
    check_places(program)
    _check_hazards(program)


def _check_columns(program: Program) -> None:
    count = len(program)
    bad = np.flatnonzero((program.cycles < 1) | (program.latency < 0) | (program.amount < 0))
    if len(bad):
        raise ProgramError(f"{program.describe(int(bad[0]))}: cycles must be at least 1, latency and amount at least 0")
    if np.any((program.engine < 0) | (program.engine >= len(Engine))):
        raise ProgramError(f"engine numbers must lie in 0..{len(Engine) - 1}")
    if np.any((program.core < 0) | (program.core >= program.arch.cores.count)):
        raise ProgramError(f"core numbers must lie in 0..{program.arch.cores.count - 1}")
    if len(program.dependency_start) != count + 1 or program.dependency_start[-1] != len(program.dependencies):
        raise ProgramError("dependency_start must hold one entry per operation and the total")


def _check_dependencies(program: Program) -> None:
    waiting = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
    bad = np.flatnonzero((program.dependencies >= waiting) | (program.dependencies < 0))
    if len(bad):
        i, on = int(waiting[bad[0]]), int(program.dependencies[bad[0]])
        raise ProgramError(
            f"{program.describe(i)} waits for operation {on}, which is not earlier in program order", operation=i
        )
    _check_sources(program, waiting)


def _check_sources(program: Program, waiting: NDArray[np.int64]) -> None:
    """What an operation reads on chip is in a memory of its own core."""
    if program.arch.cores.count == 1:
        return
    is_source = np.arange(len(waiting)) - program.dependency_start[waiting] < program.sources[waiting]
    bad = np.flatnonzero(is_source & (program.core[waiting] != program.core[program.dependencies]))
    if len(bad):
        i, on = int(waiting[bad[0]]), int(program.dependencies[bad[0]])
        raise ProgramError(
            f"{program.describe(i)} reads the result of {program.describe(on)}, which is in another core's memory",
            operation=i,
        )


def _check_regions(program: Program) -> None:
    capacities = {memory: space_bytes(memory, program.arch) for memory in _ON_CHIP}
    limit = np.full(len(Memory), np.iinfo(np.int64).max)  # DRAM is the last: -1
    limit[list(capacities)] = list(capacities.values())
    end = program.offset + program.extent
    bad = np.flatnonzero((end > limit[program.memory]) | (program.offset < 0) | (program.extent < 0))
    for i in sorted(bad.tolist(), key=lambda i: program.memory[i]):
        memory = Memory(program.memory[i])
        if memory in capacities:
            past = end[i] - capacities[memory]
            raise ProgramError(
                f"{program.describe(i)} ends at {end[i]}, {past} past the {memory.label}'s {capacities[memory]}",
                operation=i,
            )


def _check_conservation(program: Program) -> None:
    if program.macs != program.graph.macs:
        raise ProgramError(f"the Program computes {program.macs} MACs, its Graph has {program.graph.macs}")
    layers = program.graph.layers
    stores = program.write_backs
    rank = np.array([len(layer.output_shape) for layer in layers], dtype=np.int64)[program.layer[stores]]
    volume = np.ones(len(stores), dtype=np.int64)
    for axis in range(program.lo.shape[1]):
        volume *= np.where(axis < rank, np.maximum(program.hi[stores, axis] - program.lo[stores, axis], 0), 1)
    stored = np.bincount(program.layer[stores], weights=volume, minlength=len(layers))
    handed_on = np.equal(program.memory, Memory.ON_THE_FLY)
    stored += np.bincount(program.layer[handed_on], weights=program.amount[handed_on], minlength=len(layers))
    works = np.bincount(program.layer, minlength=len(layers)) > 0
    works[[index for one in program.passes for index in one.behind[:-1]]] = False  # the last of a pass stores for them
    for index, layer in enumerate(layers):
        expected = program.graph.tensors[layer.output].elements
        if works[index] and stored[index] != expected:
            raise ProgramError(
                f"layer {layer.name!r} stores {int(stored[index])} elements, its output has {expected}",
                layer=layer.name,
            )


def _check_hazards(program: Program) -> None:
    from accelsim.program._hazards import find_hazard

    queues, queue = _numbered(program.queue)
    memories, memory = _tile_memories(program)
    kind, i, other = find_hazard(
        queues,
        queue,
        program.engine,
        memories,
        memory,
        _shared_offsets(program),
        program.extent,
        program.sources,
        program.dependency_start,
        program.dependencies,
        *program.waits,
        program.streamed,
        _stores_needed(program),
        last_recalls_of_places(program),
    )
    if kind == 0:
        return
    reason = {
        1: "reads the result of {other}, whose region no longer (or never) holds it",
        2: "may overwrite {other}, which may not have finished writing",
        3: "may overwrite data that {other} may still be reading",
        4: "reads the result of {other} without waiting for it",
        5: "reads elements that {other} may not have stored yet",
        6: "may overwrite a tensor that {other} may still be reading",
    }[int(kind)]
    raise HazardError(
        f"{program.describe(int(i))} {reason.format(other=program.describe(int(other)))}; a dependency is missing",
        operation=int(i),
        other=int(other),
    )


def _shared_offsets(program: Program) -> NDArray[np.int64]:
    """Offsets with both halves of a memory in one place where a tile must not be filled while another is read."""
    offset = program.offset.copy()
    for memory in _ON_CHIP:
        if depth(memory, program.arch) < slots(memory, program.arch):
            offset[program.memory == memory] %= slot_capacity(memory, program.arch)
    return offset


def _numbered(names: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """How many different ``names`` there are, and the number of each, in ascending order."""
    used = np.bincount(names) > 0
    number = np.cumsum(used) - 1
    return int(used.sum()), number[names]


def _tile_memories(program: Program) -> tuple[int, NDArray[np.int64]]:
    """How many memories of tiles all cores have, and which one each operation writes to; -1 for DRAM and for kept tensors."""
    memory = program.memory
    if (
        program.arch.shared_buffer.size_bytes is not None
    ):  # one memory, in which weights and activations take each other's place
        memory = np.where(memory == Memory.WEIGHTS, Memory.ACTIVATIONS, memory)
    mine = program.core.astype(np.int64) * len(_ON_CHIP) + memory
    inside = (memory >= 0) & (memory < len(_ON_CHIP))
    return len(_ON_CHIP) * program.arch.cores.count, np.where(inside, mine, -1)


def _stores_needed(program: Program) -> NDArray[np.int32]:
    """For each load of a computed tensor the last store of each core (KEEP, where it is on chip) that its box overlaps, else -1.

    int32 of shape (operations, cores).
    """
    from accelsim.program._hazards import last_overlapping

    needed = np.full((len(program), program.arch.cores.count), -1, dtype=np.int32)
    producer, axes = operand_sources(program.graph)
    loads = np.flatnonzero(program.operand >= 0)
    of_load = program.layer[loads], program.operand[loads]
    stores = program.write_backs
    order = stores[np.argsort(program.layer[stores], kind="stable")]
    begin = np.searchsorted(
        program.layer[order], np.arange(len(producer) + 2)
    )  # nothing is stored beyond the last layer
    which = producer[of_load], axes[of_load], (order, begin)
    last_overlapping(needed, loads, *which, program.core, program.lo, program.hi)
    return needed
