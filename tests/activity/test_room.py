"""Registers follow what a tile occupies, whatever the array's size; what counting a tile takes is known before it is tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.activity import measure_activity
from accelsim.activity.operands import Operands
from accelsim.activity.room import tile_shapes
from accelsim.activity.toggles import WIRES, TileShape, occupied, tile_toggles
from accelsim.arch import DATAFLOWS, load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.errors import CapacityError
from accelsim.graph import Dense, MacGeometry, MacLayer
from accelsim.hardware import Engine
from accelsim.mapper import map_graph
from accelsim.testing.machines import random_program
from tests.activity import registers
from tests.activity.test_energy import digits
from tests.activity.test_toggles import array_of, by_hand, tile
from tests.measured import printed
from tests.networks import single

MEMORY = "ACCELSIM_MEMORY"
SYSTOLIC = ("weight_stationary", "output_stationary", "input_stationary")
HUGE, LARGEST = 2**31 - 1, 2**16
seeds = st.integers(0, 2**32 - 1)


@contextmanager
def places() -> Iterator[set[tuple[str, ...]]]:
    """Wire and place of every word that arrives in a register of the walk."""
    found, put = set(), registers.Registers.put

    def noted(self: registers.Registers, wire: str, place: tuple[int, ...], word: int, bits: int) -> None:
        found.add((wire, *place))
        put(self, wire, place, word, bits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registers.Registers, "put", noted)
        yield found


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from(SYSTOLIC), st.integers(1, 6), st.integers(1, 6))
def test_the_walk_goes_through_all_that_is_occupied_and_no_further(
    seed: int, dataflow: str, rows: int, cols: int
) -> None:
    array, (x, w, sums) = array_of(dataflow, rows, cols), tile(seed)
    with places() as found:
        by_hand(x, w, sums, array)
    wire = "partial_sum" if DATAFLOWS[dataflow].stationary else "accumulator"
    own = [place[1:] for place in found if place[0] == wire]
    assert tuple(1 + max(side) for side in zip(*own, strict=True)) == occupied(TileShape(*x.shape, w.shape[2]), array)


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from(SYSTOLIC), st.integers(1, 3))
def test_a_huge_array_counts_what_one_as_large_as_the_tile_does(seed: int, dataflow: str, products: int) -> None:
    """But for the width of a sum between MACs, which a longer column may need."""
    x, w, sums = tile(seed)
    huge = replace(array_of(dataflow, HUGE, HUGE), products=products)
    rows, cols = occupied(TileShape(*x.shape, w.shape[2]), huge)
    counts = [tile_toggles(x, w, sums, array=array) for array in (huge, replace(huge, rows=rows, cols=cols))]
    same = [wire != "partial_sum" for wire in WIRES]
    assert (counts[0][same] == counts[1][same]).all()


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_shapes_are_those_of_the_operands(seed: int) -> None:
    program, rng = random_program(seed), np.random.default_rng(seed)
    for index, layer in enumerate(program.graph.layers):
        if not isinstance(layer, MacLayer):
            continue
        tensors = {
            name: rng.integers(0, 2, program.graph.tensors[name].shape).astype(program.graph.tensors[name].format.dtype)
            for name in layer.inputs
        }
        tiles = np.flatnonzero(program.of_engine(Engine.COMPUTE) & (program.layer == index))
        operands = Operands(layer, program=program, tensors=tensors)
        made = {(*x.shape, w.shape[2]) for x, w in map(operands.of, tiles.tolist()) if w.shape[2]}
        assert made == set(tile_shapes(program, layer, tiles))


@pytest.mark.parametrize("largest", [2**20, 2**46, 2**52])
def test_products_are_exact_whatever_their_operands(largest: int) -> None:
    """Beyond 2^53 as well, where float64 is not."""
    graph = single(Dense, MacGeometry(n=1, ih=1, iw=1, ic=9, oh=1, ow=1, oc=4))
    program = build_program(
        graph, arch=load_arch("edge_16x16"), mappings=map_graph(graph, arch=load_arch("edge_16x16"))
    )
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    assert layer.weights is not None
    codes = largest - np.arange(9)
    operands = Operands(layer, program=program, tensors={"x": codes})
    (compute,) = np.flatnonzero(program.of_engine(Engine.COMPUTE)).tolist()
    x, w = operands.of(compute)
    exact = [sum(int(a) * int(b) for a, b in zip(codes, row, strict=True)) for row in layer.weights.reshape(4, 9)]
    assert operands.product(x, w).ravel().tolist() == exact


TAKEN = """
import numpy as np
from accelsim.activity import measure_activity
from accelsim.activity.measure import toggle_array
from accelsim.activity.room import counting_bytes, tile_shapes
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.graph import Conv2D, Dense, DepthwiseConv2D, MacGeometry
from accelsim.hardware import Engine
from accelsim.mapper import map_graph
from tests.networks import single

def program(kind, geometry):
    graph = single(kind, geometry)
    return build_program(graph, arch=machine, mappings=map_graph(graph, arch=machine))

def codes(program):
    tensor = program.graph.tensors[program.graph.inputs[0].tensor]
    return {tensor.name: np.random.default_rng(0).integers(-128, 128, tensor.shape).astype(tensor.format.dtype)}

sizes = {f"{name}_buffer.size_bytes": 2**34 for name in ("weight", "activation", "output")}
sizes |= {"array.rows": 65536, "array.cols": 65536, "accumulator.count": 2**30}
machine = load_arch("edge_16x16").with_({"array.dataflow": sys.argv[1], **sizes})
kind, geometry = {
    "dense": (Dense, dict(n=1, ih=64, iw=1, ic=2048, oh=64, ow=1, oc=2048)),
    "conv": (Conv2D, dict(n=1, ih=100, iw=100, ic=32, oh=100, ow=100, oc=48, kh=3, kw=3, pad_top=1, pad_left=1)),
    "depthwise": (DepthwiseConv2D, dict(n=1, ih=8, iw=8, ic=96, oh=8, ow=8, oc=96, kh=3, kw=3, pad_top=1, pad_left=1, groups=96)),
}[sys.argv[2]]
small = program(kind, MacGeometry(**{**geometry, "oh": 1}))
measure_activity(small, codes(small))
large = program(kind, MacGeometry(**geometry))
layer, inputs = large.graph.layers[0], codes(large)
shapes = tile_shapes(large, layer, np.flatnonzero(large.of_engine(Engine.COMPUTE)))
before = 4096 * int(open("/proc/self/statm").read().split()[1])
measure_activity(large, inputs)
print(max(counting_bytes(shape, toggle_array(layer, graph=large.graph, arch=machine)) for shape in shapes), peak() - before)
"""


@pytest.mark.parametrize(
    ("dataflow", "kind"),
    [
        ("weight_stationary", "dense"),
        ("output_stationary", "conv"),
        ("input_stationary", "conv"),
        ("input_stationary", "depthwise"),
    ],
)
def test_no_tile_takes_more_than_was_counted(dataflow: str, kind: str) -> None:
    counted, taken = map(int, printed(TAKEN, dataflow, kind).split())
    assert taken <= counted + 8 * 2**20


LIMITED = """
from accelsim.cli import main
limit(600 * 2**20)
main(["activity", "digits_cnn", "--sample", "2", *sys.argv[1:]])
"""


@pytest.mark.parametrize("dataflow", SYSTOLIC)
def test_the_largest_array_takes_what_the_tiles_do(dataflow: str) -> None:
    edits = [f"--set=array.{side}={LARGEST}" for side in ("rows", "cols")]
    assert "pointwise" in printed(LIMITED, f"--set=array.dataflow={dataflow}", *edits)


def test_a_tile_that_is_not_held_is_refused_by_name_before_anything_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    program, inputs = digits(array__dataflow="input_stationary", array__rows=1024, array__cols=1024)
    monkeypatch.setenv(MEMORY, "321 MiB")
    monkeypatch.setattr("accelsim.activity.measure.WholeReader", None)
    with pytest.raises(
        CapacityError, match=r"layer 'depthwise' .* takes \d+ MiB, and 1 MiB of 321 MiB are left"
    ) as caught:
        measure_activity(program, inputs)
    assert f"fewer array.rows and array.cols; or set {MEMORY}='1 GiB'" in str(caught.value)
    assert caught.value.data["needed"] > caught.value.data["most"]


def test_the_command_refuses_in_one_line() -> None:
    edits = [f"--set=array.{edit}" for edit in ("dataflow=input_stationary", f"rows={LARGEST}", f"cols={LARGEST}")]
    result = CliRunner().invoke(main, ["activity", "digits_cnn", *edits], env={MEMORY: "321 MiB"})
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("accelsim: error: activity: layer ")


def test_what_is_not_held_all_the_same_is_told_by_the_networks_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("accelsim.activity.measure.tile_toggles", none_left)
    with pytest.raises(CapacityError, match="not enough memory for the activity of 'digits_cnn_int8'"):
        measure_activity(*digits())
