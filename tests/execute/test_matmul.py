"""Products of two activations: whole layers, tiles and pure integers agree; bounds, counts and reports count both operands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions, load_table
from accelsim.errors import AccumulatorOverflowError, GraphError, InputError
from accelsim.execute import WholeReader, accumulator_formats, accumulator_report, prove_graph, run_program
from accelsim.execute.accumulators import IN_ORDER, WIDE, WRAPPED, formats_bound
from accelsim.graph import Graph, HostPort, MacGeometry, MatMul, Tensor
from accelsim.hardware import Engine
from accelsim.mapper import map_graph
from accelsim.numerics import INT4, INT8, INT16, INT32, UINT8, IntFormat, Overflow, Requant, fit, requantize_int
from accelsim.program import Program, check_program
from accelsim.result import summarize
from accelsim.timing import schedule, schedule_simpy
from tests.generate import random_arch, roomy

FORMATS = (INT4, INT8, UINT8, INT16)
Arrays = dict[str, np.ndarray]


def product(
    *, m: int = 4, k: int = 6, n: int = 5, groups: int = 1, left: IntFormat = INT8, right: IntFormat = INT8,
    zeros: tuple[int, int] = (0, 0), same: bool = False, shape_only: bool = False, shift: int | None = None,
) -> Graph:  # fmt: skip
    """One product of tensors ``a`` and ``b``, or of ``a`` with itself."""
    geometry = MacGeometry(n=1, ih=m, iw=1, ic=groups * k, oh=m, ow=1, oc=groups * n, groups=groups)
    layer = MatMul(
        name="layer",
        inputs=("a", "a" if same else "b"),
        output="y",
        geometry=geometry,
        weights=None,
        weight_format=right,
        input_zero_point=zeros[0],
        right_zero_point=zeros[1],
        requant=None
        if shape_only
        else Requant("shift_half_even", [1], [left.bits + right.bits - 7 if shift is None else shift], 3, -128, 127),
    )
    tensors = {"a": Tensor("a", (m, groups, k), left), "y": Tensor("y", (m, groups, n), INT8)}
    if not same:
        tensors["b"] = Tensor("b", (groups, n, k), right)
    inputs = tuple(HostPort(name, name) for name in ("a", "b") if name in tensors)
    return Graph(
        name="product",
        arithmetic="tflite-micro",
        tensors=tensors,
        layers=(layer,),
        inputs=inputs,
        outputs=(HostPort("y", "y"),),
        shape_only=shape_only,
    )


def codes(rng: np.random.Generator, graph: Graph) -> Arrays:
    """Random codes over the whole range of each input."""
    formats = {port.tensor: graph.tensors[port.tensor] for port in graph.inputs}
    return {
        name: rng.integers(t.format.min, t.format.max + 1, t.shape).astype(t.format.dtype)
        for name, t in formats.items()
    }


def twin(
    graph: Graph, inputs: Arrays, accumulator: IntFormat | None = None, overflow: Overflow = Overflow.WRAP
) -> Arrays:
    """The definition in Python integers, product after product."""
    layer = graph.layers[0]
    assert isinstance(layer, MatMul)
    assert layer.requant is not None
    a, b = (inputs[name].astype(object) for name in layer.inputs)
    g = layer.geometry
    left, right = a.reshape(g.ih, g.groups, -1), b.reshape(g.groups, g.oc_per_group, -1)
    y = np.empty((g.ih, g.groups, g.oc_per_group), dtype=np.int8)
    for m, group, n in np.ndindex(*y.shape):
        total = 0
        for x, w in zip(left[m, group], right[group, n], strict=True):
            total += (x - layer.input_zero_point) * (w - layer.right_zero_point)
            total = total if accumulator is None else fit(total, accumulator, overflow)
        y[m, group, n] = requantize_int(total, layer.requant)
    return {"y": y}


def program_of(graph: Graph, arch: Arch) -> Program:
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_whole_layers_tiles_and_pure_integers_agree(seed: int, left: IntFormat, right: IntFormat) -> None:
    """Any sizes, groups, formats and zero points, on any machine, in program order and in timeline order."""
    rng = np.random.default_rng(seed)
    m, k, n, groups = (int(i) for i in rng.integers(1, (7, 9, 7, 4)))
    zeros = tuple(int(rng.integers(f.min, f.max + 1)) for f in (left, right))
    graph = product(m=m, k=k, n=n, groups=groups, left=left, right=right, zeros=zeros)
    inputs = codes(rng, graph)
    expected = twin(graph, inputs)["y"]
    np.testing.assert_array_equal(WholeReader(graph).run(inputs)["y"], expected)
    program = program_of(graph, roomy(random_arch(rng).with_({"accumulator.bits": 64}), graph))
    check_program(program)
    timeline = schedule(program)
    np.testing.assert_array_equal(timeline.finish, schedule_simpy(program).finish)
    for times in (None, timeline):
        np.testing.assert_array_equal(run_program(program, inputs, timeline=times)["y"], expected)


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("seed", range(4))
def test_narrow_accumulators_overflow_product_by_product(seed: int, overflow: Overflow) -> None:
    rng = np.random.default_rng(seed)
    graph = product(m=5, k=40, n=6, groups=2, left=UINT8, right=INT8, zeros=(int(rng.integers(256)), 100), shift=12)
    inputs = codes(rng, graph)
    arch = random_arch(rng).with_(
        {"array.activation_bits": 8, "accumulator.bits": 18, "accumulator.overflow": str(overflow)}
        | {"array.dataflow": "weight_stationary", "accumulator.products_per_add": 1}
    )
    program = program_of(graph, arch)
    assert not prove_graph(graph, arch)[0].safe
    if overflow is Overflow.TRAP:
        with pytest.raises(AccumulatorOverflowError, match="left the 18-bit accumulator"):
            run_program(program, inputs)
        return
    expected = twin(graph, inputs, IntFormat(18), overflow)["y"]
    np.testing.assert_array_equal(run_program(program, inputs)["y"], expected)
    assert (expected != twin(graph, inputs)["y"]).any()
    if overflow is Overflow.WRAP:
        reader = WholeReader(graph, accumulators=accumulator_formats(graph, arch))
        np.testing.assert_array_equal(reader.run(inputs)["y"], expected)


@pytest.mark.parametrize(("left", "right"), [(INT8, UINT8), (UINT8, UINT8), (INT4, INT8)])
def test_the_bound_is_reached_by_some_codes(left: IntFormat, right: IntFormat) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        zeros = int(rng.integers(left.min, left.max + 1)), int(rng.integers(right.min, right.max + 1))
        graph = product(k=7, left=left, right=right, zeros=zeros)
        (proof,) = prove_graph(graph, load_arch("edge_16x16"))
        ends = [(x - zeros[0]) * (w - zeros[1]) for x in (left.min, left.max) for w in (right.min, right.max)]
        assert proof.bound == 7 * max(map(abs, ends))
        assert proof.bound == formats_bound(graph.layers[0], input_format=left)  # type: ignore[arg-type]


def test_the_accumulator_report_observes_the_right_operand() -> None:
    graph = product(zeros=(5, -7))
    rng = np.random.default_rng(3)
    inputs = codes(rng, graph)
    a, b = (inputs[name].astype(np.int64).reshape(-1, 6) - zero for name, zero in (("a", 5), ("b", -7)))
    partial = np.cumsum(a[:, None, :] * b[None, :, :], axis=2)
    for arch, kernel in ((None, WIDE), (load_arch("edge_16x16"), WIDE)):
        report = accumulator_report(graph, arch=arch, inputs={name: x[None] for name, x in inputs.items()})
        (record,) = report.records
        assert record.observed == (min(0, partial.min()), max(0, partial.max()))
        assert (record.weights_bound, record.weights_bits, record.kernel) == (None, None, kernel)
        assert report.reader == "layers"


@pytest.mark.parametrize(("overflow", "kernel"), [("wrap", WRAPPED), ("saturate", IN_ORDER)])
def test_the_accumulator_report_names_the_kernel(overflow: str, kernel: str) -> None:
    arch = load_arch("edge_16x16").with_({"accumulator.bits": 12, "accumulator.overflow": overflow})
    assert accumulator_report(product(), arch=arch).records[0].kernel == kernel


def test_a_product_of_a_tensor_with_itself() -> None:
    graph = product(m=5, n=5, groups=1, same=True, zeros=(3, 3))
    inputs = codes(np.random.default_rng(5), graph)
    expected = twin(graph, inputs)["y"]
    np.testing.assert_array_equal(WholeReader(graph).run(inputs)["y"], expected)
    program = program_of(graph, load_arch("edge_16x16"))
    check_program(program)
    np.testing.assert_array_equal(run_program(program, inputs, timeline=schedule(program))["y"], expected)


def test_both_operands_are_moved_once_where_they_fit_and_none_is_a_weight() -> None:
    graph = product(m=8, k=16, n=8, groups=3, left=UINT8, right=INT4)
    program = program_of(graph, load_arch("edge_16x16"))
    counts = count_actions(program).of_layer(0)
    left, right = 8 * 16 * 3, 8 * 16 * 3 // 2
    assert program.amount[program.of_engine(Engine.LOAD_ACTIVATIONS)].sum() == left
    assert program.amount[program.of_engine(Engine.LOAD_WEIGHTS)].sum() == right
    assert counts["dram_read"] == 8 * (left + right)
    assert counts["weight_buffer_write"] == 8 * right
    assert counts["array_mac"] == graph.macs == 8 * 8 * 16 * 3
    assert graph.weight_bytes == summarize(schedule(program), table=load_table("horowitz_45nm")).total.weight_bytes == 0


def test_shapes_only_are_timed_and_not_executed() -> None:
    graph = product(shape_only=True)
    program = program_of(graph, load_arch("edge_16x16"))
    assert schedule(program).total_cycles > 0
    with pytest.raises(InputError, match="shapes only"):
        run_program(program, {})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            {"weights": np.zeros((5, 1, 1, 6), np.int8)},
            "'layer' has constant weights or a bias; a MatMul multiplies two",
        ),
        ({"bias": np.zeros(5, np.int64)}, "'layer' has constant weights or a bias"),
        ({"requant": None}, "'layer' has no requantization; only a shape_only graph may"),
        ({"requant": Requant("shift_half_even", [1] * 5, [8] * 5, 0, -128, 127)}, "requantization of 5 channels"),
        ({"weight_format": INT4}, "weight_format is int4, its right operand is int8; they must be equal"),
        ({"right_zero_point": 128}, "right zero point 128 is no int8"),
        ({"input_zero_point": -129}, "input zero point -129 is no int8"),
        ({"inputs": ("a",)}, "'layer' has 1 inputs but 2 views"),
    ],
)
def test_what_a_graph_refuses(edit: dict[str, object], message: str) -> None:
    graph = product()
    with pytest.raises(GraphError, match=message):
        replace(graph, layers=(replace(graph.layers[0], **edit),))


def test_sums_are_32_bit_by_default() -> None:
    (layer,) = product().layers
    assert isinstance(layer, MatMul)
    assert layer.accumulator == INT32
