"""Exact 32-bit sums of a layer or of a tile of one: its weights laid out for register tiles, the fastest way chosen and checked.

Everything here is modulo 2^32; the caller has a bound that no true sum leaves 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.core.registry import cpu_target
from numpy.typing import NDArray

from accelsim.graph import window_place
from accelsim.kernels import _products as loops
from accelsim.kernels import _registers as registers
from accelsim.kernels._mac import Plan
from accelsim.numerics import INT8, UINT8

Integers = NDArray[Any]
Shape = tuple[int, ...]

REMEMBERED = 1024
"""Layouts kept: a layer has a few, one for each kind of tile at its edges."""


class Codes(NamedTuple):
    """Range of the codes that come in, and the code that stands for zero."""

    low: int
    high: int
    zero: int = 0


class Clamp(NamedTuple):
    """Sums are clamped to [low, high] at first and after every ``group`` products."""

    group: int
    low: int
    high: int


class Window(NamedTuple):
    """What of a :class:`Plan` the image of a tile depends on: ``top`` and ``left`` are its rows and columns before the source's own,
    ``channel`` the source's that meets the first weight, ``group_step`` channels away from that of the next group."""

    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    upsample_h: int
    upsample_w: int
    top: int
    left: int
    channel: int
    groups: int
    group_step: int


class Panels(NamedTuple):
    """``many`` panels as wide as ``tile``, side by side."""

    tile: registers.Tile
    many: int

    @property
    def columns(self) -> int:
        """Columns of all of them."""
        return self.many * self.tile.columns


@dataclass(frozen=True, eq=False)
class Layout:
    """How a layer or a tile is multiplied: its record, all offsets 0, its segments, and what its weights become.

    Weights are seen as (groups, columns, segments, codes); ``moved`` is the code that stands for zero in the image.
    """

    record: NDArray[np.int64]
    segments: NDArray[np.int64]
    panels: tuple[Panels, ...]
    weight_shape: Shape
    moved: int
    image_size: int
    sums_size: int

    def pack(self, weights: Integers, bias: Integers | None = None) -> Packed:
        """``weights`` (oc, kh, kw, ic), of 16 bits at most, and the bias of each output channel, laid out."""
        groups, columns, *_ = self.weight_shape
        starts = np.zeros((groups, sum(part.columns for part in self.panels)), dtype=np.int32)
        if bias is not None:
            starts[:, :columns] = bias.reshape(groups, columns)
        if self.moved:
            own = weights.reshape(groups, columns, -1).sum(axis=2, dtype=np.int32)
            starts[:, :columns] -= np.int32(self.moved) * own
        return Packed(self, self._panels(weights.reshape(self.weight_shape)), starts.reshape(-1))

    def _panels(self, weights: Integers) -> NDArray[np.int16]:
        """Of each group the wide panels, then the narrow ones."""
        ends = np.cumsum([part.columns for part in self.panels])
        parts = [
            panels_of(w, part.tile).reshape(len(weights), -1)
            for w, part in zip(np.split(weights, ends[:-1], axis=1), self.panels, strict=True)
        ]
        return np.concatenate(parts, axis=1).reshape(-1)

    def scratch(self) -> loops.Scratch:
        """Room for one product at a time."""
        return new_scratch(self.image_size, self.sums_size)


class Packed(NamedTuple):
    """Weights and starts of sums as register tiles read them."""

    layout: Layout
    weights: NDArray[np.int16]
    starts: NDArray[np.int32]


def new_scratch(image_size: int, sums_size: int) -> loops.Scratch:
    """Room for images and for the sums of a block of pixels of these sizes."""
    image, small = np.empty(image_size, dtype=np.int16), np.empty(image_size, dtype=np.uint8)
    return loops.Scratch(image, small, np.empty(sums_size, np.int32), np.empty(loops.MOST_PIXELS, np.int64))


def multiply(
    packed: Packed, x: Integers, sums: NDArray[np.int32], scratch: loops.Scratch | None = None
) -> NDArray[np.int32]:
    """``sums`` (n, oh, ow, oc) of the codes ``x`` (n, ih, iw, ic), int16; clamped ones go on from what stands there, in bounds."""
    panels = loops.Panels(packed.weights, packed.layout.segments, packed.starts)
    room = packed.layout.scratch() if scratch is None else scratch
    loops.multiply(packed.layout.record, x.reshape(-1), panels, room, sums.reshape(-1))
    return sums


def layout_of(
    plan: Plan,
    output: Shape,
    source: Shape,
    weights: Shape,
    *,
    codes: Codes,
    factors: Codes,
    clamp: Clamp | None = None,
    way: int | None = None,
) -> Layout | None:
    """How to make sums ``output`` (n, oh, ow, oc) of an input ``source`` (n, ih, iw, c) and ``weights`` (oc, kh, kw, ic).

    Both hold integers in the ranges of ``codes`` and ``factors``. None where the output channels of a tile cut a group in two, and
    where clamps do not fall on the ends of runs of memory. ``way`` asks for one way to multiply, which must be one for these codes
    and this layer.
    """
    first, last = plan.output_channel // plan.oc_per_group, (plan.output_channel + output[3] - 1) // plan.oc_per_group
    groups = last - first + 1
    if groups > 1 and (clamp or plan.output_channel % plan.oc_per_group or output[3] != groups * plan.oc_per_group):
        return None
    top = window_place(plan.output_y, plan.weight_y, plan.stride_h, plan.dilation_h, plan.pad_top)
    left = window_place(plan.output_x, plan.weight_x, plan.stride_w, plan.dilation_w, plan.pad_left)
    window = Window(
        *plan[:4], plan.upsample_h, plan.upsample_w,
        plan.source_y * plan.upsample_h - top, plan.source_x * plan.upsample_w - left,
        first * plan.ic_per_group + plan.weight_channel - plan.source_channel, groups, plan.ic_per_group,
    )  # fmt: skip
    if clamp or (way is None and groups > 1 and plan.oc_per_group == plan.ic_per_group == 1):
        way = loops.CLAMPED if clamp else loops.DEPTHWISE
    small = INT8.min <= factors.low and factors.high <= INT8.max
    return _layout(window, (output, source, weights), codes, small, clamp, way)


@lru_cache(maxsize=REMEMBERED)
def _layout(
    window: Window, shapes: tuple[Shape, Shape, Shape], codes: Codes, small: bool, clamp: Clamp | None, way: int | None
) -> Layout | None:
    """One of the few that the tiles of a layer need: all of one size whose windows reach as far beyond their input share one."""
    output, source, weights = shapes
    groups = 1 if way == loops.DEPTHWISE else window.groups
    way = _fastest(codes, small) if way is None else way
    rows, columns, offsets, length = _segments(
        window, output, source[3], weights, groups == 1 and way != loops.DEPTHWISE
    )
    if clamp:
        if length % clamp.group:
            return None
        offsets, length = (offsets[:, None] + np.arange(0, length, clamp.group)).reshape(-1), clamp.group
    per_group, low = output[3] // groups, codes.low if way == loops.BYTES else codes.zero
    panels = _split(per_group, way)
    tile = panels[0].tile
    row = (groups - 1) * per_group + sum(part.columns for part in panels)
    block = loops.BLOCK_PIXELS * max(1, min(loops.BLOCK_SUMS // row, loops.MOST_PIXELS) // loops.BLOCK_PIXELS)
    _, sum_low, sum_high = clamp or (0, 0, 0)
    plain = weights[1:3] == window[:2] == window[4:6] == (1, 1) and window[6:8] == (0, 0) and output[:3] == source[:3]
    slots = {
        loops.OPERATION: way, loops.ZERO: low, loops.FILL: codes.zero - low,
        **dict(zip((loops.N, loops.IH, loops.IW, loops.IC), source, strict=True)),
        **dict(zip((loops.OH, loops.OW, loops.OC), output[1:], strict=True)),
        loops.TOP: window.top, loops.LEFT: window.left, loops.UP_H: window.upsample_h, loops.UP_W: window.upsample_w,
        loops.PH: rows, loops.PW: columns,
        loops.PLAIN: plain, loops.BLOCK: block,
        loops.STEP_H: window.stride_h * columns * source[3], loops.STEP_W: window.stride_w * source[3],
        loops.ROW: row, loops.GROUPS: groups, loops.GROUP_STEP: window.group_step,
        **dict(zip((loops.COLUMNS, loops.NARROW_COLUMNS), (part.tile.columns for part in panels), strict=False)),
        **dict(zip((loops.PANELS, loops.NARROW_PANELS), (part.many for part in panels), strict=False)),
        loops.SEGMENT_COUNT: len(offsets), loops.STEPS: -(-length // tile.group),
        loops.SUM_LOW: sum_low, loops.SUM_HIGH: sum_high,
    }  # fmt: skip
    record = np.zeros(loops.SLOTS, dtype=np.int64)
    record[list(slots)] = list(slots.values())
    parts, moved = tuple(part for part in panels if part.many), codes.zero - low
    pixels = block if plain else source[0] * rows * columns
    sizes = pixels * source[3] + loops.SLACK, row * block
    return Layout(record, offsets + window.channel, parts, (groups, per_group, len(offsets), length), moved, *sizes)


def _segments(
    window: Window, output: Shape, channels: int, weights: Shape, dense: bool
) -> tuple[int, int, NDArray[np.int64], int]:
    """Rows and columns of the image, offsets of the segments and codes of each: a row of the kernel that lies in one piece, or a tap."""
    _, kh, kw, ic = weights
    rows = (output[1] - 1) * window.stride_h + (kh - 1) * window.dilation_h + 1
    columns = (output[2] - 1) * window.stride_w + (kw - 1) * window.dilation_w + 1
    offsets = np.arange(kh)[:, None] * (window.dilation_h * columns * channels)
    if dense and ic == channels and window.dilation_w == 1:
        return rows, columns, offsets[:, 0], kw * ic
    return rows, columns, (offsets + np.arange(kw) * (window.dilation_w * channels)).reshape(-1), ic


def panels_of(w: Integers, tile: registers.Tile) -> NDArray[np.int16]:
    """Weights (groups, columns, segments, codes) as ``tile`` reads them: a row per panel of (segment, step, column, group)."""
    groups, columns, segments, length = w.shape
    blocks, steps = -(-columns // tile.columns), -(-length // tile.group)
    kind = np.int8 if tile.code_bytes == 1 else np.int16
    shape = groups, blocks * tile.columns, segments, steps * tile.group
    padded = np.ascontiguousarray(w, dtype=kind) if shape == w.shape else np.zeros(shape, dtype=kind)
    if shape != w.shape:
        padded[:, :columns, :, :length] = w
    words = padded.view(np.int16 if tile.group == 1 else np.int32).reshape(groups * blocks, tile.columns, -1)
    return np.ascontiguousarray(words.transpose(0, 2, 1)).reshape(groups * blocks, -1).view(np.int16)


def tile_of(way: int) -> registers.Tile:
    """The register tile of a way to multiply on this CPU."""
    if way == loops.BYTES:
        return _bytes_tile()
    return {loops.PAIRS: registers.PAIRS, loops.DEPTHWISE: registers.CHANNELS, loops.CLAMPED: registers.CLAMPED}[way]


@cache
def _bytes_tile() -> registers.Tile:
    return registers.bytes_tile(registers.features_of(cpu_target.target_context.codegen()))


def _split(columns: int, way: int) -> tuple[Panels, ...]:
    """Panels for the columns of one group: 8-bit codes meet narrow ones where a last wide one would be wider than those together."""
    wide = tile_of(way)
    if way != loops.BYTES:
        return (Panels(wide, -(-columns // wide.columns)),)
    small, full = registers.narrow(wide), columns // wide.columns
    few = -(-(columns - full * wide.columns) // small.columns)
    fills = few * small.columns >= wide.columns
    return Panels(wide, full + fills), Panels(small, 0 if fills else few)


def _fastest(codes: Codes, small: bool) -> int:
    """BYTES where this CPU has an instruction for it that is exact, and codes and factors fit 8 bits."""
    narrow = small and codes.high - codes.low <= UINT8.max and 0 <= codes.zero - codes.low <= UINT8.max
    fast = tile_of(loops.BYTES).features and narrow
    return loops.BYTES if fast and is_exact() else loops.PAIRS


@cache
def is_exact() -> bool:
    """Whether BYTES multiplies an example right on this very CPU; asked once, before it is chosen unasked."""
    rng, output, source, weights = np.random.default_rng(0), (1, 29, 1, 99), (1, 29, 1, 71), (99, 1, 1, 71)
    x, w = (rng.integers(-128, 128, shape).astype(np.int16) for shape in (source, weights))
    codes = Codes(-128, 127)
    layout = layout_of(Plan(), output, source, weights, codes=codes, factors=codes, way=loops.BYTES)
    assert layout is not None
    sums = multiply(layout.pack(w), x, np.empty(output, dtype=np.int32))
    return np.array_equal(sums[0, :, 0], x[0, :, 0].astype(np.int32) @ w[:, 0, 0].T.astype(np.int32))
