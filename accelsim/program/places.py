"""Where kept tensors stand in a finished Program, read off its columns; and the rules of those places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import HazardError, ProgramError
from accelsim.graph import Graph, shared_memory
from accelsim.hardware import DRAM_ENGINES, WRITE_BACK, Engine, Memory, slot_capacity
from accelsim.program.fusion import Fused, window_bytes
from accelsim.program.program import Program
from accelsim.program.residency import overlap, tensor_bytes

Index = NDArray[np.int64]


class Place(NamedTuple):
    """The bytes ``start`` to ``stop`` of the resident memory, for what ``layer`` makes, from its first KEEP on.

    All of it, or, where ``fused`` is not None, so many rows of it at a time.
    """

    layer: int
    start: int
    stop: int
    first_keep: int
    fused: Fused | None = None


def kept_places(program: Program) -> dict[int, Place]:
    """The place of every kept tensor, by the layer that makes it."""
    keeps = np.flatnonzero(program.of_engine(Engine.KEEP))
    layers, first = np.unique(program.layer[keeps], return_index=True)
    fused = {pair.producer: pair for pair in program.fused}
    places = (
        _place(program, int(layer), int(keeps[at]), fused.get(int(layer)))
        for layer, at in zip(layers, first, strict=True)
    )
    return {place.layer: place for place in places}


def _place(program: Program, layer: int, first_keep: int, fused: Fused | None) -> Place:
    start, graph = int(program.offset[first_keep]), program.graph
    size = window_bytes(graph, fused) if fused else tensor_bytes(graph, graph.layers[layer].output)
    return Place(layer, start, start + size, first_keep, fused)


def producers(graph: Graph) -> dict[str, int]:
    """The layer that makes each computed tensor; a Reshape passes on what it was given."""
    home = shared_memory(graph.layers)
    return {name: graph.producer[of] for name, of in home.items() if of in graph.producer}


def operand_sources(graph: Graph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each operand (layers, operands) the layer that makes it, beyond the last where none does, and the axes of the view that
    both see it under; 0 where they differ."""
    layers, made_by = graph.layers, producers(graph)
    shape = len(layers), max((len(layer.inputs) for layer in layers), default=0)
    producer, axes = np.full(shape, len(layers), dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for index, layer in enumerate(layers):
        for operand, (tensor, view) in enumerate(zip(layer.inputs, layer.input_shapes, strict=True)):
            if tensor in made_by:
                producer[index, operand] = made_by[tensor]
                axes[index, operand] = len(view) if layers[made_by[tensor]].output_shape == view else 0
    return producer, axes


def check_places(program: Program) -> None:
    """Every tensor is in DRAM or in one place on chip, is read from where it is, and stands there until its last consumer.

    ProgramError or HazardError, naming the operations. That a place is free before it is taken is a matter of dependencies:
    :func:`last_recalls_of_places` says what each KEEP must wait for.
    """
    places = kept_places(program)
    _check_one_home(program, places)
    _check_consumers(program, places)
    reads = recalls(program, places)
    for place in places.values():
        _check_survival(program, place, reads[place.layer], places)
        if place.fused is not None:
            _check_window(program, place.fused, reads[place.layer])


def _check_one_home(program: Program, places: dict[int, Place]) -> None:
    """Outputs of the network in DRAM; each kept tensor whole, in one place inside the memory."""
    capacity, at = slot_capacity(Memory.RESIDENT, program.arch), producers(program.graph)
    outputs = {at.get(name): name for name in program.graph.results}
    for layer, place in places.items():
        name = program.graph.layers[layer].name
        writes = (program.layer == layer) & np.isin(program.engine, WRITE_BACK)
        if layer in outputs:
            raise ProgramError(f"layer {name!r} keeps {outputs[layer]!r} on chip, an output of the network", layer=name)
        elsewhere = writes & ((program.engine == Engine.STORE) | (program.offset != place.start))
        if elsewhere.any():
            i = int(np.flatnonzero(elsewhere)[0])
            raise ProgramError(
                f"{program.describe(i)} writes elsewhere than operation {place.first_keep}, which put the tensor at {place.start}",
                operation=i,
            )
        if place.start < 0 or place.stop > capacity:
            raise ProgramError(
                f"layer {name!r} keeps its output at {place.start}..{place.stop}, past the {Memory.RESIDENT.label}' {capacity}",
                layer=name,
            )


def _check_consumers(program: Program, places: dict[int, Place]) -> None:
    """Kept tensors are recalled, all others are loaded."""
    alike, (producer, _) = program.groups, operand_sources(program.graph)
    through_dram, recalling = np.isin(alike.engine, DRAM_ENGINES), alike.engine == Engine.RECALL
    loads = np.flatnonzero((alike.operand >= 0) & (through_dram | recalling))
    kept = np.isin(producer[alike.layer[loads], alike.operand[loads]], list(places))
    wrong = loads[kept == through_dram[loads]]
    if len(wrong):
        i = int(alike.order[alike.begin[wrong]].min())
        tensor = program.graph.layers[program.layer[i]].inputs[program.operand[i]]
        where = "in DRAM" if program.engine[i] == Engine.RECALL else "kept on chip"
        raise ProgramError(f"{program.describe(i)} reads tensor {tensor!r}, which is {where}", operation=i)


def _check_survival(program: Program, place: Place, reads: Index, places: dict[int, Place]) -> None:
    """No other tensor takes a place between its first KEEP and its last RECALL, in program order."""
    for other in _neighbours(place, places):
        late = reads[reads > other.first_keep]
        if other.first_keep > place.first_keep and len(late):
            raise HazardError(
                f"{program.describe(int(late[0]))} reads what layer {program.graph.layers[place.layer].name!r} kept, whose place "
                f"{program.describe(other.first_keep)} takes before; the places overlap",
                operation=int(late[0]),
                other=other.first_keep,
            )


def _check_window(program: Program, fused: Fused, reads: Index) -> None:
    """Each row of a fused tensor is read before another takes its place in the window, in program order."""
    keeps = _keeps(program, fused.producer)
    newest = np.maximum.accumulate(np.append(0, program.hi[keeps, fused.axis]))[np.searchsorted(keeps, reads)]
    late = np.flatnonzero(program.lo[reads, fused.axis] < newest - fused.window)
    if len(late):
        i = int(reads[late[0]])
        raise HazardError(
            f"{program.describe(i)} reads rows of {fused.tensor!r} whose place in the window of {fused.window} newer ones have "
            "taken before",
            operation=i,
        )


def _keeps(program: Program, layer: int) -> Index:
    return np.flatnonzero(program.of_engine(Engine.KEEP) & (program.layer == layer))


def _neighbours(place: Place, places: dict[int, Place]) -> list[Place]:
    """Other tensors with a byte in common."""
    mine = (place.start, place.stop)
    return [p for p in places.values() if p.layer != place.layer and overlap(mine, (p.start, p.stop))]


def recalls(program: Program, places: dict[int, Place]) -> dict[int, Index]:
    """Operations, in program order, that recall what each of ``places`` holds, by the layer that makes it."""
    at = producers(program.graph)
    found: dict[int, list[Index]] = {layer: [] for layer in places}
    recalling = np.flatnonzero(program.of_engine(Engine.RECALL))
    for index, layer in enumerate(program.graph.layers):
        mine = recalling[program.layer[recalling] == index]
        for number, tensor in enumerate(layer.inputs):
            if len(mine) and at.get(tensor) in places:
                found[at[tensor]].append(mine[program.operand[mine] == number])
    return {layer: np.sort(np.concatenate([np.zeros(0, np.int64), *parts])) for layer, parts in found.items()}


def last_recalls_of_places(program: Program) -> Index:
    """For each KEEP the last earlier RECALL of what stood where it writes to, which must have finished; -1 elsewhere."""
    needed = np.full(len(program), -1, dtype=np.int64)
    places = kept_places(program)
    reads = recalls(program, places)
    for place in places.values():
        keeps = _keeps(program, place.layer)
        if place.fused is not None:
            needed[keeps] = _last_of_window(program, place.fused, keeps, reads[place.layer])
        for other in _neighbours(place, places):
            earlier = np.append(-1, reads[other.layer])
            before = earlier[np.searchsorted(reads[other.layer], keeps)]
            needed[keeps] = np.maximum(needed[keeps], before)
    return needed


def _last_of_window(program: Program, fused: Fused, keeps: Index, reads: Index) -> Index:
    """For each of ``keeps`` the last earlier one of ``reads`` that saw a row which it pushes out of the window; -1: none."""
    pushed_out = program.lo[reads, fused.axis] < program.hi[keeps, fused.axis, None] - fused.window
    last: Index = np.where(pushed_out & (reads < keeps[:, None]), reads, -1).max(axis=1, initial=-1)
    return last
