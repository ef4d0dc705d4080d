"""Operators that exchange blocks of rows and columns with channels or with the batch: a transposition of a view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from accelsim.graph import Pad, StridedSlice, Transpose
from accelsim.importers.tflite.context import ACTIVATION_TYPES, Made, NodeContext, zero_point_of
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.pieces import sliced

Shape = tuple[int, ...]
BATCH_AXES = 4
"""Axes of tensors whose blocks go to the batch: one or two of them are cut (LiteRT space_to_batch_nd.cc)."""


def lower_depth_to_space(node: NodeContext) -> Transpose:
    """Channel ``(i * b + j) * c + k`` of a pixel becomes channel k of row i and column j of its block."""
    source, b = _image(node), node.option("block_size")
    n, h, w, c = source.shape
    node.need(b > 0 and c % (b * b) == 0, f"its block_size is {b} for {c} channels", "channels that b * b divides")
    node.output_shape_is((n, h * b, w * b, c // (b * b)))
    return _turned(node, source, (n, h, w, b, b, c // (b * b)), (0, 1, 3, 2, 4, 5))


def lower_space_to_depth(node: NodeContext) -> Transpose:
    """The inverse."""
    source, b = _image(node), node.option("block_size")
    n, h, w, c = source.shape
    node.need(b > 0 and h % b == 0 == w % b, f"its block_size is {b} for {h} x {w}", "rows and columns that it divides")
    node.output_shape_is((n, h // b, w // b, c * b * b))
    return _turned(node, source, (n, h // b, b, w // b, b, c), (0, 1, 3, 2, 4, 5))


def _image(node: NodeContext) -> TfliteTensor:
    source = node.moved(ACTIVATION_TYPES)
    node.need(len(source.shape) == BATCH_AXES, f"its input has shape {list(source.shape)}", "4 dimensions")
    return source


def _turned(node: NodeContext, source: TfliteTensor, seen: Shape, permutation: Shape) -> Transpose:
    shape = tuple(seen[axis] for axis in permutation)
    return Transpose(**node.names_of(source), shapes=(seen,), shape=shape, permutation=permutation)


def lower_space_to_batch(node: NodeContext) -> Made:
    """Padding, then a batch for each place in a block."""
    source, blocks, pairs = _blocked(node, "paddings")
    shape = source.shape
    spread = len(blocks)
    before = (0, *(pair[0] for pair in pairs), *(0,) * (len(shape) - 1 - spread))
    padded = [
        size + sum(pairs[axis - 1]) if 0 < axis <= spread else size for axis, size in enumerate(shape)
    ]  # fmt: skip
    inner = padded[1 : 1 + spread]
    node.need(
        all(size % block == 0 for size, block in zip(inner, blocks, strict=True)),
        f"its blocks are {blocks} for padded sizes {inner}",
        "sizes that they divide",
    )
    counts = [size // block for size, block in zip(inner, blocks, strict=True)]
    node.output_shape_is((shape[0] * math.prod(blocks), *counts, *shape[1 + spread :]))
    seen = (shape[0], *(n for pair in zip(counts, blocks, strict=True) for n in pair), *shape[1 + spread :])
    rest = range(1 + 2 * spread, len(seen))
    permutation = (*range(2, 2 + 2 * spread, 2), 0, *range(1, 1 + 2 * spread, 2), *rest)
    made = Made()
    if any(sum(pair) for pair in pairs):
        tensor = replace(source, name=node.fresh("padded"), shape=tuple(padded))
        layer = Pad(
            name=f"{node.layer_name} padding", inputs=(source.name,), output=tensor.name, shapes=(shape,),
            shape=tensor.shape, before=before, value=zero_point_of(node.output),
        )  # fmt: skip
        made, source = made.holding(tensor).then(layer), tensor
        if node.rules.is_micro:
            made = made.approximating(
                layer.name, "padded with the zero point, where tflite-micro takes what stands in its memory"
            )
    return made.then(_turned(node, source, seen, permutation))


def lower_batch_to_space(node: NodeContext) -> Made:
    """The inverse, then what is cropped is cut off."""
    source, blocks, pairs = _blocked(node, "crops")
    shape, spread = source.shape, len(blocks)
    batch = shape[0] // math.prod(blocks)
    node.need(
        batch * math.prod(blocks) == shape[0],
        f"its blocks are {blocks} for {shape[0]} batches",
        "blocks that divide it",
    )
    whole = [size * block for size, block in zip(shape[1 : 1 + spread], blocks, strict=True)]
    kept = [range(front, size - behind) for size, (front, behind) in zip(whole, pairs, strict=True)]
    ranges = [range(batch), *kept, *(range(size) for size in shape[1 + spread :])]
    node.need(all(len(each) for each in ranges), f"it crops {pairs} of {whole}", "crops that leave something")
    node.output_shape_is(tuple(len(each) for each in ranges))
    seen = (*blocks, batch, *shape[1:])
    inner = (axis for i in range(spread) for axis in (spread + 1 + i, i))
    permutation = (spread, *inner, *range(2 * spread + 1, len(seen)))
    if not any(sum(pair) for pair in pairs):
        return Made((_turned(node, source, seen, permutation),))
    tensor = replace(source, name=node.fresh("whole"), shape=(batch, *whole, *shape[1 + spread :]))
    layer = Transpose(
        name=f"{node.layer_name} whole", inputs=(source.name,), output=tensor.name, shapes=(seen,),
        shape=tuple(seen[axis] for axis in permutation), permutation=permutation,
    )  # fmt: skip
    cut: StridedSlice = sliced(node.layer_name, tensor, node.output, ranges)
    return Made().holding(tensor).then(layer).then(cut)


def _blocked(node: NodeContext, what: str) -> tuple[TfliteTensor, list[int], Sequence[tuple[int, int]]]:
    """The tensor, its blocks from axis 1 on, and a pair of paddings or crops for each."""
    source, blocks, given = node.moved(ACTIVATION_TYPES), node.integers(1, "blocks"), node.integers(2, what)
    fine = 0 < len(blocks) < len(source.shape) <= BATCH_AXES and len(given) == 2 * len(blocks)
    node.need(
        fine and min(blocks) > 0 and min(given) >= 0,
        f"its blocks are {blocks} and its {what} {given} for shape {list(source.shape)}",
        "a block of at least 1 and two numbers of at least 0 for each axis behind the first",
    )
    return source, blocks, list(zip(given[::2], given[1::2], strict=True))
