"""What the operators of a float .tflite file are in ONNX that cut, repeat and rearrange tensors, or reduce whole axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.importers.onnx import CHANNELS_LAST
from accelsim.importers.tflite.file import TfliteTensor
from accelsim.ptq.network.tflite_network import IMAGE_RANK, Call, Step


def split(call: Call) -> None:
    """SPLIT: the axis, then the tensor; pieces of one size."""
    source, count = call.input(1), call.option("num_splits")
    axis = _axis(call, int(call.integers(0, "axis")[0]), source)
    call.need(count == len(call.record.outputs), f"it has {len(call.record.outputs)} outputs", f"{count}")
    _pieces(call, source, axis)


def split_v(call: Call) -> None:
    """SPLIT_V: the tensor, the sizes of the pieces, and the axis."""
    source, count = call.input(0), call.option("num_splits")
    call.integers(1, "sizes")  # which the outputs say too
    call.need(count == len(call.record.outputs), f"it has {len(call.record.outputs)} outputs", f"{count}")
    _pieces(call, source, _axis(call, int(call.integers(2, "axis")[0]), source))


def _pieces(call: Call, source: TfliteTensor, axis: int) -> None:
    start = 0
    for i, index in enumerate(call.record.outputs):
        target = call.model.tensors[index]
        size = target.shape[axis]
        taken = [range(start, start + size) if at == axis else range(n) for at, n in enumerate(source.shape)]
        _cut(call, source, target, taken, part=f"piece {i}")
        start += size
    call.need(start == source.shape[axis], f"its pieces are {start} of {source.shape[axis]}", "pieces of all")


def _axis(call: Call, given: int, source: TfliteTensor) -> int:
    rank = len(source.shape)
    call.need(-rank <= given < rank, f"its axis is {given} for {rank} axes", "an axis of its input")
    return given % rank


def _cut(call: Call, source: TfliteTensor, target: TfliteTensor, taken: Sequence[range], part: str = "") -> None:
    """The indices ``taken`` of every axis; axes of size 1 may be missing in ``target``."""
    first = call.to.is_first(source) and len(target.shape) == IMAGE_RANK
    ordered = [taken[axis] for axis in (0, 3, 1, 2)] if first else list(taken)
    # An end before the first index of an axis that is read backwards: any large negative number.
    ends = [r.stop if r.step > 0 else r.stop - 2**31 * (r.stop < 0) for r in ordered]
    rows = [r.start for r in ordered], ends, range(len(ordered)), [r.step for r in ordered]
    names = [
        call.to.constant(f"{target.name}/{what}", np.array(row, np.int64))
        for what, row in zip(("starts", "ends", "axes", "steps"), rows, strict=True)
    ]
    steps = [Step("Slice", (call.read(source, first=first), *names))]
    if tuple(len(r) for r in taken) != target.shape:
        shape = call.to.constant(f"{target.name}/shape", np.array(target.shape, np.int64))
        steps.append(Step("Reshape", (shape,)))
    call.to.write(target, steps, call.record, first=first, part=part)


def cut(call: Call) -> None:
    """SLICE: begins and sizes, -1 for all that is left."""
    source, begins, sizes = call.input(0), call.integers(1, "begins"), call.integers(2, "sizes")
    rows = zip(source.shape, begins, sizes, strict=True)
    _cut(call, source, call.output, [range(b, n if length == -1 else b + length) for n, b, length in rows])


def strided(call: Call) -> None:
    """STRIDED_SLICE: ``begin:end:stride`` on every axis; masks open ends and drop axes."""
    source = call.input(0)
    begins, ends, strides = (call.integers(i, what) for i, what in ((1, "begins"), (2, "ends"), (3, "strides")))
    call.need(len(begins) == len(source.shape), f"it has {len(begins)} begins", "one per axis")
    open_first, open_last, dropped = (call.option(f"{name}_mask") for name in ("begin", "end", "shrink_axis"))
    taken = []
    for axis, size in enumerate(source.shape):
        start = None if open_first >> axis & 1 else begins[axis]
        if dropped >> axis & 1:
            at = begins[axis] % size
            taken.append(range(at, at + 1))
        else:
            taken.append(range(size)[slice(start, None if open_last >> axis & 1 else ends[axis], strides[axis])])
    _cut(call, source, call.output, taken)


def resize_nearest(call: Call) -> None:
    """Rows and columns of input 1."""
    image, size = call.image(), call.integers(1, "size")
    align, half = (call.option(name) for name in ("align_corners", "half_pixel_centers"))
    kind = "align_corners" if align else "half_pixel" if half else "asymmetric"
    nearest = "round_prefer_ceil" if align or half else "floor"
    sizes = np.array([image.shape[0], image.shape[3], *size], np.int64)
    attributes = {"mode": "nearest", "coordinate_transformation_mode": kind, "nearest_mode": nearest}
    inputs = (call.read(image, first=True), "", "", call.to.constant(f"{call.output.name}/sizes", sizes))
    call.write(Step("Resize", inputs, attributes), first=True)


def blocks(call: Call, op: str) -> None:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH, whose channels are ordered as ONNX's mode DCR."""
    attributes = {"blocksize": call.option("block_size")}
    call.write(Step(op, (call.read(call.image(), first=True),), attributes), first=True)


def gather(call: Call) -> None:
    """Constant indices of one axis."""
    source, indices = call.input(0), call.values(1, "indices")
    axis = _axis(call, call.option("axis"), source)
    call.need(indices.ndim == 1, f"its indices have shape {list(indices.shape)}", "a vector")
    first = call.to.is_first(source)
    name = call.to.constant(f"{call.output.name}/indices", indices.astype(np.int64))
    at = CHANNELS_LAST[axis] if first else axis
    call.write(Step("Gather", (call.read(source, first=first), name), {"axis": at}), first=first)


def tile(call: Call) -> None:
    """Constant repeats of every axis."""
    source, repeats = call.input(0), call.integers(1, "multiples")
    name = call.to.constant(f"{call.output.name}/repeats", np.array(repeats, np.int64))
    call.write(Step("Tile", (call.read(source), name)))


def reduce(call: Call, op: str) -> None:
    """Over any constant axes, in TFLite's order."""
    source = call.input(0)
    axes = sorted({_axis(call, axis, source) for axis in call.integers(1, "axes")})
    kept = call.option("keep_dims")
    name = call.to.constant(f"{call.output.name}/axes", np.array(axes, np.int64))
    call.write(Step(op, (call.read(source), name), {"keepdims": kept}))
