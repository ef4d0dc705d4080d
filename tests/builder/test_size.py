"""Tile operations are counted before they are made, and what is not held is refused before it is tried."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import simulate
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.builder.size import MEMORY, blocks_of, operation_counts
from accelsim.errors import CapacityError, QuantityError
from accelsim.graph import MacLayer
from accelsim.program import MacMapping, Program
from accelsim.testing.machines import random_program
from tests.laws.test_fused_pairs import in_step
from tests.measured import printed
from tests.networks import dense

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=20)
HEADER = "name,op,n,h,w,c,kh,kw,oc\n"
MIB = 2**20


def table(folder: Path, *rows: str) -> Path:
    path = folder / "huge.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def counted(program: Program) -> list[int]:
    blocks = chain.from_iterable(blocks_of(program.graph, program.arch, program.mappings))
    return operation_counts(program.graph, program.arch, program.mappings, blocks)


def made(program: Program) -> list[int]:
    return [len(program.of_layer(index)) for index in range(len(program.graph.layers))]


@relaxed
@given(seeds)
def test_no_layer_makes_more_operations_than_were_counted(seed: int) -> None:
    program = random_program(seed)
    for layer, count, most in zip(program.graph.layers, made(program), counted(program), strict=True):
        assert count == most if isinstance(layer, MacLayer) else count <= most


@relaxed
@given(seeds)
def test_nor_do_layers_in_step(seed: int) -> None:
    program = in_step(seed)
    assert all(count <= most for count, most in zip(made(program), counted(program), strict=True))


@pytest.mark.parametrize(
    ("row", "operations"),
    [
        ("big,dense,1,10000,1,10000,1,1,10000", 30_909_689),
        ("big,conv2d,1,30000,30000,64,3,3,256", None),
        ("big,mean,2147483647,1,2,1000,1,1,1", None),
        ("big,conv2d,2147483647,1000000,1000000,3,1,1,8", None),
        ("big,add,2147483647,2147483647,1,64,1,1,1", None),
        ("big,dense,1,2147483647,1,2147483647,1,1,2147483647", None),
    ],
)
def test_a_huge_layer_is_refused_by_name_and_number(tmp_path: Path, row: str, operations: int | None) -> None:
    with pytest.raises(CapacityError, match=r"layer 'big' \(.*\) makes (at least )?[0-9,]+ tile operations") as caught:
        simulate(table(tmp_path, row), arch="edge_16x16")
    data = caught.value.data
    assert data["operations"] > data["most"]
    assert operations in (None, data["operations"])
    assert f"{data['operations']:,} tile operations" in str(caught.value)


def test_many_layers_are_refused_by_their_sum(tmp_path: Path) -> None:
    rows = [f"l{i},dense,1,2000,1,{2000 + 2000 * (i == 70)},1,1,2000" for i in range(80)]
    with pytest.raises(CapacityError, match=r"layer 'l70' .* of the [0-9,]+ of the network's 80 layers") as caught:
        simulate(table(tmp_path, *rows), arch="edge_16x16")
    assert caught.value.data["operations"] <= caught.value.data["most"] < caught.value.data["total"]


def test_more_layers_than_are_held_are_refused_before_they_are_mapped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = table(tmp_path, *(f"l{i},dense,1,1,1,8,1,1,8" for i in range(1000)))
    monkeypatch.setenv(MEMORY, "330 MiB")
    with pytest.raises(CapacityError, match=r"network 'huge' has 1,000 layers; 640 are held in 330 MiB") as caught:
        simulate(path, arch="edge_16x16", mapping=tmp_path / "is_not_read.yaml")
    assert f"set {MEMORY}='1 GiB'" in str(caught.value)
    monkeypatch.setenv(MEMORY, "1 GiB")
    assert len(simulate(path, arch="edge_16x16").layers) == 1000


WINDOWS = """
import accelsim
path, mode = sys.argv[1:]
machine = accelsim.load_arch("edge_16x16", edits={"activation_buffer.im2col": mode})
header = "name,op,h,w,c,kh,kw,oc,padding\\n"
open(path, "w").write(header + "c,conv2d,1,2000,1,1,3,1,same\\n")
accelsim.simulate(path, arch=machine)
open(path, "w").write(header + "c,conv2d,1,50000000,1,1,3,1,same\\n")
limit(300 * 2**20)
print(accelsim.simulate(path, arch=machine).total.macs)
"""


@pytest.mark.parametrize("mode", ["implicit", "buffer", "dram"])
def test_windows_take_no_table_of_all_pairs(tmp_path: Path, mode: str) -> None:
    assert int(printed(WINDOWS, tmp_path / "c.csv", mode)) == 150_000_000


def test_a_mapping_of_small_tiles_is_refused_too() -> None:
    single = MacMapping(oh=1, ow=1, oc=1, ic=1, kh=1, kw=1)
    with pytest.raises(CapacityError, match="larger tiles"):
        build_program(dense(rows=200, k=200, units=200), arch=load_arch("edge_16x16"), mappings=(single,))


def test_the_memory_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = table(tmp_path, "d,dense,1,2000,1,2000,1,1,2000")
    monkeypatch.setenv(MEMORY, "321 MiB")
    with pytest.raises(CapacityError, match=f"are held in 321 MiB: .* set {MEMORY}='1 GiB'"):
        simulate(path, arch="edge_16x16")
    monkeypatch.setenv(MEMORY, "2 GiB")
    assert simulate(path, arch="edge_16x16").total.macs == 2000**3
    monkeypatch.setenv(MEMORY, "much")
    with pytest.raises(QuantityError, match=MEMORY):
        simulate(path, arch="edge_16x16")


LARGEST = f"""
import accelsim
from accelsim.errors import CapacityError
path, arch, edits = sys.argv[1:]
machine = accelsim.load_arch(arch, edits=eval(edits))
open(path, "w").write("{HEADER[:-1]}\\nd,dense,1,64,1,64,1,1,64\\n")
accelsim.simulate(path, arch=machine)
before, size = peak(), 30_000_000
while True:
    open(path, "w").write("{HEADER[:-1]}\\n" + f"d,dense,1,{{size}},1,16,1,1,16\\n")
    try:
        result = accelsim.simulate(path, arch=machine)
        break
    except CapacityError:
        size = int(size * 0.97)
print(before, peak(), result.total.tile_operations)
"""


@pytest.mark.parametrize(
    ("arch", "edits"),
    [("edge_16x16", {}), ("edge_16x16", {"cores.count": 4}), ("edge_lpddr4", {"activation_buffer.im2col": "dram"})],
)
def test_the_largest_that_is_taken_stays_within_the_memory(tmp_path: Path, arch: str, edits: dict[str, object]) -> None:
    process, held = 320 * MIB, 420 * MIB
    text = printed(LARGEST, tmp_path / "d.csv", arch, repr(edits), **{MEMORY: str(held)})
    before, peak, operations = map(int, text.split())
    assert before <= process
    assert peak - before <= held - process
    assert operations > 100_000, "the limit leaves room for work"


VALUES = """
import numpy as np, accelsim
from tests.networks import conv
small, large = conv(size=8), conv(size=1500, ic=8, k=1, oc=8)
run = lambda graph, values, **how: accelsim.simulate(graph, arch="tpu_v1", inputs=values, check_inputs=0, **how)
run(small, np.zeros((1, 8, 8, 4), np.int8), arithmetic=None)
accelsim.simulate(large, arch="tpu_v1")  # whatever that compiles is not within the limit
count, keep = int(sys.argv[1]), sys.argv[2]
values = np.zeros((count, 1500, 1500, 8), np.int8)
limit(20 * 2**20)
try:
    run(large, values, keep=keep)
except accelsim.AccelsimError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(("count", "keep"), [(1, "outputs"), (2, "outputs"), (2, "all")])
def test_values_that_are_not_held_are_refused_with_what_applies(count: int, keep: str) -> None:
    text = printed(VALUES, str(count), keep)
    assert text.startswith("CapacityError not enough memory for ")
    assert ("inferences at a time" in text) == (count > 1)
    assert ("keep the outputs alone" in text) == (keep == "all")
