"""The default mapper behind a DRAM that moves whole bursts: its estimate of their bytes, and what knowing them gains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.arch import load_arch
from accelsim.arch.dram import dram_standards
from accelsim.builder import build_program
from accelsim.hardware import bursts_of, bus_cycles, compiled, dram_of
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.timing import schedule
from tests.compiled import callable_from_python

TENSOR = (5, 6, 16)
box_bytes, windows_bytes, rows_cycles = map(
    callable_from_python, (compiled.box_bytes, compiled.windows_bytes, compiled.rows_cycles)
)


def bursts_at(base: int, box: tuple[int, ...], lo: tuple[int, ...], burst: int) -> int:
    """Different bursts under a box of codes of a byte each, in a tensor (2, *TENSOR) that begins at byte ``base``."""
    flat = np.arange(2 * int(np.prod(TENSOR))).reshape(2, *TENSOR)
    part = flat[tuple(slice(a, a + n) for a, n in zip(lo, box, strict=True))]
    return len(set(((base + part.ravel()) // burst).tolist()))


@given(st.data())
def test_estimated_bytes_are_near_those_of_all_alignments(data: st.DataObject) -> None:
    box = tuple(data.draw(st.integers(1, n)) for n in (2, *TENSOR))
    burst = data.draw(st.sampled_from([2, 4, 8, 16, 32]))
    found = [burst * bursts_at(base, box, (0, 0, 0, 0), burst) for base in range(burst)]
    estimate = box_bytes(float(burst), 8.0, tuple(map(float, box)), np.array(TENSOR, dtype=np.float64))
    assert 0.6 * min(found) <= estimate <= 1.7 * max(found)


@pytest.mark.parametrize("channels", [8, 16])
@pytest.mark.parametrize("columns", [3, 6])
def test_tiles_of_whole_bursts_are_estimated_exactly(channels: int, columns: int) -> None:
    box = (2, 3, columns, channels)
    moved = 8 * bursts_at(0, box, (0, 1, 0, 16 - channels), 8)
    assert box_bytes(8.0, 8.0, tuple(map(float, box)), np.array(TENSOR, dtype=np.float64)) == moved == np.prod(box)


def test_windows_are_rounded_out_one_by_one() -> None:
    """Twelve pixels of 3 x 3 taps: a run per tap of some channels, or per kernel row of all 16."""
    tensor = np.array(TENSOR, dtype=np.float64)
    assert windows_bytes(8.0, 8.0, 12.0, (3, 3), 8.0, tensor) == 12 * 9 * 8
    assert windows_bytes(8.0, 8.0, 12.0, (3, 3), 16.0, tensor) == 12 * 3 * 48
    assert windows_bytes(8.0, 8.0, 12.0, (3, 3), 4.0, tensor) == 12 * 9 * (3 / 8 + 1) * 8


def some_boxes(count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Corners of boxes of up to 64 KB, whole along some axes, in tensors of up to 4 MB."""
    rng = np.random.default_rng(0)
    while count:
        shape = np.array([1, *rng.integers(1, 120, 2), rng.choice([3, 16, 24, 96, 256, 512, 2048])])
        box = np.where(rng.random(4) < 0.4, shape, np.minimum(shape, rng.integers(1, [2, 120, 4, 64])))
        if shape.prod() <= 4e6 and box.prod() <= 65536:
            count -= 1
            lo = rng.integers(0, shape - box + 1)
            yield lo, lo + box, shape


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("standard", sorted(dram_standards()))
def test_commands_are_estimated_near_those_of_the_law(standard: str, write: bool) -> None:
    """Half of the boxes within 20 %; knowing rows takes 40 % off the error where they cost more than bursts."""
    arch = load_arch("edge_lpddr4").with_({"dram.standard": standard})
    record, bursts = dram_of(arch), bursts_of(arch)
    around, again = (bursts.write, bursts.write_again) if write else (bursts.read, bursts.read_again)
    errors, without = [], []
    for lo, hi, shape in some_boxes(600):
        found = compiled.transfers(record, write, np.zeros(1, np.int64), 8, lo[None], hi[None], shape)[:, 0]
        taken = int(bus_cycles(np.zeros(1, np.int64), found[1:2], arch, "weights")[0])
        box, tensor = tuple(map(float, hi - lo)), shape[1:].astype(np.float64)
        each, opening = found[0] * bursts.each, rows_cycles(bursts, again, 8.0, box, tensor)
        errors.append(abs(np.log(taken / (around + max(each, opening)))))
        without.append(abs(np.log(taken / (around + each))) if opening > 1.2 * each else np.nan)
    rows = np.isfinite(without)
    assert rows.sum() > 10
    assert np.median(errors) < 0.2
    assert np.mean(np.array(errors)[rows]) < 0.6 * np.mean(np.array(without)[rows])


@pytest.mark.parametrize(("name", "share"), [("mobilenet_v1", 0.7), ("alexnet", 0.7), ("vgg16", 0.8)])
def test_knowing_bursts_gains_cycles(name: str, share: float) -> None:
    """On edge_lpddr4, against the tiles that the same mapper chooses for plain bytes at the same bandwidth."""
    graph, arch = load_graph(resolve_model(name)), load_arch("edge_lpddr4")
    plain = arch.with_({"dram.standard": None, "dram.latency_ns": 100.0})
    own, others = (
        schedule(build_program(graph, arch=arch, mappings=map_graph(graph, arch=machine, objective="cycles")))
        for machine in (arch, plain)
    )
    assert own.total_cycles < share * others.total_cycles
