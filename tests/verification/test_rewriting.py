"""ONNX Runtime's optimizer: what it changes is told apart from what the machine does, and named by its operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.graph import BinaryLut, MacLayer
from accelsim.importers import load_graph
from accelsim.importers.onnx import formulas
from accelsim.importers.onnx.formulas import Quantization
from accelsim.numerics import IntFormat
from accelsim.verification import VerificationReport, names, verify
from accelsim.verification.oracles.litert import litert
from accelsim.verification.oracles.rewriting import counted, rewriting
from tests.importers.onnx.models import Net
from tests.verification.networks import digits

pytestmark = pytest.mark.oracle
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from tests.importers.onnx.runtime import runtime, save  # noqa: E402

Feed = dict[str, NDArray[Any]]


def requantized(net: Net) -> None:
    """Two Quantize-Dequantize pairs of different scales in a row: ONNX Runtime keeps one."""
    x = net.input((1, 4, 8, 8))
    coarse = net.quantized(net.real(x), net.act(x.shape, scale=x.scale * 1.37))
    net.conv(net.quantized(net.real(coarse), net.act(x.shape, scale=x.scale * 0.71)), 8, 3)


def mul(net: Net) -> None:
    net.binary("Mul", net.input((1, 4, 16, 16)), net.input((1, 4, 16, 16)))


def add(net: Net) -> None:
    net.binary("Add", net.input((1, 4, 16, 16)), net.input((1, 4, 16, 16)))


def average(net: Net) -> None:
    net.average_pool(net.input((1, 4, 16, 16)), 2, strides=[2, 2])


def convolution(net: Net) -> None:
    net.conv(net.input((1, 4, 8, 8)), 8, 3, relu="Relu")


def built(
    build: Callable[[Net], None], seed: int, folder: Path, *, pot: bool = False
) -> tuple[Path, Feed, onnx.ModelProto]:
    """A model whose only output is its last tensor, and one input for it."""
    net = Net(np.random.default_rng(seed), qdq=True, kind="uint8", narrow_weights=True, pot=pot)
    build(net)
    model = net.model()
    read = {name for node in model.graph.node for name in node.input}
    last = [output for output in model.graph.output if output.name not in read]
    del model.graph.output[:]
    model.graph.output.extend(last)
    return save(model, folder), net.random_feeds()[0], model


def changed(model: onnx.ModelProto, feed: Feed) -> int:
    """Codes of the output that differ between ONNX Runtime with and without its optimizer."""
    (a,), (b,) = (runtime(model, int8=True, optimize=optimize).run(None, feed) for optimize in (True, False))
    return int((a != b).sum())


def compared(path: Any, feed: Feed, **more: Any) -> VerificationReport:
    report = verify(path, arch="edge_16x16", inputs=feed, oracle="onnxruntime", arithmetic="onnxruntime", **more)
    assert sum(report.causes().values()) == report.differing
    assert report.complete
    return report


@pytest.mark.parametrize("seed", range(4))
def test_a_dropped_quantization_is_graph_rewriting(seed: int, tmp_path: Path) -> None:
    """The machine computes the file; ONNX Runtime another graph, in which two tensors of the file are gone."""
    path, feed, model = built(requantized, seed, tmp_path)
    report = compared(path, feed)
    assert report.causes() == {names.REWRITING: report.differing}
    assert report.differing == changed(model, feed) > 0
    every, one = report.findings
    assert (every.layer, every.kind) == ("every layer", names.REWRITING)
    assert every.text.endswith("tensors that vanish: t0, t1")
    assert one.layer == report.layers[-1].layer
    assert one.text.endswith(f"changes {report.differing:,} of {report.elements:,} codes")


@pytest.mark.parametrize(("build", "before", "after"), [
    (mul, "2 DequantizeLinear, Mul, QuantizeLinear", "QLinearMul"),
    (add, "2 DequantizeLinear, Add, QuantizeLinear", "QLinearAdd"),
    (average, "DequantizeLinear, AveragePool, QuantizeLinear", "QLinearAveragePool"),
], ids=["Mul", "Add", "AveragePool"])  # fmt: skip
def test_ties_that_another_kernel_breaks(build: Callable[[Net], None], before: str, after: str, tmp_path: Path) -> None:
    """With power-of-two scales; the arithmetic ``onnxruntime`` knows the kernels that run, so that nothing differs."""
    found = 0
    for seed in range(6):
        path, feed, model = built(build, seed, tmp_path, pot=True)
        report = compared(path, feed)
        assert report.differing == 0
        count = changed(model, feed)
        texts = [finding.text for finding in report.findings]
        assert texts == [] if not count else texts[0].startswith(f"{before} -> {after}")
        assert texts[1:] == ([f"{before} -> {after} changes {count:,} of {report.elements:,} codes"] if count else [])
        found += count
    assert found > 0


def test_a_file_that_is_refused_once_it_is_optimized_runs_at_the_highest_level_that_loads(tmp_path: Path) -> None:
    """ONNX Runtime wants scalars where it fuses an average pool; the specification of QuantizeLinear takes shape (1,) too."""
    _, feed, model = built(average, 0, tmp_path)
    for constant in model.graph.initializer:
        if not constant.dims:
            constant.dims.append(1)
    report = compared(save(model, tmp_path), feed)
    (level,) = report.findings
    assert (level.layer, level.kind) == ("every layer", names.LEVEL)
    assert level.text.startswith("basic, the highest at which it loads; at all onnxruntime refuses the file: ")
    assert "must be a scalar" in level.text
    assert level.text in str(report)


def test_a_file_that_is_refused_at_every_level_is_an_error_with_the_runtimes_own_reason(tmp_path: Path) -> None:
    _, feed, model = built(average, 0, tmp_path)
    model.ir_version = 99
    with pytest.raises(AccelsimError, match=r"oracle 'onnxruntime' refuses the model: .*99.*; choose another --oracle"):
        compared(save(model, tmp_path), feed)


@pytest.mark.parametrize("build", [mul, add, average, convolution])
@pytest.mark.parametrize("seed", range(2))
def test_other_scales_are_left_alone(build: Callable[[Net], None], seed: int, tmp_path: Path) -> None:
    path, feed, model = built(build, seed, tmp_path)
    report = compared(path, feed)
    assert changed(model, feed) == report.differing == len(report.findings) == 0


def test_a_machine_that_adds_in_floating_point(tmp_path: Path) -> None:
    """Differences that vanish without the optimizer are its own, whatever the known arithmetic of ONNX Runtime says."""
    path, feed, model = next(
        made for seed in range(9) if changed((made := built(add, seed, tmp_path, pot=True))[2], made[1])
    )
    graph = load_graph(path)
    (layer,) = graph.layers
    assert isinstance(layer, BinaryLut)
    scales = [graph.tensors[name] for name in (*layer.inputs, layer.output)]
    known = [Quantization(float(t.scale or 0), t.zero_point, IntFormat(8, signed=False)) for t in scales]
    mine = replace(graph, layers=(replace(layer, table=formulas.float_sum_table(*known).astype(np.uint8)),))
    report = compared(mine, feed, reference=path)
    assert report.causes() == {names.REWRITING: changed(model, feed)}


def test_a_fault_beside_a_rewriting_keeps_its_name(tmp_path: Path) -> None:
    path, feed, model = built(requantized, 0, tmp_path)
    graph = load_graph(path)
    layer = graph.layers[-1]
    assert isinstance(layer, MacLayer)
    assert layer.bias is not None
    mine = replace(graph, layers=(*graph.layers[:-1], replace(layer, bias=layer.bias + 900)))
    causes = compared(mine, feed, reference=path).causes()
    assert set(causes) == {names.REWRITING, names.BIAS}
    assert causes[names.REWRITING] <= changed(model, feed) < causes[names.BIAS]


def quantized_by(scale: float, zero: int) -> onnx.ModelProto:
    constants = [
        onnx.numpy_helper.from_array(np.float32(scale), "s"),
        onnx.numpy_helper.from_array(np.int8(zero), "z"),
    ]
    ports = [
        [onnx.helper.make_tensor_value_info(name, kind, [4])]
        for name, kind in (("x", onnx.TensorProto.FLOAT), ("y", onnx.TensorProto.INT8))
    ]
    node = onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", *ports, initializer=constants))


@pytest.mark.parametrize(("scale", "zero", "kept"), [(0.5, 3, True), (0.25, 3, False), (0.5, 4, False)])
def test_codes_of_another_scale_or_zero_point_are_other_codes(scale: float, zero: int, kept: bool) -> None:
    found = rewriting(quantized_by(0.5, 3), quantized_by(scale, zero), ["y"])
    assert found.vanished == (() if kept else ("y",))
    assert found.is_one is not kept
    assert found.before == ({"y": ("QuantizeLinear",)} if kept else {})


def test_operators_are_counted() -> None:
    assert counted(["Add", "Relu", "Add"]) == "2 Add, Relu"
    assert counted([]) == "nothing"


def test_keeping_tensors_changes_no_output_of_xnnpack() -> None:
    """The oracle keeps every tensor, so that each operator is delegated alone; a user's interpreter delegates them together."""
    module = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    oracle = litert(digits(), "litert-xnnpack")
    theirs = module.Interpreter(str(digits()), num_threads=1)
    theirs.allocate_tensors()
    (source,), (target,) = theirs.get_input_details(), theirs.get_output_details()
    port, output = oracle.graph.inputs[0].tensor, oracle.graph.outputs[0].tensor
    codes = np.random.default_rng(0).integers(-128, 128, (20, *oracle.graph.tensors[port].shape)).astype(np.int8)
    for x in codes:
        theirs.set_tensor(source["index"], x.reshape(source["shape"]))
        theirs.invoke()
        assert (theirs.get_tensor(target["index"]).reshape(-1) == oracle.run({port: x})[output].reshape(-1)).all()
