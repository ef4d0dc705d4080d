"""Sums of a multiply-accumulate layer, or of a tile of one, by register tiles: a record of integers over a flat memory of codes.

The codes are copied once into an *image*, padded and spread as the windows will read them; a block of pixels then meets panel
after panel of the weights. ``vpdpbusd`` takes unsigned by signed codes: BYTES moves codes up to begin at 0, pads with the code of
zero, and starts every sum at minus that code times the sum of its column, which is exact modulo 2^32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.kernels._registers import (
    Job,
    bytes_panel,
    channels_panel,
    clamped_panel,
    narrow_bytes_panel,
    pairs_panel,
)
from accelsim.numba_cache import inlined, inner, njit

PAIRS, BYTES, DEPTHWISE, CLAMPED = range(4)
"""Ways to multiply: 16-bit pairs; groups of four 8-bit codes; each channel by itself; pairs, sums clamped after every segment."""

(
    OPERATION, SOURCE, TARGET,
    FLIP, ZERO, FILL, N, IH, IW, IC, OH, OW, OC, TOP, LEFT, UP_H, UP_W, PH, PW, STEP_H, STEP_W,
    PLAIN, BLOCK, ROW, GROUPS, GROUP_STEP, COLUMNS, PANELS, NARROW_COLUMNS, NARROW_PANELS, SEGMENTS, SEGMENT_COUNT, STEPS, WEIGHTS, STARTS,
    SUM_LOW, SUM_HIGH,
) = range(37)  # fmt: skip
"""Slots of a record. Offsets count elements of the array they point into; an operation leaves what it does not use at 0.

Codes are read as ``memory ^ FLIP``, and ``ZERO`` is taken from that: signed codes lie in a memory of bytes as unsigned ones, and with
their highest bit flipped they are in order. ``PLAIN``: one tap, and an input pixel for each output pixel. ``BLOCK`` pixels are
multiplied at once. ``ROW`` is the distance of the sums of two pixels while tiles write them: the last panel may be wider than what is
left of a row. Each group has ``PANELS`` of ``COLUMNS`` columns, then ``NARROW_PANELS`` of ``NARROW_COLUMNS``."""
SLOTS = 37

BLOCK_PIXELS = 48
"""Output pixels whose sums are held at once, at least, whole tiles of 6, of 4 and of 12: with 256 channels 48 KiB, well inside a
second-level cache."""
BLOCK_SUMS = 6144
"""Sums that are held at once where more pixels than those have fewer: 24 KiB."""
MOST_PIXELS = 384
"""Pixels that are multiplied at once, at most."""
SLACK = 64
"""Elements that tiles may read beyond the end of an image: the rest of a group of codes, unused lanes of a vector."""


class Panels(NamedTuple):
    """Weights as tiles read them (int16, or pairs of int8), offsets of segments (int64), starts of the sums (int32)."""

    weights: Any
    segments: Any
    starts: Any


class Scratch(NamedTuple):
    """Room for an image (int16; uint8), for the sums of a block of pixels (int32) and for their places (int64)."""

    image: Any
    bytes: Any
    sums: Any
    places: Any


@inner
def _copy(source: Any, flip: int, zero: int, target: Any) -> None:
    """``(source ^ flip) - zero``, by arrays of their own: an index that may be negative, as numpy allows, is a loop without vectors."""
    # As 16-bit numbers: so the loop is known to need no more bits than what it writes.
    bits, less = np.int64(np.int16(flip)), np.int64(np.int16(zero))
    for i in range(target.size):
        target[i] = (source[i] ^ bits) - less


@inlined
def fill_image(r: Any, memory: Any, scratch: Any) -> None:
    """The image of a record, in codes of 8 bits where they are multiplied as such, of 16 elsewhere; nothing yet of a plain one."""
    if r[PLAIN]:
        return
    if r[OPERATION] == BYTES:
        _fill(r, memory, scratch.bytes)
    else:
        _fill(r, memory, scratch.image)


@inlined
def _fill_block(r: Any, memory: Any, first: int, count: int, scratch: Any) -> None:
    """The pixels of one block of a plain image, to its front: they stay in a near cache until they are multiplied."""
    ic = r[IC]
    source, size = memory[r[SOURCE] + first * ic :], count * ic
    if r[OPERATION] == BYTES:
        _copy(source, r[FLIP], r[ZERO], scratch.bytes[:size])
    else:
        _copy(source, r[FLIP], r[ZERO], scratch.image[:size])
    for i in range(count):
        scratch.places[i] = i * ic


@inner
def _fill(r: Any, memory: Any, image: Any) -> None:
    """Codes of the source less ``ZERO``, spread and padded with ``FILL``, into ``image`` (n, ph, pw, ic)."""
    source, ih, iw, ic, ph, pw = r[SOURCE], r[IH], r[IW], r[IC], r[PH], r[PW]
    if r[UP_H] * r[UP_W] > 1 or r[TOP] > 0 or r[LEFT] > 0 or r[TOP] + ih < ph or r[LEFT] + iw < pw:
        image[: r[N] * ph * pw * ic] = r[FILL]
    # Of each row, the columns that some window can reach; they stay together unless zeros are inserted between them.
    first = max(0, -(r[LEFT] // r[UP_W]))
    last = min(iw, (pw - 1 - r[LEFT]) // r[UP_W] + 1)
    run, step = (ic, r[UP_W] * ic) if r[UP_W] > 1 else ((last - first) * ic, (last - first) * ic)
    for b in range(r[N]):
        for y in range(ih):
            row = r[TOP] + y * r[UP_H]
            if row < 0 or row >= ph:
                continue
            at = source + ((b * ih + y) * iw + first) * ic
            to = ((b * ph + row) * pw + r[LEFT] + first * r[UP_W]) * ic
            for _ in range((last - first) * ic // run if run > 0 else 0):
                _copy(memory[at:], r[FLIP], r[ZERO], image[to : to + run])
                at += run
                to += step


@inlined
def _find_places(r: Any, first: int, count: int, places: Any) -> None:
    """Where in the image the windows of output pixels ``first`` to ``first + count`` begin."""
    ox, rest = first % r[OW], first // r[OW]
    oy, b = rest % r[OH], rest // r[OH]
    for i in range(count):
        places[i] = b * r[PH] * r[PW] * r[IC] + oy * r[STEP_H] + ox * r[STEP_W]
        ox += 1
        if ox == r[OW]:
            ox = 0
            oy += 1
            if oy == r[OH]:
                oy = 0
                b += 1


@inlined
def _job(r: Any, panels: Any, scratch: Any, group: int, column: int, count: int) -> Any:
    """The panel of a group that begins at ``column`` against the pixels of a block."""
    operation, row_bytes = r[OPERATION], 4 * r[ROW]
    image, code_bytes = np.int64(scratch.image.ctypes.data), 2
    if operation == BYTES:
        image, code_bytes = np.int64(scratch.bytes.ctypes.data), 1
    channel = column if operation == DEPTHWISE else group * r[GROUP_STEP]
    first = group * (r[PANELS] * r[COLUMNS] + r[NARROW_PANELS] * r[NARROW_COLUMNS]) + column
    depth = r[SEGMENT_COUNT] * r[STEPS] * (1 if operation == DEPTHWISE else 2)
    out = np.int64(scratch.sums.ctypes.data + 4 * (group * (r[OC] // r[GROUPS]) + column))
    start, start_row = np.int64(panels.starts[r[STARTS] + first :].ctypes.data), 0
    if operation == CLAMPED:  # these go on from what stands there
        start, start_row = out, row_bytes
    return Job(
        image + code_bytes * channel,
        np.int64(scratch.places.ctypes.data),
        np.int64(count),
        np.int64(panels.segments[r[SEGMENTS] :].ctypes.data),
        r[SEGMENT_COUNT],
        r[STEPS],
        np.int64(panels.weights[r[WEIGHTS] + first * depth :].ctypes.data),
        start,
        start_row,
        out,
        row_bytes,
        r[SUM_LOW],
        r[SUM_HIGH],
    )


@inlined
def block_sums(r: Any, memory: Any, panels: Any, first: int, count: int, scratch: Any) -> None:
    """Sums (count, oc) of the output pixels from ``first`` on, to the front of ``scratch.sums``."""
    operation, oc, row = r[OPERATION], r[OC], r[ROW]
    if r[PLAIN]:
        _fill_block(r, memory, first, count, scratch)
    else:
        _find_places(r, first, count, scratch.places)
    # Columns ascend, so that what one panel writes beyond its own is overwritten by the next.
    for group in range(r[GROUPS]):
        column = 0
        for panel in range(r[PANELS] + r[NARROW_PANELS]):
            job = _job(r, panels, scratch, group, column, count)
            column += r[COLUMNS] if panel < r[PANELS] else r[NARROW_COLUMNS]
            if operation == PAIRS:
                pairs_panel(job)
            elif operation == DEPTHWISE:
                channels_panel(job)
            elif operation == CLAMPED:
                clamped_panel(job)
            elif panel < r[PANELS]:
                bytes_panel(job)
            else:
                narrow_bytes_panel(job)
    for m in range(1, count if row > oc else 0):
        _copy(scratch.sums[m * row :], 0, 0, scratch.sums[m * oc : m * oc + oc])


@njit
def multiply(r: Any, memory: Any, panels: Any, scratch: Any, out: Any) -> None:
    """Sums of all pixels, int32 (flat), to ``out``; a clamped record goes on from the sums within bounds that stand there."""
    fill_image(r, memory, scratch)
    pixels, channels, row = r[N] * r[OH] * r[OW], r[OC], r[ROW]
    for first in range(0, pixels, r[BLOCK]):
        count = min(r[BLOCK], pixels - first)
        if r[OPERATION] == CLAMPED:
            for m in range(count):
                begin = (first + m) * channels
                _copy(out[begin:], 0, 0, scratch.sums[m * row : m * row + channels])
        block_sums(r, memory, panels, first, count, scratch)
        end = first * channels + count * channels
        _copy(scratch.sums, 0, 0, out[first * channels : end])
