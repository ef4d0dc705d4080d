"""Guesses about where numbers stand, whatever they are: shifted, transposed, late, never written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.kinds import Array, Guess
from accelsim.numerics import INT64

MOST_LANES = 16


def moved_guesses(golden: Array, stream: Mapping[str, Any], boxes: Sequence[tuple[slice, ...]]) -> Iterator[Guess]:
    """Of a stream in its shape; ``boxes`` are the parts that tile operations wrote, in their order."""
    for by, kind, text in (
        (
            1,
            kinds.LATE,
            "late write: each number is that of the place before (written a cycle late, or an address too far)",
        ),
        (-1, kinds.ADDRESS, "address off by one: each number is that of the place behind"),
    ):
        yield Guess(kind, text, partial(_shifted, golden, by), sporadic=True)
    for axis, name in enumerate(stream["axes"]):
        if golden.ndim > 1 and golden.shape[axis] > 1:
            for by, text in ((1, "before"), (-1, "behind")):
                yield Guess(
                    kinds.ADDRESS, f"each number is that of the {name} {text}", partial(np.roll, golden, by, axis)
                )
    yield from _words(golden, boxes)
    yield from _layouts(golden)
    if stream["kind"] == "integer":
        yield from _patterns(golden, stream["bits"], stream["signed"])
    yield Guess(kinds.NEVER, "never written: zeros", partial(np.zeros_like, golden), sporadic=True)
    late = _tiles_late(golden, boxes)
    if late is not None:
        yield _done(kinds.LATE, "late write: a tile holds the numbers of the tile before", late, sporadic=True)


def _done(kind: str, text: str, made: Array, *, sporadic: bool = False) -> Guess:
    """A guess whose numbers are there."""
    return Guess(kind, text, lambda: made, sporadic)


def _shifted(golden: Array, by: int) -> Array:
    return np.roll(golden.reshape(-1), by).reshape(golden.shape)


def _words(golden: Array, boxes: Sequence[tuple[slice, ...]]) -> Iterator[Guess]:
    """Words of several numbers, within the tiles that they are of."""
    parts = boxes or [tuple(slice(None) for _ in golden.shape)]
    for size in range(2, MOST_LANES + 1):
        late = f"late write: each word of {size} numbers is that of the word before"
        yield Guess(kinds.LATE, late, partial(_taken, golden, parts, lambda at, by: at - by, size), sporadic=True)
        behind = f"address off by one: each word of {size} numbers is that of the word behind"
        yield Guess(kinds.ADDRESS, behind, partial(_taken, golden, parts, lambda at, by: at + by, size), sporadic=True)
        same = f"all of a word of {size} numbers are its first"
        yield Guess(kinds.ADDRESS, same, partial(_taken, golden, parts, lambda at, by: at - at % by, size))


def _taken(
    golden: Array, parts: Sequence[tuple[slice, ...]], source: Callable[[Array, int], Array], size: int
) -> Array:
    """Each number that of the place that ``source`` says, in its part; at the part's ends its own."""
    made = golden.copy()
    for part in parts:
        values = golden[part].reshape(-1)
        at = np.arange(values.size)
        place = source(at, size)
        made[part] = values[np.where((place >= 0) & (place < values.size), place, at)].reshape(golden[part].shape)
    return made


def _layouts(golden: Array) -> Iterator[Guess]:
    if golden.ndim != 4:
        return
    layouts = {
        "channels before rows and columns": (0, 3, 1, 2), "columns before rows": (0, 2, 1, 3), "rows, columns, channels reversed": (0, 3, 2, 1),
    }  # fmt: skip
    for text, axes in layouts.items():
        packed = np.ascontiguousarray(golden.transpose(axes)).reshape(golden.shape)
        shape = tuple(golden.shape[axis] for axis in axes)
        read = np.ascontiguousarray(golden.reshape(shape).transpose(np.argsort(axes))).reshape(golden.shape)
        for what, made in ((text, packed), (f"read as {text}", read)):
            if not np.array_equal(made, golden):
                yield _done(kinds.PACKING, f"transposed packing: {what}", made)


def _patterns(golden: Array, bits: int, signed: bool) -> Iterator[Guess]:
    """Signs, bytes and bits."""
    if bits < INT64.bits:
        low = golden & ((1 << bits) - 1)
        yield _done(kinds.SIGN, f"numbers are taken as {'un' if signed else ''}signed", _numbers(low, bits, not signed))
        for bit in range(bits):
            yield _done(kinds.STUCK, f"bit {bit} is stuck at 0", _numbers(low & ~(1 << bit), bits, signed))
            yield _done(kinds.STUCK, f"bit {bit} is stuck at 1", _numbers(low | 1 << bit, bits, signed))
        turned = np.zeros_like(low)
        for bit in range(bits):
            turned |= ((low >> bit) & 1) << (bits - 1 - bit)
        yield _done(kinds.ENDIANNESS, "the order of bits is reversed", _numbers(turned, bits, signed))
    if bits in (16, 32):
        kind = np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")
        swapped = golden.astype(kind).byteswap().astype(np.int64)
        yield _done(kinds.ENDIANNESS, "the order of bytes is reversed", swapped)
    for size in (2, 4, 8):
        if golden.size % size == 0 and golden.size > size:
            turned = golden.reshape(-1, size)[:, ::-1].reshape(golden.shape)
            yield _done(kinds.ENDIANNESS, f"the order of {size} numbers in a word is reversed", turned)


def _numbers(words: Array, bits: int, signed: bool) -> Array:
    """Patterns of ``bits`` as numbers."""
    half = 1 << (bits - 1)
    return (words ^ half) - half if signed else words


def _tiles_late(golden: Array, boxes: Sequence[tuple[slice, ...]]) -> Array | None:
    """Each tile with what the tile before had, where both are of one shape."""
    late = golden.copy()
    for before, box in pairwise(boxes):
        if golden[before].shape == golden[box].shape:
            late[box] = golden[before]
    return late if len(boxes) > 1 else None
