"""Guesses about arrays and what feeds them: rows out of step, folds that are lost, padding that is not masked, pitches of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.golden import GoldenLayer
from accelsim.handoff.compare.kinds import Array, Change
from accelsim.numerics import INT64

MOST_ROWS = 4
"""Rows of an array whose step is tried: the first and the last of them."""


BLOCKS = (2, 4, 8, 16, 32)
"""Channels that a tile, or a unit, may take together."""


def array_changes(layer: GoldenLayer) -> Iterator[Change]:
    """Kind, text, and what it changes of the sums."""
    yield from _signs(layer)
    yield from _folds(layer)
    yield from _steps(layer)
    yield from _edges(layer)
    yield from _memory(layer)


def _products(layer: GoldenLayer, image: Array | None = None, weights: Array | None = None) -> Array:
    x = layer.stream("activations") if image is None else image
    w = layer.stream("weights") if weights is None else weights
    return layer.products(x, w, layer.zero)


def _changed(layer: GoldenLayer, image: Array | None = None, weights: Array | None = None) -> Array:
    return _products(layer, image, weights) - layer.plain


def _signs(layer: GoldenLayer) -> Iterator[Change]:
    """Sums of products whose sign is not extended."""
    least = max(int(-layer.plain.min()), int(layer.plain.max()) + 1, 1) if layer.plain.size else 1
    for bits in range((least - 1).bit_length() + 1, min(layer.accumulator.bits, INT64.bits - 2) + 1):
        yield (
            kinds.SIGN,
            f"partial sums of {bits} bits are taken as unsigned",
            partial(lambda by: np.where(layer.plain < 0, by, 0), 1 << bits),
        )


def _folds(layer: GoldenLayer) -> Iterator[Change]:
    """``rows`` products of a sum are added at once, fold by fold, each row of the array one of them."""
    weights, rows, bias = layer.stream("weights"), layer.rows, layer.stream("bias")
    flat = weights.reshape(len(weights), -1)
    count = flat.shape[1]
    if count > 1:
        backwards = flat[:, ::-1].reshape(weights.shape)
        yield kinds.SWAPPED, "weights of each sum are read backwards", partial(_changed, layer, weights=backwards)
    place = np.arange(count)
    if rows > 1:
        turned = flat[:, np.minimum(place // rows * rows + rows, count) - 1 - place % rows].reshape(weights.shape)
        text = f"weights stand upside down in the {rows} rows of the array"
        yield kinds.SWAPPED, text, partial(_changed, layer, weights=turned)
        for row in {0: None, min(rows, count) - 1: None}:
            some = np.where(place % rows == row, 0, flat).reshape(weights.shape)
            text = f"row {row} of the array adds nothing"
            yield kinds.COUNT, text, partial(_changed, layer, weights=some)
    if count > rows:
        for what, kept in (("last", place >= (count - 1) // rows * rows), ("first", place < rows)):
            part = np.where(kept, flat, 0).reshape(weights.shape)
            for begin, less in (("", 0), (", without the bias", bias)):
                text = f"lost partial sum: only the {what} fold of {rows} products is left{begin}"
                yield kinds.LOST_STEP, text, partial(lambda w, by: _changed(layer, weights=w) - by, part, less)


def _steps(layer: GoldenLayer) -> Iterator[Change]:
    """A row of the array whose operands meet those of another pixel."""
    weights, rows = layer.stream("weights"), layer.rows
    flat = weights.reshape(len(weights), -1)
    place = np.arange(flat.shape[1]) % rows
    tried = [row for row in range(min(rows, flat.shape[1])) if min(row, rows - 1 - row) < MOST_ROWS // 2]
    for row in tried if rows > 1 else ():
        alone = np.where(place == row, flat, 0).reshape(weights.shape)
        for by, text in ((-1, "early: it meets the pixel behind"), (1, "late: it meets the pixel before")):
            yield kinds.SKEW, f"row {row} of the array is a cycle {text}", partial(_stepped, layer, alone, by)


def _stepped(layer: GoldenLayer, weights: Array, by: int) -> Array:
    part = _products(layer, weights=weights)
    pixels = part.reshape(-1, part.shape[-1])
    moved: Array = (np.roll(pixels, by, axis=0) - pixels).reshape(part.shape)
    return moved


def _edges(layer: GoldenLayer) -> Iterator[Change]:
    """Codes of the input that are masked as padding is."""
    rows, columns = layer.sides
    _, high, wide, _ = layer.entry["sum"]["input_view"]
    edges = {"first row": rows == 0, "last row": rows == high - 1, "first column": columns == 0, "last column": columns == wide - 1}  # fmt: skip
    for edge, mask in edges.items() if list(layer.entry["sum"]["spread"]) == [1, 1] else ():
        places = np.broadcast_to(mask, layer.held.shape)[None, :, :, None]
        masked = np.where(places, layer.zero, layer.stream("activations"))
        yield kinds.PADDING, f"the {edge} of the input is taken for padding", partial(_changed, layer, image=masked)


def _memory(layer: GoldenLayer) -> Iterator[Change]:
    """Addresses of the input in its memory, which has no padding."""
    view = layer.view
    n, high, wide, deep = view.shape
    for block in (*(size for size in BLOCKS if size < deep), deep):
        of = "" if block == deep else f" of {block}"
        first = view[..., np.arange(deep) // block * block]
        if deep > 1:
            yield kinds.ADDRESS, f"activations of the first channel{of} for all", partial(_viewed, layer, first)
    if not layer.held.all():
        for by, text in ((1, "one before"), (-1, "one behind")):
            rolled = np.roll(view.reshape(-1), by).reshape(view.shape)
            yield kinds.ADDRESS, f"address of the activations in memory off by one: {text}", partial(_viewed, layer, rolled)  # fmt: skip
    line = wide * deep
    row = np.arange(n * high)[:, None]
    for by, text in ((1, "an element more"), (-1, "an element less"), (deep, "a pixel more"), (-deep, "a pixel less")):
        place = row * line + row % high * by + np.arange(line)
        sheared = view.reshape(-1)[place % view.size].reshape(view.shape)
        yield kinds.ADDRESS, f"rows of the input stand {text} apart", partial(_viewed, layer, sheared)


def _viewed(layer: GoldenLayer, view: Array) -> Array:
    return _changed(layer, image=layer.image(view))
