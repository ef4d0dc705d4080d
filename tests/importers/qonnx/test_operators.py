"""Forms of operators that few exporters write, against qonnx; and what is refused, in one line each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import ModelError
from accelsim.graph import MacLayer
from accelsim.importers import load_graph, supported_operators
from accelsim.importers.onnx.chain import ROUNDINGS
from accelsim.importers.qonnx.registry import QONNX_LOWERINGS
from accelsim.numerics import INT32, IntFormat
from tests.importers.onnx.runtime import run_graph, save
from tests.importers.qonnx.models import Net
from tests.importers.qonnx.oracle import Job, all_differences, needs_qonnx

IMAGE = (1, 4, 6, 5)
SIZES = [1, 4, 1, 1]
Build = Callable[[Net], str]


def job(build: Build, folder: Path, name: str, *, version: int = 1, reach: float = 2.0) -> Job:
    net = Net(11, IMAGE)
    model = net.model(build(net))
    model.opset_import[1].version = version
    path = save(model, folder, name)
    images = np.random.default_rng(6).normal(0, reach, (6, *IMAGE)).astype(np.float32)
    return Job(path, load_graph(path), {"x": images})


def no_element_differs(jobs: list[Job], *, at_least: int) -> None:
    results = all_differences(jobs)
    assert [(done.path.name, wrong) for done, (wrong, _) in zip(jobs, results, strict=True) if wrong] == []
    assert min(compared for _, compared in results) >= at_least


def refused(build: Build, folder: Path, message: str, *, version: int = 1) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        job(build, folder, "model", version=version)
    assert "\n" not in str(caught.value)


def oracle(test: Callable[..., None]) -> Callable[..., None]:
    for mark in needs_qonnx:
        test = mark(test)
    return test


def truncated(mode: str, *, second: bool, zero: float = 0.0, **own: int) -> Build:
    """Sums over a 2x2 window of 5-bit codes, cut to 4 bits: version 1, or 2 with a scale of its own."""

    def build(net: Net) -> str:
        x = net.quant("x", 0.125, bits=5)
        y = net.node("Mul", net.node("AveragePool", x, kernel_shape=[2, 2]), net.constant(4.0))
        given = [0.125, zero, 7.0, *([1.0] if second else []), 4.0]
        inputs = [net.constant(value) for value in given]
        return net.node("Trunc", y, *inputs, domain=net.domain, rounding_mode=mode, **own)

    return build


@oracle
def test_trunc_of_version_1_in_every_rounding_mode(tmp_path: Path) -> None:
    jobs = [job(truncated(mode, second=False), tmp_path, f"v1_{mode}") for mode in ROUNDINGS]
    no_element_differs(jobs, at_least=400)


@oracle
def test_trunc_of_version_2_in_every_rounding_mode_and_range(tmp_path: Path) -> None:
    ranges = [{"signed": 1, "narrow": 0}, {"signed": 1, "narrow": 1}, {"signed": 0, "narrow": 0}]
    jobs = [
        job(truncated(mode, second=True, zero=zero, **own), tmp_path, f"v2_{mode}_{i}_{zero:g}", version=2)
        for mode in ROUNDINGS
        for i, own in enumerate(ranges)
        for zero in (0.0, 8.0)
    ]
    no_element_differs(jobs, at_least=400)


def test_a_trunc_that_widens_or_moves_its_zero_point_off_the_grid_is_refused(tmp_path: Path) -> None:
    def widening(net: Net) -> str:
        return net.trunc(net.quant("x", 0.125, bits=4), 0.125, 4, 6)

    refused(widening, tmp_path, "it widens 4 bits to 6; accepted: fewer bits out than in")
    refused(truncated("FLOOR", second=True, zero=3.0), tmp_path, "zeropt 3.0 is no multiple of 8.0", version=2)
    refused(
        truncated("FLOOR", second=False, zero=0.5), tmp_path, "its scale is 0.125, its zeropt 0.5; accepted: scale > 0"
    )
    refused(truncated("NEAREST", second=True), tmp_path, "rounding_mode is 'NEAREST'", version=2)


def pooled(**own: object) -> Build:
    def build(net: Net) -> str:
        x = net.quant("x", 0.125, bits=4, zero=2.0, signed=0)
        return net.quant(net.node("AveragePool", x, **own), 0.0625, bits=8)

    return build


@oracle
def test_average_pools_that_count_padding(tmp_path: Path) -> None:
    forms: list[dict[str, object]] = [
        {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [4, 2], "pads": [2, 0, 1, 1], "strides": [2, 1]},
        {"kernel_shape": [2, 4], "pads": [0, 1, 0, 2], "strides": [1, 2]},
    ]
    jobs = [job(pooled(count_include_pad=1, **own), tmp_path, f"pool{i}") for i, own in enumerate(forms)]
    no_element_differs(jobs, at_least=400)


@oracle
def test_average_pools_that_leave_padding_out(tmp_path: Path) -> None:
    """Windows of different sizes have one set of thresholds: sums of small ones are brought up to a common multiple."""
    forms: list[dict[str, object]] = [
        {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 1]},
        {"kernel_shape": [4, 2], "pads": [2, 0, 1, 1], "strides": [2, 1]},
        {"kernel_shape": [3, 4], "auto_pad": "SAME_UPPER"},
    ]
    jobs = [job(pooled(**own), tmp_path, f"pool{i}") for i, own in enumerate(forms)]
    no_element_differs(jobs, at_least=400)


@pytest.mark.parametrize("arithmetic", ["finn", "tflite-micro"])
@pytest.mark.parametrize("bounds", [((0, 9), (-1, 2)), ((-1, 2), (0, 9)), ((-2, 1), (-3, 0.5)), ((-3, 0.5), (-2, 1))])
def test_rectifiers_in_a_row_are_where_their_bounds_meet(
    bounds: tuple[tuple[float, float], ...], arithmetic: str, tmp_path: Path
) -> None:
    least, most = zip(*bounds, strict=True)
    codes = []
    for each in (bounds, ((max(least), min(most)),)):
        net = Net(2, (1, 8))
        y = net.node("MatMul", net.quant("x", 0.25), net.weights((8, 40), 4))
        for low, high in each:
            y = net.node("Clip", y, net.constant(low), net.constant(high))
        graph = load_graph(save(net.model(net.quant(y, 0.0625)), tmp_path), arithmetic=arithmetic)
        x = np.random.default_rng(3).normal(0, 2, (1, 8)).astype(np.float32)
        codes.append(run_graph(graph, {"x": x})[graph.outputs[0].tensor])
    assert np.array_equal(*codes)
    assert np.ptp(codes[0]) == 16 * (min(most) - max(least))


def test_an_average_pool_in_ceil_mode_is_refused(tmp_path: Path) -> None:
    refused(pooled(kernel_shape=[2, 2], ceil_mode=1), tmp_path, "its ceil_mode is on")


def reduced(op: str, axes: list[int], *, keep: int, after: tuple[str, list[int]] | None = None) -> Build:
    """Over ``axes`` of 4-bit codes, then an operator with a constant of some shape."""

    def build(net: Net) -> str:
        x = net.quant("x", 0.125, bits=4, zero=2.0, signed=0)
        if op == "ReduceSum":
            net.constants.append(numpy_helper.from_array(np.array(axes), "axes"))
            y = net.node(op, x, "axes", keepdims=keep)
        else:
            y = net.node(op, x, axes=axes, keepdims=keep)
        if after is not None:
            name, shape = after
            y = net.node(name, y, net.constant(np.linspace(0.5, 1.0, int(np.prod(shape))).reshape(shape)))
        return net.quant(net.node("Relu", y), 0.0625 if op == "ReduceMean" else 1.0, bits=6, signed=0)

    return build


@oracle
def test_means_and_sums_over_whole_axes(tmp_path: Path) -> None:
    forms = [
        reduced("ReduceMean", [2, 3], keep=1),
        reduced("ReduceMean", [2, 3], keep=0),
        reduced("ReduceSum", [-1, 2], keep=0),
        reduced("ReduceMean", [1], keep=1),
        reduced("ReduceMean", [3], keep=0),
        reduced("ReduceMean", [2, 3], keep=1, after=("Add", [4, 1, 1])),
        reduced("ReduceMean", [2, 3], keep=0, after=("Mul", [4])),
    ]
    no_element_differs([job(form, tmp_path, f"mean{i}") for i, form in enumerate(forms)], at_least=400)


def test_a_constant_behind_a_mean_that_differs_along_rows_is_refused(tmp_path: Path) -> None:
    build = reduced("ReduceMean", [3], keep=0, after=("Mul", [6]))
    refused(build, tmp_path, "constants after it differ along another axis than that stored last; accepted: one number")


def of_two(op: str, *, right: str) -> Build:
    def build(net: Net) -> str:
        x = net.quant("x", 0.125, bits=6)
        a = net.quant(net.node("Conv", x, net.weights((4, 4, 1, 1), 4)), 0.25, bits=5)
        b = net.bipolar(a, 0.5) if right == "bipolar" else net.quant(x, 0.25, bits=4, zero=1.0, mode="CEIL")
        return net.quant(net.node(op, a, b), 0.5, bits=5, mode="HALF_UP")

    return build


@oracle
def test_differences_and_quotients_of_two_tensors(tmp_path: Path) -> None:
    forms = [("Sub", "codes"), ("Sub", "bipolar"), ("Div", "bipolar")]
    no_element_differs([job(of_two(op, right=r), tmp_path, f"{op}_{r}") for op, r in forms], at_least=1000)


def test_a_quotient_that_may_be_0_by_0_is_refused(tmp_path: Path) -> None:
    refused(of_two("Div", right="codes"), tmp_path, "make NaN of some codes; accepted: operators that are defined")


def wide(bits: int, *, codes: int = 4) -> Build:
    def build(net: Net) -> str:
        x = net.quant("x", 0.25, bits=codes)
        y = net.node("Conv", x, net.weights((5, 4, 3, 3), bits, 2.0 ** (3 - bits)), pads=[1, 1, 1, 1])
        return net.quant(net.node("Relu", y), 0.25, bits=7, signed=0)

    return build


@oracle
def test_weights_of_9_to_16_bits(tmp_path: Path) -> None:
    jobs = [job(wide(bits), tmp_path, f"w{bits}") for bits in range(9, 17)]
    for bits, done in zip(range(9, 17), jobs, strict=True):
        (layer,) = (layer for layer in done.graph.layers if isinstance(layer, MacLayer))
        assert layer.weight_format == IntFormat(bits)
        assert layer.weights is not None
        assert int(np.abs(layer.weights.astype(np.int64)).max()) > 128
    no_element_differs(jobs, at_least=700)


def test_sums_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    refused(wide(16, codes=16), tmp_path, "its sums reach [0-9]+; accepted: sums of at most 32 bits")


def test_a_file_that_mixes_quantize_linear_with_quant_is_refused(tmp_path: Path) -> None:
    def build(net: Net) -> str:
        net.constants.append(helper.make_tensor("zero", TensorProto.INT8, [], [0]))
        y = net.node("QuantizeLinear", net.quant("x", 0.125), net.constant(0.125), "zero")
        return net.node("DequantizeLinear", y, net.constant(0.125), "zero")

    with pytest.raises(ModelError) as caught:
        job(build, tmp_path, "model")
    told = [str(error).split(" (output")[0].rpartition(": ")[2] for error in caught.value.exceptions]
    assert told == ["node 1 QuantizeLinear", "node 2 DequantizeLinear"]
    for error in caught.value.exceptions:
        assert re.search(r"the operator is not supported; accepted: .*Quant", str(error))


def last(*, bias: object = None, scale: object = 0.125, after: str = "") -> Build:
    """A network that ends in a Gemm whose result no quantizer follows."""

    def build(net: Net) -> str:
        x = net.quant(net.node("GlobalMaxPool", net.quant("x", 0.125)), 0.25, bits=4)
        operands = [net.node("Flatten", x), net.weights((7, 4), 4, scale)]
        operands += [] if bias is None else [net.constant(bias)]
        y = net.node("Gemm", *operands, transB=1)
        return net.node(after, y) if after else y

    return build


@oracle
def test_a_last_layer_without_a_quantizer_gives_its_sums(tmp_path: Path) -> None:
    biases = [None, np.arange(-3, 4) / 16]
    jobs = [job(last(bias=bias), tmp_path, f"last{i}") for i, bias in enumerate(biases)]
    for done in jobs:
        (port,) = done.graph.outputs
        tensor = done.graph.tensors[port.tensor]
        assert (port.real, tensor.format, tensor.scale, done.graph.approximations) == (True, INT32, 2.0**-5, {})
    no_element_differs(jobs, at_least=42)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (last(scale=np.float32([0.5, 0.25, 0.5, 1, 1, 1, 2]).reshape(7, 1)), "has a scale per channel"),
        (last(bias=np.full(7, 0.01)), "adds a bias that is no multiple"),
        (last(after="Relu"), "the float result of the Relu"),
        (last(after="Sigmoid"), "the float result of the Sigmoid"),
    ],
)
def test_other_outputs_without_a_quantizer_name_the_remedy(build: Build, message: str, tmp_path: Path) -> None:
    refused(build, tmp_path, f"{message}.*; accepted: end the network with a quantizer .*QuantIdentity")


def pooled_sums(net: Net, *behind: str) -> str:
    y = net.node("Conv", net.quant("x", 0.125), net.weights((4, 4, 1, 1), 4))
    y = net.node("MaxPool", y, kernel_shape=[2, 2])
    for op in behind:
        y = net.node(op, y)
    return net.quant(y, 0.5, bits=4)


@oracle
def test_sums_are_quantized_before_they_are_pooled(tmp_path: Path) -> None:
    builds = {"plain": (), "rectified": ("Relu",), "flat": ("Relu", "Flatten"), "turned": ("Transpose",)}
    jobs = [job(lambda net, ops=ops: pooled_sums(net, *ops), tmp_path, name) for name, ops in builds.items()]  # type: ignore[misc]
    no_element_differs(jobs, at_least=700)


def test_a_pool_of_sums_before_another_function_is_refused(tmp_path: Path) -> None:
    message = "MaxPool .*the float result of a Conv, not quantized; accepted: quantized activations"
    refused(lambda net: pooled_sums(net, "Sigmoid"), tmp_path, message)


def test_its_operators_are_listed() -> None:
    rows = {row.operator: row for row in supported_operators() if row.source == ".onnx (QONNX)"}
    assert set(rows) == set(QONNX_LOWERINGS)
    assert {"Quant", "BipolarQuant", "Trunc", "BatchNormalization"} <= set(rows)
    assert (rows["Conv"].layer, rows["Conv"].formats) == ("Conv2D or DepthwiseConv2D", "1 to 16 bits (QONNX)")
    assert all(row.formats and row.layer for row in rows.values())
    assert not any(row.operator == "Quant" for row in supported_operators() if row.source == ".onnx")


def test_a_batch_normalization_that_stands_still_is_one_code(tmp_path: Path) -> None:
    def build(net: Net) -> str:
        y = net.node("Conv", net.quant("x", 0.125), net.weights((4, 4, 1, 1), 4))
        given = [np.zeros(4), np.float32([-1, 0, 0.5, 2]), np.ones(4), np.ones(4)]
        return net.quant(net.node("BatchNormalization", y, *map(net.constant, given)), 0.5, bits=4)

    (layer,) = (layer for layer in job(build, tmp_path, "model").graph.layers if isinstance(layer, MacLayer))
    assert layer.requant.clamp_min == -2
    assert layer.requant.clamp_max == 4
    assert isinstance(onnx.load(tmp_path / "model.onnx"), onnx.ModelProto)
