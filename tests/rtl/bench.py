"""Builds the arrays of ``rtl/`` with Verilator, cuts tiles into folds as the model does, and plays them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import accelsim
from accelsim.numerics import Overflow
from tests.rtl.build import keep_runtime, make_flags

HERE = Path(__file__).parent
SHIPPED = Path(accelsim.__file__).parent / "handoff" / "rtl" / "sv"
"""The RTL that is exported; ``rtl/`` holds what only the tests put around it."""
POLICIES = {Overflow.WRAP: 0, Overflow.SATURATE: 1, Overflow.SATURATE_SYMMETRIC: 2}
PACKAGES = {"requantize_all": ("requantize_pkg.sv",), "output_stages": ("output_stages_pkg.sv",)}
"""Files of a module that must come before it."""
ADDRESSES = 1024
"""Accumulators per column of ``array_ws_banks`` and ``array_tree_banks``."""

Integers = NDArray[np.int64]


def _source(name: str) -> Path:
    """Of what only tests have, or is shipped."""
    return next(folder / name for folder in (HERE / "rtl", SHIPPED) if (folder / name).exists())


@dataclass(frozen=True)
class Design:
    """A module of ``rtl/`` with its parameters, built into ``folder``."""

    module: str
    folder: Path
    parameters: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.parameters[name]

    @cached_property
    def binary(self) -> Path:
        """The simulator; lint warnings are errors."""
        rtl, target = HERE / "rtl", self.folder / self.module
        hidden, runtime = {"ADDR_BITS"}, self.folder.parent / "verilated.a"
        defines = " ".join(f"-D{name}={value}" for name, value in self.parameters.items() if name not in hidden)
        packages = [str(_source(name)) for name in PACKAGES.get(self.module, ())]
        command = [
            *("verilator", "--cc", "--exe", "--build", "-Wall", "-Wno-DECLFILENAME", "-Wno-UNUSED"),
            *("--top-module", self.module, "-y", str(rtl), "-y", str(SHIPPED), "--Mdir", str(target)),
            *(f"-G{name}={value}" for name, value in self.parameters.items()),
            *("-CFLAGS", f"-std=c++17 -I{HERE / 'harness'} -I{SHIPPED.with_name('bench')} {defines}"),
            *("-MAKEFLAGS", make_flags(runtime)),
            *(*packages, str(_source(f"{self.module}.sv")), str(HERE / "harness" / f"{self.module}.cpp")),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        keep_runtime(target, runtime)
        return target / f"V{self.module}"

    def run(self, stimulus: Sequence[Integers | Sequence[int]]) -> Integers:
        """Results (int64, flat) of a stimulus, whose parts are written one after the other as int32."""
        words = np.concatenate([np.asarray(part, dtype=np.int64).ravel() for part in stimulus])
        assert words.min() >= -(2**31)
        assert words.max() < 2**31
        source, target = self.binary.parent / "stimulus.bin", self.binary.parent / "results.bin"
        source.write_bytes(words.astype(np.int32).tobytes())
        subprocess.run([str(self.binary), str(source), str(target)], check=True, timeout=300)
        return np.fromfile(target, dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tile:
    """``groups`` products x (groups, pixels, reduction) @ w (groups, reduction, channels) + bias (groups, channels)."""

    x: Integers
    w: Integers
    bias: Integers
    overflow: Overflow = Overflow.WRAP
    overlapped: bool = False
    kept: bool = False
    drains_behind: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """What :class:`~accelsim.hardware.array.ComputeTiles` wants to know."""
        groups, pixels, reduction = self.x.shape
        return {"pixels": pixels, "reduction": reduction, "channels": self.w.shape[2], "groups": groups}

    @property
    def single_groups(self) -> Iterator[Tile]:
        """One tile per group."""
        for x, w, bias in zip(self.x, self.w, self.bias, strict=True):
            yield replace(self, x=x[None], w=w[None], bias=bias[None])

    @property
    def turned(self) -> Tile:
        """Weights and activations exchanged, pixels and channels with them: input-stationary; the bias must be zero."""
        assert not self.bias.any()
        w, x = self.x.transpose(0, 2, 1), self.w.transpose(0, 2, 1)
        return replace(self, x=x, w=w, bias=np.zeros((len(x), w.shape[2]), dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Outcome:
    """Cycles of one tile and its sums (groups, pixels, channels)."""

    cycles: int
    sums: Integers


def padded(block: Integers, *shape: int) -> Integers:
    """``block`` in the corner of zeros of ``shape``."""
    whole = np.zeros(shape, dtype=np.int64)
    whole[tuple(slice(size) for size in block.shape)] = block
    return whole


def _diagonal(blocks: Integers) -> Integers:
    """(n, a, b) blocks as a block-diagonal (n a, n b)."""
    n, a, b = blocks.shape
    whole = np.zeros((n, a, n, b), dtype=np.int64)
    whole[np.arange(n), :, np.arange(n), :] = blocks
    return whole.reshape(n * a, n * b)


def packs(tile: Tile, rows: int, cols: int) -> Iterator[tuple[slice, Integers, Integers, Integers]]:
    """Groups that share folds: their slice, and x, w and bias side by side, as a block diagonal."""
    groups, _, reduction = tile.x.shape
    size = max(1, min(rows // reduction, cols // tile.w.shape[2]))
    for start in range(0, groups, size):
        part = slice(start, min(start + size, groups))
        yield part, np.concatenate(list(tile.x[part]), axis=1), _diagonal(tile.w[part]), tile.bias[part].ravel()


def _ws_folds(tile: Tile, rows: int, cols: int) -> list[list[Integers | list[int]]]:
    folds: list[list[Integers | list[int]]] = []
    address, pixels = 0, tile.x.shape[1]
    for _, x, w, bias in packs(tile, rows, cols):
        for c in range(0, w.shape[1], cols):
            for r in range(0, w.shape[0], rows):
                weights = padded(w[r : r + rows, c : c + cols], rows, cols)
                vectors = padded(x[:, r : r + rows], pixels, rows)
                folds.append([[pixels, address, r == 0], padded(bias[c : c + cols], cols), weights, vectors])
            address += pixels
    assert address <= ADDRESSES
    return folds


def play_ws(design: Design, tiles: Sequence[Tile]) -> list[Outcome]:
    """Tiles on ``array_ws_banks``, one after the other on the same array."""
    rows, cols = design["ROWS"], design["COLS"]
    stimulus: list[Integers | Sequence[int]] = []
    for tile in tiles:
        folds = _ws_folds(tile, rows, cols)
        preload = 1 if tile.overlapped else 2 if tile.drains_behind else 0
        stimulus.append([POLICIES[tile.overflow], preload, tile.kept, len(folds), _ws_words(tile, rows, cols)])
        stimulus += [part for fold in folds for part in fold]
    results, at, outcomes = design.run(stimulus), 0, []
    for tile in tiles:
        count = _ws_words(tile, rows, cols) * cols
        words = results[at + 1 : at + 1 + count].reshape(-1, tile.x.shape[1], cols)
        outcomes.append(Outcome(int(results[at]), _ws_sums(tile, words, rows, cols)))
        at += 1 + count
    assert at == len(results)
    return outcomes


def _ws_words(tile: Tile, rows: int, cols: int) -> int:
    return sum(-(-w.shape[1] // cols) for _, _, w, _ in packs(tile, rows, cols)) * tile.x.shape[1]


def _ws_sums(tile: Tile, words: Integers, rows: int, cols: int) -> Integers:
    (groups, pixels, _), channels = tile.x.shape, tile.w.shape[2]
    sums, block = np.empty((groups, pixels, channels), dtype=np.int64), 0
    for part, _, w, _ in packs(tile, rows, cols):
        blocks = -(-w.shape[1] // cols)
        wide = words[block : block + blocks].transpose(1, 0, 2).reshape(pixels, -1)[:, : w.shape[1]]
        sums[part] = wide.reshape(pixels, -1, channels).transpose(1, 0, 2)
        block += blocks
    return sums


def play_os(design: Design, tiles: Sequence[Tile]) -> list[Outcome]:
    """Tiles on ``array_os_steps`` or ``array_os_flow``: pixels over rows, channels over columns, group by group."""
    rows, cols = design["ROWS"], design["COLS"]
    stimulus: list[Integers | Sequence[int]] = []
    for tile in tiles:
        cuts = list(_os_cuts(tile, rows, cols))
        stimulus.append([POLICIES[tile.overflow], len(cuts)])
        for g, p, c in cuts:
            steps = tile.x.shape[2]
            stimulus += [[steps], padded(tile.bias[g, c : c + cols], cols)]
            stimulus += [
                padded(tile.w[g, :, c : c + cols], steps, cols),
                padded(tile.x[g, p : p + rows].T, steps, rows),
            ]
    results, at, outcomes = design.run(stimulus), 0, []
    for tile in tiles:
        cycles, at = int(results[at]), at + 1
        sums = np.empty((*tile.x.shape[:2], tile.w.shape[2]), dtype=np.int64)
        for g, p, c in _os_cuts(tile, rows, cols):
            target = sums[g, p : p + rows, c : c + cols]
            target[...] = results[at : at + rows * cols].reshape(rows, cols)[: target.shape[0], : target.shape[1]]
            at += rows * cols
        outcomes.append(Outcome(cycles, sums))
    assert at == len(results)
    return outcomes


def _os_cuts(tile: Tile, rows: int, cols: int) -> Iterator[tuple[int, int, int]]:
    groups, pixels, _ = tile.x.shape
    for g in range(groups):
        for p in range(0, pixels, rows):
            for c in range(0, tile.w.shape[2], cols):
                yield g, p, c


def _striped(folds: list[Any], starts: list[int], stripe: int) -> Iterator[list[Any]]:
    """Those of the same sums, stripe by stripe."""
    for low, high in zip(starts, [*starts[1:], len(folds)], strict=True):
        for p in range(0, folds[low][0][0], stripe):
            for (pixels, address, first), bias, weights, vectors in folds[low:high]:
                yield [[min(stripe, pixels - p), address + p, first], bias, weights, vectors[p : p + stripe]]


def play_tree(design: Design, tiles: Sequence[Tile], *, stripe: int | None = None) -> list[Outcome]:
    """Tiles on ``array_tree_banks``, group by group: one vector of ROWS activations per cycle, its weights beside it; in stripes of so many
    pixels, each of which passes all folds of its sums."""
    rows, cols = design["ROWS"], design["COLS"]
    stimulus: list[Integers | Sequence[int]] = []
    for tile in tiles:
        folds = [fold for one in tile.single_groups for fold in _ws_folds(one, rows, cols)]
        pixels, blocks = tile.x.shape[1], len(tile.x) * -(-tile.w.shape[2] // cols)
        starts = [i for i, fold in enumerate(folds) if fold[0][2]]
        for i, fold in enumerate(folds):
            fold[0][1] = pixels * (np.searchsorted(starts, i, side="right") - 1)
        folds = folds if stripe is None else list(_striped(folds, starts, stripe))
        stimulus.append([POLICIES[tile.overflow], len(folds), blocks * pixels])
        stimulus += [part for fold in folds for part in fold]
    results, at, outcomes = design.run(stimulus), 0, []
    for tile in tiles:
        (groups, pixels, _), channels = tile.x.shape, tile.w.shape[2]
        count = groups * -(-channels // cols) * pixels * cols
        words = results[at + 1 : at + 1 + count].reshape(groups, -1, pixels, cols)
        outcomes.append(
            Outcome(int(results[at]), words.transpose(0, 2, 1, 3).reshape(groups, pixels, -1)[:, :, :channels])
        )
        at += 1 + count
    assert at == len(results)
    return outcomes
