"""The tile operations of a layer in program order: where each reads and writes, when, and which numbers of the tile streams are its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execute import TileStep, window_steps
from accelsim.graph import window_extent
from accelsim.handoff.vectors.layer import ExportedLayer
from accelsim.handoff.vectors.streams import FileFormat, Stream, StreamFiles
from accelsim.hardware import Engine, Memory
from accelsim.timing import Timeline

Index = NDArray[np.int64]
BYTES, WEIGHTS, ACTIVATIONS, BEFORE, AFTER, CODES = (
    "tile_bytes", "tile_weights", "tile_activations", "tile_before", "tile_after", "tile_output",
)  # fmt: skip
LOADS = (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.RECALL)
WORDS = "words"


class TilePlan:
    """Tile operations of ``exported`` on ``timeline``, and the sizes of their streams."""

    def __init__(self, exported: ExportedLayer, timeline: Timeline) -> None:
        self.exported, self._timeline, self._program = exported, timeline, timeline.program
        self.operations: Index = self._program.of_layer(exported.index)

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """Of all operations together, one after another, flat."""
        layer = self.exported
        sums = self._volume(self._of(Engine.COMPUTE))
        loads = np.concatenate([self._of(engine) for engine in LOADS])
        sizes = {
            BYTES: int(self._program.extent[loads].sum()), WEIGHTS: self._weights(), ACTIVATIONS: self._windows(),
            BEFORE: sums, AFTER: sums, CODES: self._volume(self._of(Engine.REQUANTIZE)),
        }  # fmt: skip
        formats = {
            WEIGHTS: layer.weight_format, ACTIVATIONS: layer.input_format, BEFORE: layer.before_format,
            AFTER: layer.accumulator, CODES: layer.output_format,
        }  # fmt: skip
        widths = {name: (fmt.bits, fmt.signed) for name, fmt in formats.items()} | {BYTES: (8, False)}
        return tuple(Stream(name, (size,), ("number",), *widths[name]) for name, size in sizes.items())

    def _of(self, engine: Engine) -> Index:
        mine: Index = self.operations[self._program.engine[self.operations] == engine]
        return mine

    def _extents(self, operations: Index) -> Index:
        program = self._program
        sides: Index = (program.hi[operations, :4] - program.lo[operations, :4]).astype(np.int64)
        return sides

    def _volume(self, operations: Index) -> int:
        return int(self._extents(operations).prod(axis=1).sum())

    def _loaded(self, number: int) -> Index:
        """The load of operand ``number`` of each compute operation: 0 of weights, 1 of activations."""
        program = self._program
        loads: Index = program.dependencies[program.dependency_start[self._of(Engine.COMPUTE)] + number].astype(
            np.int64
        )
        return loads

    def _weights(self) -> int:
        return self._volume(self._loaded(0))

    def _windows(self) -> int:
        outputs, taps = self._extents(self._of(Engine.COMPUTE)), self._extents(self._loaded(0))
        channels, size = self._extents(self._loaded(1))[:, 3], np.ones(len(outputs), dtype=np.int64)
        steps = window_steps(self._program, self.exported.index, (taps[:, 1], taps[:, 2]))
        for axis, (stride, dilation) in enumerate(zip(*steps, strict=True), start=1):
            size *= (outputs[:, axis] - 1) * stride + window_extent(taps[:, axis], dilation)
        return int((outputs[:, 0] * size * channels).sum())

    def record(self, i: int, data: Mapping[str, list[int]], shapes: Mapping[str, list[int]]) -> dict[str, Any]:
        """Operation ``i`` as the file of operations has it."""
        program, engine = self._program, Engine(self._program.engine[i])
        lo, hi = program.box(i)
        where = Memory(program.memory[i])
        found: dict[str, Any] = {
            "operation": i, "engine": engine.label, "core": int(program.core[i]), "box": [list(lo), list(hi)],
            "writes": {
                "memory": where.label, "offset": int(program.offset[i]), "extent": int(program.extent[i]),
                "unit": WORDS if where is Memory.ACCUMULATORS else "bytes",
            },
            "reads": program.operands(i).tolist(),
            "start": int(self._timeline.start[i]), "until": int(self._timeline.until[i]), "finish": int(self._timeline.finish[i]),
        }  # fmt: skip
        if engine is Engine.COMPUTE:
            weights, codes = (program.box(int(load)) for load in program.operands(i)[:2])
            taps = (weights[1][1] - weights[0][1], weights[1][2] - weights[0][2])
            stride, dilation = window_steps(program, self.exported.index, taps)
            found["window"] = {"stride": list(stride), "dilation": list(dilation)}
            found["first"] = {"weight_channel": weights[0][3], "activation_channel": codes[0][3]}
            found["weight_box"] = [list(side) for side in weights]
        if engine in (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.RECALL):
            found["operand"] = int(program.operand[i])
        return found | ({"data": dict(data), "shapes": dict(shapes)} if data else {})


class TileFiles:
    """The file of operations of one layer, and where asked for the tile streams, while they are written."""

    def __init__(self, plan: TilePlan, root: Path, formats: tuple[FileFormat, ...], *, data: bool) -> None:
        self._plan, folder = plan, plan.exported.folder
        self._files = {
            stream.name: StreamFiles(stream, root, folder, formats).__enter__()
            for stream in (plan.streams if data else ())
        }
        self._path = root / folder / "operations.json"
        self._text: IO[str] = self._path.open("w", encoding="ascii", newline="\n")
        self._separator = '{"operations": [\n'

    def take(self, step: TileStep) -> None:
        """Write one operation."""
        parts = self._parts(step) if self._files else {}
        data = {name: [self._files[name].append(values), int(values.size)] for name, values in parts.items()}
        shapes = {name: list(values.shape) for name, values in parts.items()}
        self._text.write(self._separator + json.dumps(self._plan.record(step.operation, data, shapes)))
        self._separator = ",\n"

    @staticmethod
    def _parts(step: TileStep) -> dict[str, NDArray[Any]]:
        if step.product is not None:
            p = step.product
            return {WEIGHTS: p.weights, ACTIVATIONS: p.window, BEFORE: p.before, AFTER: p.after}
        if step.written is None:
            return {}
        return {CODES if step.taken is not None else BYTES: step.written}

    def finish(self) -> dict[str, str]:
        """Close all; SHA-256 by path."""
        self._text.write("\n]}\n")
        self._text.close()
        return {path: digest for files in self._files.values() for path, digest in files.finish().items()}

    def close(self) -> None:
        """Close all, whatever was written."""
        self._text.close()
        for files in self._files.values():
            files.__exit__()
