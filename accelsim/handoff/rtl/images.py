"""Memory images of the core's queues: one record per operation, as ``isa_pkg.sv`` declares them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacLayer
from accelsim.handoff.rtl.design import ENGINES, RANK, Design, elements_of, moved_tensor
from accelsim.handoff.rtl.refuse import compute_tile
from accelsim.hardware import Engine, Memory
from accelsim.numerics import IntFormat, Requant, Thresholds
from accelsim.program import producers

FIELD_BITS = 32
_COLUMNS = ("multiplier", "addend", "zero")
"""Fields of ``operands_t`` in the columns of ``Requant.multiplier``; schemes have the first alone."""


def images(design: Design) -> Iterator[tuple[str, str]]:
    """(file name, text) of every image; queues without operations have none."""
    records = {
        Engine.STORE: _store,
        Engine.COMPUTE: _compute,
        Engine.REQUANTIZE: _requantize,
        Engine.KEEP: _box,
        Engine.RECALL: _box,
    }
    for engine, operations in zip(ENGINES, design.of_engine, strict=True):
        if len(operations):
            record = records.get(engine, _transfer)
            lines = [_hex([*_waits(design, i), *record(design, i)]) for i in operations.tolist()]
            yield f"{engine.name.lower()}.hex", "\n".join(lines) + "\n"
    yield "parameters.hex", _parameters(design)


def _hex(fields: Sequence[int]) -> str:
    return "".join(f"{int(field) & 0xFFFFFFFF:08x}" for field in fields)


def _waits(design: Design, i: int) -> list[int]:
    """Operations of each engine that must be over, the last engine first."""
    program, counts = design.timeline.program, [0] * len(ENGINES)
    for on in program.waits_for(i).tolist():
        engine = int(program.engine[on])
        if (
            program.streamed[i] == on and program.engine[i] == Engine.REQUANTIZE
        ):  # as many tiles of finished sums have begun as there are requantizations
            counts[engine] = int(design.place[i]) + 1
            continue
        counts[engine] = max(counts[engine], int(design.place[on]) + 1)
    return counts[::-1]


def region(design: Design, i: int) -> int:
    """Where operation ``i`` writes, in elements."""
    program = design.timeline.program
    return design.element(Memory(program.memory[i]), int(program.offset[i]))


def _transfer(design: Design, i: int) -> list[int]:
    program = design.timeline.program
    at = int(program.operands(i)[0]) if program.engine[i] == Engine.STORE else i
    return [design.turn[i], region(design, at), elements_of(design, i)]


def _box(design: Design, i: int) -> list[int]:
    """Of a tensor kept on chip: what KEEP takes from the output buffer, or RECALL brings into a buffer of operands."""
    program = design.timeline.program
    keeps, (name, view) = program.engine[i] == Engine.KEEP, moved_tensor(program, i)
    place = design.places[int(program.layer[i]) if keeps else producers(program.graph)[name]]
    lo, axis, window = list(program.box(i)[0]), 0, 0
    if place.fused is not None:
        axis, window = place.fused.axis, place.fused.window
        lo[axis] %= window
    sizes = [b - a for a, b in zip(*program.box(i), strict=True)]
    steps = [int(np.prod(view[a + 1 :], dtype=np.int64)) for a in range(len(view))]
    fill, inner = [1] * (RANK - len(view)), len(view) - 1 - axis
    return [
        region(design, int(program.operands(i)[0]) if keeps else i), elements_of(design, i), program.graph.tensors[name].format.bits,
        program.memory[i] == Memory.WEIGHTS,
        design.element(Memory.RESIDENT, place.start) + sum(at * step for at, step in zip(lo, steps, strict=True)),
        inner, window, lo[axis] if window else 0, window * steps[axis] if window else 0, *fill, *sizes, *fill, *steps,
    ]  # fmt: skip


def _side(count: int, stride: int, up: int, size: int) -> tuple[int, int]:
    """Elements from one of ``count`` places along a side to the next, and from the first to the last, as far as whole inputs go."""
    return stride // up * size, (count - 1) * stride // up * size


def _store(design: Design, i: int) -> list[int]:
    """With the order in which its codes come, for a machine that stores them so; what the vector unit made goes in the order of the tile."""
    record, program, source = _transfer(design, i), design.timeline.program, int(design.timeline.program.operands(i)[0])
    if not design.stores_stream:
        return record
    if program.streamed[i] != source:
        size = record[-1]
        linear = (1, size, 1, 1, 1) if design.arch.array.dataflow == "input_stationary" else (size, 1, 1, 1, size)
        return [*record, 0, 0, *linear]
    before = design.of_engine[Engine.REQUANTIZE][: design.place[source]].tolist()
    return [*record, 1, sum(elements_of(design, one) for one in before), *_walk(design, source)]


def _walk(design: Design, i: int) -> tuple[int, ...]:
    """The order in which the array finishes the sums of requantization ``i``: channels of the tile, pixels, groups, those of a fold, channels
    of one."""
    program = design.timeline.program
    source, (lo, hi) = int(program.operands(i)[0]), program.box(i)
    tile = compute_tile(program, source)
    return hi[3] - lo[3], int(tile.pixels[0]), int(tile.groups[0]), design.packs[source], int(tile.channels[0])


def _compute(design: Design, i: int) -> list[int]:
    program = design.timeline.program
    index = int(program.layer[i])
    layer = design.layers[index]
    g, tile, pack = layer.geometry, compute_tile(program, i), design.packs[i]
    weight_load, input_load, *before = program.operands(i).tolist()
    (lo, hi), (wlo, whi), (ilo, ihi) = program.box(i), program.box(weight_load), program.box(input_load)
    oh, ow, kh, kw, ic = hi[1] - lo[1], hi[2] - lo[2], whi[1] - wlo[1], whi[2] - wlo[2], whi[3] - wlo[3]
    height, wide, deep = (b - a for a, b in zip(ilo[1:], ihi[1:], strict=True))
    up_h, up_w = g.upsample_h, g.upsample_w
    y0 = lo[1] * g.stride_h - g.pad_top + wlo[1] * g.dilation_h - ilo[1] * up_h
    x0 = lo[2] * g.stride_w - g.pad_left + wlo[2] * g.dilation_w - ilo[2] * up_w
    channel = lo[3] // g.oc_per_group * g.ic_per_group + wlo[3] - ilo[3]
    row, first = wide * deep, y0 // up_h * wide * deep + x0 // up_w * deep
    if input_load in design.matrices:  # windows stand one behind the other
        window = kh * kw * deep
        sides = _side(kw, 1, 1, deep), _side(kh, 1, 1, kw * deep), _side(ow, 1, 1, window), _side(oh, 1, 1, ow * window)
        row, column, first, image = 0, 0, 0, oh * ow * window
    else:
        column, image = deep, height * row
        sides = (
            _side(kw, g.dilation_w, up_w, deep), _side(kh, g.dilation_h, up_h, row),
            _side(ow, g.stride_w, up_w, deep), _side(oh, g.stride_h, up_h, row),
        )  # fmt: skip
    (kx, all_kx), (ky, all_ky), (ox, all_ox), (oy, all_oy) = sides
    unit, reduction = int(tile.channels[0]), int(tile.reduction[0])
    return [
        not before, i in design.ends, tile.weights_kept[0], tile.pixels[0], tile.groups[0], pack, design.steps_of_taps(tile),
        hi[3] - lo[3], unit, reduction, oh, ow, kh, kw, ic, y0, x0,
        g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, (height - 1) * up_h + 1, (wide - 1) * up_w + 1, up_h, up_w, y0 % up_h, x0 % up_w,
        g.stride_h % up_h, g.stride_w % up_w, g.dilation_h % up_h, g.dilation_w % up_w, row, column, layer.input_zero_point,
        region(design, input_load) + first + channel, kx - (ic - 1), ky - all_kx - (ic - 1), g.ic_per_group - all_ky - all_kx - (ic - 1),
        ox, oy - all_ox, image - all_oy - all_ox, g.ic_per_group,
        pack * g.ic_per_group,
        region(design, weight_load), program.arch.array.cols * reduction, pack * unit * reduction, pack * unit,
        design.parameter_base[index] + lo[3], int(program.offset[i]),
    ]  # fmt: skip


def _requantize(design: Design, i: int) -> list[int]:
    program = design.timeline.program
    index = int(program.layer[i])
    layer, source = design.layers[index], int(program.operands(i)[0])
    requant = layer.requant
    assert requant is not None
    (lo, hi) = program.box(i)
    return [
        elements_of(design, i), hi[3] - lo[3], int(program.offset[source]), region(design, i),
        design.parameter_base[index] + (lo[3] if requant.is_per_channel else 0), requant.is_per_channel,
        design.unit(layer), requant.zero_point if isinstance(requant, Requant) else 0, requant.clamp_min, requant.clamp_max,
        *_walk(design, i)[1:],
        int(design.place[source]) + 1,
    ]  # fmt: skip


def _parameters(design: Design) -> str:
    """Of every channel the bias at which accumulators start, the zero point of its weights, and ``operands_t``."""
    fields = {"bias": design.arch.accumulator.bits, "weight_zero": design.word(Memory.WEIGHTS), **design.operands}
    digits, lines = -(-sum(fields.values()) // 4), []
    for i, layer in design.layers.items():
        channels = layer.geometry.oc
        bias = np.zeros(channels, dtype=np.int64) if layer.array_bias is None else layer.array_bias
        columns = {"bias": bias, "weight_zero": design.weight_zeros[i], **_columns(design, layer)}
        rows = [np.broadcast_to(np.asarray(columns.get(name, 0)), channels).tolist() for name in fields]
        for values in zip(*rows, strict=True):
            word = 0
            for value, bits in zip(values, fields.values(), strict=True):
                word = word << bits | int(value) & (1 << bits) - 1
            lines.append(f"{word:0{digits}x}")
    return "\n".join(lines or ["0" * digits]) + "\n"


def _columns(design: Design, layer: MacLayer) -> dict[str, NDArray[Any]]:
    """Fields of ``operands_t`` by channel, or one number for all."""
    requant = layer.requant
    if isinstance(requant, Requant):
        return {"shift": requant.shift, **dict(zip(_COLUMNS, np.atleast_2d(requant.multiplier.T), strict=False))}
    assert isinstance(requant, Thresholds)
    acc = IntFormat(design.arch.accumulator.bits)
    room = design.operands["levels"] // (acc.bits + 1)
    levels = np.full((requant.channel_count, room), acc.max + 1, dtype=np.int64)
    levels[:, : requant.levels.shape[1]] = requant.levels.clip(acc.min, acc.max + 1)
    packed = np.zeros(requant.channel_count, dtype=object)
    for column in levels.T:
        packed = packed << acc.bits + 1 | (column & (1 << acc.bits + 1) - 1).astype(object)
    return {"levels": packed, "start": requant.start, "falls": requant.step < 0}
