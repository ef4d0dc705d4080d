"""Exact 32-bit sums of a layer or of a tile of one: its weights laid out for register tiles, the fastest way chosen and checked.

Everything here is modulo 2^32; the caller has a bound that no true sum leaves 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba.core.registry import cpu_target
from numpy.typing import NDArray

from accelsim.kernels import _products as loops
from accelsim.kernels import _registers as registers
from accelsim.kernels._mac import Plan, spread_row
from accelsim.numerics import INT8, UINT8

Integers = NDArray[Any]
Shape = tuple[int, ...]

BYTES_SPEED = 2
"""How much faster a panel of 8-bit codes is than a panel of 16-bit codes as wide, where the CPU has an instruction for it."""


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


@dataclass(frozen=True, eq=False)
class Packed:
    """Weights laid out for :mod:`accelsim.kernels._products`: their record, all offsets 0, and the arrays it points into."""

    record: NDArray[np.int64]
    weights: NDArray[np.int16]
    segments: NDArray[np.int64]
    starts: NDArray[np.int32]

    @property
    def image_size(self) -> int:
        """Elements of an image."""
        return int(np.prod(self.record[[loops.N, loops.PH, loops.PW, loops.IC]])) + loops.SLACK

    @property
    def sums_size(self) -> int:
        """Sums of a block of pixels."""
        return int(self.record[loops.ROW]) * loops.BLOCK_PIXELS


def new_scratch(image_size: int, sums_size: int) -> loops.Scratch:
    """Room for images and for the sums of a block of pixels of these sizes."""
    image, sums = np.empty(image_size, dtype=np.int16), np.empty(sums_size, dtype=np.int32)
    return loops.Scratch(image, sums, np.empty(loops.BLOCK_PIXELS, dtype=np.int64))


class Multiplier:
    """Sums of a layer or of a tile, with room for them: one per thread."""

    def __init__(self, packed: Packed) -> None:
        self._record = packed.record
        self._panels = loops.Panels(packed.weights, packed.segments, packed.starts)
        self._scratch = new_scratch(packed.image_size, packed.sums_size)

    def __call__(self, x: Integers, sums: NDArray[np.int32]) -> NDArray[np.int32]:
        """``sums`` (n, oh, ow, oc) of the codes ``x`` (n, ih, iw, ic), int16; clamped ones go on from what stands there."""
        flat = sums.reshape(-1, sums.shape[-1])
        loops.multiply(self._record, x.reshape(-1), self._panels, self._scratch, flat)
        return sums


def pack(
    weights: Integers,
    plan: Plan,
    output: Shape,
    source: Shape,
    *,
    codes: Codes,
    bias: Integers | None = None,
    clamp: Clamp | None = None,
    way: int | None = None,
) -> Packed | None:
    """Lay out ``weights`` (oc, kh, kw, ic), of 16 bits at most, for sums ``output`` (n, oh, ow, oc) of an input ``source`` (n, ih, iw, c).

    None where the output channels of a tile begin or end within a group, and where clamps do not end with runs of memory.
    ``way`` asks for one way to multiply, which must be one for these codes and this layer.
    """
    groups, channel = _groups(plan, output[3])
    clamped = Clamp(0, 0, 0) if clamp is None else clamp
    if not groups or (clamp and groups > 1):
        return None
    rows, columns, offsets, length = _window(plan, output, source[3], weights.shape, groups == 1)
    if clamp:
        if length % clamp.group:
            return None
        way, offsets, length = loops.CLAMPED, _split(offsets, length, clamp.group), clamp.group
    elif groups == output[3] > 1 == plan.oc_per_group == plan.ic_per_group:
        way, groups = loops.DEPTHWISE, 1
    per_group = output[3] // groups
    way = _fastest(weights, codes, per_group) if way is None else way
    tile, low = tile_of(way), codes.low if way == loops.BYTES else codes.zero
    panels = panels_of(weights.reshape(groups, per_group, len(offsets), length), tile)
    starts = np.zeros((groups, len(panels) // groups * tile.columns), dtype=np.int64)
    if bias is not None:
        starts[:, :per_group] = bias.reshape(groups, per_group)
    if codes.zero != low:
        starts[:, :per_group] -= (codes.zero - low) * weights.reshape(groups, per_group, -1).sum(axis=2, dtype=np.int64)
    top = spread_row(plan.output_y, plan.weight_y, plan.stride_h, plan.dilation_h, plan.pad_top)
    left = spread_row(plan.output_x, plan.weight_x, plan.stride_w, plan.dilation_w, plan.pad_left)
    record = np.zeros(loops.SLOTS, dtype=np.int64)
    slots = {
        loops.OPERATION: way, loops.ZERO: low, loops.FILL: codes.zero - low,
        **dict(zip((loops.N, loops.IH, loops.IW, loops.IC), source, strict=True)),
        **dict(zip((loops.OH, loops.OW, loops.OC), output[1:], strict=True)),
        loops.TOP: plan.source_y * plan.upsample_h - top, loops.LEFT: plan.source_x * plan.upsample_w - left,
        loops.UP_H: plan.upsample_h, loops.UP_W: plan.upsample_w, loops.PH: rows, loops.PW: columns,
        loops.STEP_H: plan.stride_h * columns * source[3], loops.STEP_W: plan.stride_w * source[3],
        loops.ROW: (groups - 1) * per_group + starts.shape[1], loops.COLUMNS: tile.columns,
        loops.GROUPS: groups, loops.GROUP_STEP: plan.ic_per_group,
        loops.SEGMENT_COUNT: len(offsets), loops.STEPS: -(-length // tile.group),
        loops.SUM_LOW: clamped.low, loops.SUM_HIGH: clamped.high,
    }  # fmt: skip
    record[list(slots)] = list(slots.values())
    return Packed(record, panels.reshape(-1), offsets + channel, starts.reshape(-1).astype(np.int32))


def _groups(plan: Plan, channels: int) -> tuple[int, int]:
    """Groups that ``channels`` output channels belong to, 0 where they cut one in two, and the input channel that meets the first weight."""
    first, last = plan.output_channel // plan.oc_per_group, (plan.output_channel + channels - 1) // plan.oc_per_group
    groups = last - first + 1
    whole = groups == 1 or (plan.output_channel % plan.oc_per_group == 0 and channels == groups * plan.oc_per_group)
    return groups if whole else 0, first * plan.ic_per_group + plan.weight_channel - plan.source_channel


def _window(
    plan: Plan, output: Shape, channels: int, weights: Shape, dense: bool
) -> tuple[int, int, NDArray[np.int64], int]:
    """Rows and columns of the image, offsets of the segments and codes of each: a row of the kernel that lies in one piece, or a tap."""
    _, kh, kw, ic = weights
    rows = (output[1] - 1) * plan.stride_h + (kh - 1) * plan.dilation_h + 1
    columns = (output[2] - 1) * plan.stride_w + (kw - 1) * plan.dilation_w + 1
    offsets = np.arange(kh)[:, None] * (plan.dilation_h * columns * channels)
    if dense and ic == channels and plan.dilation_w == 1:
        return rows, columns, offsets[:, 0], kw * ic
    return rows, columns, (offsets + np.arange(kw) * (plan.dilation_w * channels)).reshape(-1), ic


def _split(offsets: NDArray[np.int64], length: int, size: int) -> NDArray[np.int64]:
    """Segments of ``length`` codes cut into segments of ``size``."""
    return (offsets[:, None] + np.arange(0, length, size)).reshape(-1)


def panels_of(w: Integers, tile: registers.Tile) -> NDArray[np.int16]:
    """Weights (groups, columns, segments, codes) as ``tile`` reads them: a row per panel, in it (segment, step, column, group), zeros beyond their ends."""
    groups, columns, segments, length = w.shape
    blocks, steps = -(-columns // tile.columns), -(-length // tile.group)
    kind = np.int8 if tile.code_bytes == 1 else np.int16
    padded = np.zeros((groups, blocks * tile.columns, segments, steps * tile.group), dtype=kind)
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


def _fastest(weights: Integers, codes: Codes, columns: int) -> int:
    """BYTES where this CPU has an instruction for it that is exact, everything fits 8 bits, and few columns of its panels stay empty."""
    tile = tile_of(loops.BYTES)
    work = [-(-columns // width) * width for width in (tile.columns, registers.PAIRS.columns)]
    if not tile.features or work[0] > BYTES_SPEED * work[1] or not weights.size:
        return loops.PAIRS
    narrow = 0 <= codes.high - codes.low <= UINT8.max and 0 <= codes.zero - codes.low <= UINT8.max
    fits = narrow and INT8.min <= int(weights.min()) and int(weights.max()) <= INT8.max
    return loops.BYTES if fits and is_exact() else loops.PAIRS


@cache
def is_exact() -> bool:
    """Whether BYTES multiplies an example right on this very CPU; asked once, before it is chosen unasked."""
    rng, shapes = np.random.default_rng(0), ((1, 9, 1, 35), (1, 9, 1, 71))
    x, w = (rng.integers(-128, 128, shape).astype(np.int16) for shape in (shapes[1], (35, 1, 1, 71)))
    packed = pack(w, Plan(), *shapes, codes=Codes(-128, 127), way=loops.BYTES)
    assert packed is not None
    sums = Multiplier(packed)(x, np.empty(shapes[0], dtype=np.int32))
    return np.array_equal(sums[0, :, 0], x[0, :, 0].astype(np.int32) @ w[:, 0, 0].T.astype(np.int32))
