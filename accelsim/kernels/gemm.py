"""Exact products of integer matrices, by the widest dot-product instruction that this CPU has.

Weights are packed once into panels of columns; a group of 2 or 4 consecutive codes of one column lies together, as the
instructions read it. ``vpdpbusd`` takes unsigned by signed codes: signed x is moved by 128 (its top bit flipped) and every sum
starts at -128 * (sum of its column), which is exact modulo 2^32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

from accelsim.errors import ConfigError, InputError
from accelsim.kernels._gemm import (
    AVXVNNI,
    PAIRS,
    QUADS,
    VNNI512,
    Tile,
    avxvnni_panel,
    pairs_panel,
    quads_panel,
    vnni512_panel,
)
from accelsim.numba_cache import njit

Integers = NDArray[Any]
Sums = NDArray[np.int32]

BLOCK_CODES = 512
"""Codes of a row per pass: a panel's slice stays in a first-level cache."""
BLOCK_ROWS = 96
"""Rows per pass: 96 x 512 codes of 16 bits take 96 KiB, inside a second-level cache."""
FLIP = 128
"""Distance of signed codes from unsigned ones."""


@dataclass(frozen=True)
class Path:
    """One way to multiply: its register tile, its compiled loops, and the CPU features it needs."""

    tile: Tile
    multiply: Callable[..., None]
    features: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """Weights of shape (n, k) laid out for one path: ``panels`` (panels, groups, columns, group); ``starts`` (columns) for signed x."""

    path: str
    n: int
    k: int
    panels: Integers
    starts: Sums


@njit
def _fill(x: Any, row: int, rows: int, first: int, codes: int, flip: Any, block: Any) -> None:
    """Codes of a block of x, widened or flipped."""
    for i in range(rows):
        source, target = x[row + i, first : first + codes], block[i]
        for j in range(codes):
            target[j] = source[j] ^ flip


@njit
def _job(
    panel: int, first: int, row: int, rows: int, codes: int, block: Any, panels: Any, starts: Any, out: Any
) -> Any:
    """One panel of columns against a block of x; sums go on from what earlier passes left."""
    group, columns = panels.shape[3], panels.shape[2]
    sums, sums_row = out[row:].ctypes.data + 4 * panel * columns, 4 * out.shape[1]
    begin, begin_row = (sums, sums_row) if first else (starts.ctypes.data + 4 * panel * columns, 0)
    w = panels[panel, first // group :].ctypes.data
    steps = (codes + group - 1) // group
    row_bytes = block.shape[1] * block.itemsize
    return block.ctypes.data, row_bytes, w, begin, begin_row, sums, sums_row, rows, 1, steps, 0, 0


@njit
def _next(row: int, first: int, x: Any) -> Any:
    """The block after the one at (row, first)."""
    return (row + BLOCK_ROWS, first) if row + BLOCK_ROWS < x.shape[0] else (0, first + BLOCK_CODES)


@njit
def pairs(x: Any, flip: Any, panels: Any, starts: Any, block: Any, out: Any) -> None:
    """Product by 16-bit pairs, portable."""
    row, first = 0, 0
    while first < x.shape[1]:
        rows, codes = min(BLOCK_ROWS, x.shape[0] - row), min(BLOCK_CODES, x.shape[1] - first)
        _fill(x, row, rows, first, codes, flip, block)
        for panel in range(panels.shape[0]):
            pairs_panel(_job(panel, first, row, rows, codes, block, panels, starts, out))
        row, first = _next(row, first, x)


@njit
def quads(x: Any, flip: Any, panels: Any, starts: Any, block: Any, out: Any) -> None:
    """Product by groups of four 8-bit codes, portable."""
    row, first = 0, 0
    while first < x.shape[1]:
        rows, codes = min(BLOCK_ROWS, x.shape[0] - row), min(BLOCK_CODES, x.shape[1] - first)
        _fill(x, row, rows, first, codes, flip, block)
        for panel in range(panels.shape[0]):
            quads_panel(_job(panel, first, row, rows, codes, block, panels, starts, out))
        row, first = _next(row, first, x)


@njit
def avxvnni(x: Any, flip: Any, panels: Any, starts: Any, block: Any, out: Any) -> None:
    """Product by groups of four 8-bit codes, 256-bit VNNI."""
    row, first = 0, 0
    while first < x.shape[1]:
        rows, codes = min(BLOCK_ROWS, x.shape[0] - row), min(BLOCK_CODES, x.shape[1] - first)
        _fill(x, row, rows, first, codes, flip, block)
        for panel in range(panels.shape[0]):
            avxvnni_panel(_job(panel, first, row, rows, codes, block, panels, starts, out))
        row, first = _next(row, first, x)


@njit
def vnni512(x: Any, flip: Any, panels: Any, starts: Any, block: Any, out: Any) -> None:
    """Product by groups of four 8-bit codes, 512-bit VNNI."""
    row, first = 0, 0
    while first < x.shape[1]:
        rows, codes = min(BLOCK_ROWS, x.shape[0] - row), min(BLOCK_CODES, x.shape[1] - first)
        _fill(x, row, rows, first, codes, flip, block)
        for panel in range(panels.shape[0]):
            vnni512_panel(_job(panel, first, row, rows, codes, block, panels, starts, out))
        row, first = _next(row, first, x)


PATHS: Mapping[str, Path] = {
    "vnni512": Path(VNNI512, vnni512, ("avx512f", "avx512bw", "avx512vnni")),
    "avxvnni": Path(AVXVNNI, avxvnni, ("avx2", "avxvnni")),
    "pairs": Path(PAIRS, pairs),
    "quads": Path(QUADS, quads),
}
"""Every path, fastest first; ``quads`` is for tests: it runs the packing and tiles of VNNI on any CPU."""


@cache
def cpu_features() -> frozenset[str]:
    """Names of the vector extensions of this CPU, as LLVM knows them."""
    return frozenset(name for name, present in binding.get_host_cpu_features().items() if present)


def available_paths() -> tuple[str, ...]:
    """Names of the paths that this CPU can run, fastest first."""
    return tuple(name for name, path in PATHS.items() if cpu_features().issuperset(path.features))


@cache
def is_exact(name: str) -> bool:
    """Whether path ``name`` multiplies an example right on this very CPU; asked once, before it is chosen unasked."""
    rng = np.random.default_rng(0)
    w = rng.integers(-128, 128, (35, 71)).astype(np.int8)
    examples = [
        rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (9, 71)).astype(kind) for kind in (np.int8, np.uint8)
    ]
    packed = pack_weights(w, path=name)
    return all(np.array_equal(gemm(x, packed), x.astype(np.int32) @ w.T.astype(np.int32)) for x in examples)


def pack_weights(w: Integers, *, wide: bool = False, path: str | None = None) -> PackedWeights:
    """Lay out weights ``w`` (n, k) of int8 or int16; ``wide`` where x will be int16.

    ``path`` names the path to use, by default the fastest that :func:`is_exact`. ConfigError for a path that this CPU or these
    codes do not have.
    """
    if w.ndim != 2 or w.dtype not in (np.int8, np.int16):
        raise InputError(f"weights must be int8 or int16 of shape (n, k), got {w.dtype} {w.shape}; convert them first")
    wide = wide or w.dtype == np.int16
    usable = [name for name in available_paths() if PATHS[name].tile.group == 2 or not wide]
    name = next(name for name in usable if is_exact(name)) if path is None else path
    if name not in usable:
        codes = "16-bit" if wide else "8-bit"
        raise ConfigError(f"path {name!r} is not one for {codes} codes on this CPU; use one of {', '.join(usable)}")
    tile = PATHS[name].tile
    panels = panels_of(w, tile)
    starts = np.zeros(panels.shape[0] * tile.columns, dtype=np.int32)
    if tile.group == 4:
        starts[: len(w)] = (-FLIP * w.sum(axis=1, dtype=np.int64)).astype(np.int32)
    return PackedWeights(name, w.shape[0], w.shape[1], panels, starts)


def panels_of(w: Integers, tile: Tile) -> Integers:
    """``w`` (n, k) as (panels, groups, columns, group), zeros beyond its ends."""
    n, k = w.shape
    count, groups = -(-n // tile.columns), -(-k // tile.group)
    padded = np.zeros((count * tile.columns, groups * tile.group), dtype=np.int16 if tile.group == 2 else np.int8)
    padded[:n, :k] = w
    return np.ascontiguousarray(padded.reshape(count, tile.columns, groups, tile.group).transpose(0, 2, 1, 3))


def gemm(x: Integers, packed: PackedWeights) -> Sums:
    """``x @ w.T`` modulo 2^32: int32 (m, n) for x (m, k) of int8, uint8 or, on packing made for them, int16.

    InputError for another type or shape of x.
    """
    path = PATHS[packed.path]
    kinds = (np.int8, np.uint8, np.int16) if path.tile.group == 2 else (np.int8, np.uint8)
    if x.ndim != 2 or x.dtype not in kinds or x.shape[1] != packed.k:
        names = ", ".join(np.dtype(kind).name for kind in kinds)
        raise InputError(
            f"x must be one of {names} of shape (m, {packed.k}), got {x.dtype} {x.shape}; convert or repack"
        )
    columns = packed.panels.shape[0] * path.tile.columns
    if not (x.size and packed.n):
        return np.zeros((len(x), packed.n), dtype=np.int32)
    codes, starts, flip = np.ascontiguousarray(x), packed.starts, x.dtype.type(0)
    if path.tile.group == 4:
        flip = np.uint8(FLIP if x.dtype == np.int8 else 0)
        starts = starts if flip else np.zeros_like(starts)
        codes = codes.view(np.uint8)
    out = np.empty((len(x), columns), dtype=np.int32)
    width = min(BLOCK_CODES, packed.panels.shape[1] * path.tile.group)
    block = np.empty((min(BLOCK_ROWS, len(x)), width), dtype=np.int16 if path.tile.group == 2 else np.uint8)
    path.multiply(codes, flip, packed.panels, starts, block, out)
    return out if columns == packed.n else np.ascontiguousarray(out[:, : packed.n])
