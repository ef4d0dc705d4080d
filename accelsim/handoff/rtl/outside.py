"""What the bench reads: DRAM before and after, and who moves which box when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacLayer, Reshape
from accelsim.handoff.rtl.design import ENGINES, RANK, Design, moved_tensor, weights_of
from accelsim.handoff.vectors import ExportedLayer
from accelsim.hardware import Engine, stream_ports

Tensors = Mapping[str, NDArray[Any]]


class DramImage:
    """Elements of every tensor, one after the other."""

    def __init__(self, design: Design, tensors: Tensors) -> None:
        graph = design.timeline.program.graph
        self._base: dict[str, int] = {}
        before: list[NDArray[np.int64]] = []
        after: list[NDArray[np.int64]] = []
        at = 0

        def put(name: str, values: NDArray[Any], *, is_there: bool) -> None:
            nonlocal at
            flat = np.asarray(values, dtype=np.int64).reshape(-1)
            self._base[name], at = at, at + flat.size
            after.append(flat)
            before.append(flat if is_there else np.zeros_like(flat))

        for name in graph.entries:
            put(name, tensors[name], is_there=True)
        for name, values in graph.constants.items():
            put(name, values, is_there=True)
        for index, layer in enumerate(graph.layers):
            if isinstance(layer, MacLayer) and layer.weights is not None:
                zeros = design.weight_zeros[index].reshape(-1, *(1,) * (layer.weights.ndim - 1))
                put(weights_of(layer), layer.weights + zeros, is_there=True)
            if isinstance(layer, Reshape):
                self._base[layer.output] = self._base[layer.inputs[0]]
            else:
                put(layer.output, tensors[layer.output], is_there=False)
        self.before, self.after = (np.concatenate(part) for part in (before, after))

    def base(self, name: str) -> int:
        """Where a tensor begins."""
        return self._base[name]


def numbers_text(values: NDArray[np.int64]) -> str:
    """One number a line."""
    return "\n".join(map(str, values.tolist())) + "\n"


def operations_text(design: Design, dram: DramImage) -> str:
    """A line per operation: engine, number, port, queue, start, until, finish, cycles, latency, what it follows, by how
    many cycles, DRAM base, view, box, and a name."""
    program, timeline, lines = design.timeline.program, design.timeline, []
    ports = dict(
        zip((Engine.STORE, Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS), stream_ports(program.arch), strict=True)
    )
    for engine, operations in zip(ENGINES, design.of_engine, strict=True):
        for i in operations.tolist():
            name, view = moved_tensor(program, i)
            lo, hi = program.box(i)
            fill = (1,) * (RANK - len(view))
            corners = [*fill, *view, *(0 for _ in fill), *lo, *fill, *hi]
            times = (
                timeline.start[i],
                timeline.until[i],
                timeline.finish[i],
                program.cycles[i],
                program.latency[i],
                *_followed(design, i),
            )
            where = ports.get(engine, 0), np.argmax(design.shared[engine])
            numbers = [int(engine), i, *where, *times, dram.base(name) if name else 0, *corners]
            label = " ".join(program.graph.layers[program.layer[i]].name.split())
            lines.append(" ".join(str(int(n)) for n in numbers) + f" of layer {label}")
    return "\n".join(lines) + "\n"


def _followed(design: Design, i: int) -> tuple[int, int]:
    """Of a store of codes as they come the number of their requantization, from 1 on, and how far behind the last one it ends;
    zeros of others."""
    program, taken = design.timeline.program, int(design.timeline.program.streamed[i])
    return (
        (int(design.place[taken]) + 1, int(program.lag[i]))
        if program.engine[i] == Engine.STORE and taken >= 0
        else (0, 0)
    )


def matrices_text(design: Design, dram: DramImage) -> str:
    """A line per load that leaves a matrix of windows: its number, the code of padding, how many elements, and where each stands in DRAM (-1:
    padding)."""
    program, lines = design.timeline.program, []
    for i, places in design.matrices.items():
        name, _ = moved_tensor(program, i)
        layer = design.layers[int(program.layer[i])]
        empty = -1 if program.graph.tensors[name].format.bipolar else layer.input_zero_point
        at = np.where(places < 0, -1, places + dram.base(name)).ravel()
        lines.append(" ".join(map(str, [i, empty, at.size, *at.tolist()])))
    return "\n".join([*lines, ""])


def outputs_text(design: Design, dram: DramImage) -> str:
    """A line per layer of the array: its folder among golden vectors, where its output begins in DRAM, elements, digits and bits of one."""
    graph, lines = design.timeline.program.graph, []
    for index, layer in design.layers.items():
        tensor, exported = graph.tensors[layer.output], ExportedLayer(design.timeline.program, index)
        bits = exported.output_format.bits
        lines.append(f"{exported.folder} {dram.base(layer.output)} {tensor.elements} {-(-bits // 4)} {bits}")
    return "\n".join([*lines, ""])
