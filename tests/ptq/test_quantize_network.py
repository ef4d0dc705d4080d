"""Reading, folding and planning of float networks; what is refused, and how it is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from rich.console import Console

from accelsim.errors import ConfigError, InputError, ModelError
from accelsim.ptq import Settings, evaluate, evaluate_model, parse_layers, quantize_network, read_float
from accelsim.ptq.plan import make_plan
from accelsim.ptq.settings import Widths
from accelsim.report import quantized_table
from tests.ptq.networks import NETWORKS, SHAPE, Net, float_model, images, save


def outputs(model: onnx.ModelProto, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"x": one[None]})[0] for one in x])


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("evaluator", ["onnx", "onnxruntime"])
def test_the_folded_network_computes_what_the_file_does(name: str, evaluator: str, tmp_path: Path) -> None:
    """ONNX Runtime on the file as it was, either evaluator on what was folded."""
    model = float_model(name)
    folded = read_float(save(model, tmp_path))
    assert not {"BatchNormalization", "Dropout", "Identity"} & {node.op for node in folded.nodes}
    x = images(9, 5)
    ours = np.stack([made[folded.outputs[0]] for made in evaluate(folded, {"x": x}, evaluator=evaluator)])
    theirs = outputs(model, x)
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, rtol=2e-5, atol=2e-6 * np.abs(theirs).max())
    assert np.ptp(theirs) > 0.05


@pytest.mark.parametrize(("keepdims", "ops"), [(1, ["GlobalAveragePool"]), (0, ["GlobalAveragePool", "Flatten"])])
def test_a_mean_over_rows_and_columns_is_a_pool(keepdims: int, ops: list[str], tmp_path: Path) -> None:
    net = Net(1, SHAPE, opset=18)
    y = net.node("ReduceMean", net.node("Relu", "x"), net.constant([2, -1], np.int64), keepdims=keepdims)
    path = save(net.model(y), tmp_path)
    assert [node.op for node in read_float(path).nodes] == ["Relu", *ops]


def test_another_mean_stays_one(tmp_path: Path) -> None:
    for opset, axes, source in ((18, [1], "x"), (18, [1], "flat"), (17, [1], "x")):
        net = Net(1, SHAPE, opset=opset)
        x = net.node("Flatten", "x") if source == "flat" else "x"
        given = {"axes": axes} if opset < 18 else {}
        more = () if given else (net.constant(axes, np.int64),)
        read = read_float(save(net.model(net.node("ReduceMean", x, *more, **given)), tmp_path))
        assert (read.nodes[-1].op, read.opset) == ("ReduceMean", 18)
        assert read.constants[read.nodes[-1].inputs[1]].tolist() == axes


def test_a_sum_of_two_products_is_not_folded(tmp_path: Path) -> None:
    net = Net(1, SHAPE)
    a, b = (net.node("Conv", "x", net.normal(4, 3, 1, 1)) for _ in range(2))
    path = save(net.model(net.node("Add", a, b)), tmp_path)
    assert [node.op for node in read_float(path).nodes] == ["Conv", "Conv", "Add"]


def test_a_normalization_behind_no_product_of_its_own_is_a_convolution(tmp_path: Path) -> None:
    net = Net(1, SHAPE)
    y = net.node("Conv", "x", net.normal(4, 3, 1, 1))
    model = net.model(net.node("Add", y, net.norm(y, 4)))
    read = read_float(save(model, tmp_path))
    assert [(node.op, node.attributes.get("group", 1)) for node in read.nodes] == [("Conv", 1), ("Conv", 4), ("Add", 1)]
    x = images(9, 2)
    ours = np.stack([made[read.outputs[0]] for made in evaluate(read, {"x": x})])
    assert np.allclose(ours, outputs(model, x), atol=1e-5)


def test_scales_are_shared_where_nothing_is_computed(tmp_path: Path) -> None:
    network = read_float(save(float_model("branches"), tmp_path))
    plan = make_plan(network, Settings())
    shared = [set(group.tensors) for group in plan.groups if len(group.tensors) > 1]
    by_op = {node.outputs[0]: node.op for node in network.nodes}
    kinds = sorted(sorted(by_op.get(name, "input") for name in group) for group in shared)
    assert kinds == [["Concat", "Conv", "Relu"], ["GlobalAveragePool", "Reshape"], ["MaxPool", "input"]]
    fused = next(n.outputs[0] for n in network.nodes if n.op == "Conv")
    assert not any(fused in group.tensors for group in plan.groups), "a rectifier is fused into it"


def test_exceptions_are_found_by_node_tensor_and_fused_operator(tmp_path: Path) -> None:
    path = save(float_model("residual"), tmp_path)
    for name in ("conv_0", "t1", "relu_2", "t2"):
        made = quantize_network(
            path, {"x": images(1, 2)}, settings=Settings(layers={name: Widths(3, 5)}), dialect="qonnx"
        )
        assert made.weights["t1"].format.bits == 3, name
        assert made.acts["t2"].format.bits == 5, name
        assert {held.format.bits for other, held in made.weights.items() if other != "t1"} == {8}


def test_one_width_for_one_scale(tmp_path: Path) -> None:
    path = save(float_model("branches"), tmp_path)
    layers = parse_layers(["relu_2=a4", "conv_4=a5"])
    with pytest.raises(ConfigError, match="share one scale"):
        quantize_network(path, {"x": images(1, 2)}, settings=Settings(layers=layers))


@pytest.mark.parametrize("method", ["minmax", "moving-average", "percentile", "mse", "entropy"])
def test_every_range_is_within_min_max(method: Any, tmp_path: Path) -> None:
    path = save(float_model("residual"), tmp_path)
    x = images(1, 6)
    plain = quantize_network(path, {"x": x}, evaluator="onnxruntime", settings=Settings(acts=4)).acts
    other = quantize_network(path, {"x": x}, evaluator="onnxruntime", settings=Settings(acts=4, range=method)).acts
    assert all(min(plain[n].low, 0) <= other[n].low <= other[n].high <= plain[n].high for n in plain)
    assert method == "minmax" or any(other[n].high < plain[n].high for n in plain)


def test_channels_of_zeros_take_the_scale_of_the_others(tmp_path: Path) -> None:
    """A scale of 1 would round their bias to whole multiples of the input's scale."""
    net = Net(1, SHAPE)
    weights = net.rng.normal(0, 0.3, (3, 3, 1, 1))
    weights[1] = 0
    bias = np.array([0.5, 0.333, 20000.0])
    weights[2] *= 1e-9
    path = save(net.model(net.node("Conv", "x", net.constant(weights), net.constant(bias))), tmp_path)
    held = quantize_network(path, {"x": images(1, 2)}, settings=Settings(per_channel=True))
    layer = held.weights["t0"]
    assert layer.scales[1] == max(layer.scales[0], layer.scales[2])
    unit = held.acts["x"].scale * layer.scales.astype(float)
    assert layer.bias is not None
    assert np.abs(layer.bias * unit - bias).max() < 1e-3
    assert np.abs(layer.bias).max() <= 2**30 * (1 + 2**-20), "32 bits hold it"


def test_the_table_prints_the_figures_of_every_layer(tmp_path: Path) -> None:
    """Error of the weights in decibels, the scales from least to most, and range, scale and zero point of the output."""
    net = Net(1, SHAPE)
    y = net.node("Conv", "x", net.normal(4, 3, 3, 3), net.normal(4))
    made = quantize_network(
        save(net.model(y), tmp_path), {"x": images(1, 2)}, settings=Settings(weights=5, per_channel=True)
    )
    held, act = made.weights[y], made.acts[y]
    real = made.source.constants[made.source.nodes[0].inputs[1]].astype(float)
    noise = real - held.codes * held.scales.reshape(-1, 1, 1, 1).astype(float)
    decibels = 10 * np.log10(np.square(real).sum() / np.square(noise).sum())
    page = Console(width=240, file=io.StringIO(), color_system=None)
    page.print(quantized_table(made))
    (row,) = (line for line in page.file.getvalue().splitlines() if "Conv" in line.split())  # type: ignore[attr-defined]
    scales = f"{held.scales.min():.4g} .. {held.scales.max():.4g}"
    span = f"{act.low:.4g} .. {act.high:.4g}"
    expected = f"Conv int5 {scales} {decibels:.1f} {act.format} {span} {act.scale:.6g} {act.zero_point}"
    assert row.split()[row.split().index("Conv") :] == expected.split()
    assert 20 < decibels < 32, "6 dB a bit, less what the largest weight is above the others"


def test_weights_that_codes_hold_exactly_have_no_error(tmp_path: Path) -> None:
    net = Net(1, SHAPE)
    path = save(net.model(net.node("Conv", "x", net.constant(np.full((2, 3, 1, 1), 0.5)))), tmp_path)
    assert (
        quantize_network(path, {"x": images(1, 2)}, settings=Settings(power_of_two=True)).weights["t0"].sqnr_db
        == np.inf
    )


def test_the_widest_codes_are_taken() -> None:
    assert Settings(weights=16, acts=16).acts == 16


def refused(net: Net, y: str, folder: Path, **settings: Any) -> None:
    path = save(net.model(y), folder)
    quantize_network(path, {"x": images(1, 2)}, settings=Settings(**settings))


def test_what_cannot_be_quantized_is_named(tmp_path: Path) -> None:
    def net(build: Any) -> tuple[Net, str]:
        made = Net(1, SHAPE)
        return made, build(made)

    cases: list[tuple[Any, str]] = [
        (lambda n: n.node("Conv", "x", n.node("Relu", "x")), r"node 1 Conv 'conv_1' .*computed at run time"),
        (
            lambda n: n.node("Floor", "x"),
            r"node 0 Floor 'floor_0' \(output 't0'\): the operator cannot be quantized; accepted",
        ),
        (lambda n: n.node("ArgMax", "x", axis=1), r"ArgMax .*its result is an index, which has no scale; accepted"),
        (lambda n: n.node("Concat", "x", n.normal(*SHAPE), axis=1), r"Concat .*one of its operands is a constant"),
        (lambda n: n.norm(n.node("Flatten", "x"), 192), r"BatchNormalization .*no product stands before it"),
        (lambda n: n.node("Relu", n.node("Gemm", n.node("Flatten", "x"), n.normal(192, 4), transA=1)), "transposed"),
        (lambda n: n.node("Identity", "x"), "Identity .*makes a graph output of a graph input"),
        (lambda n: n.node("Conv", "x", n.constant(np.full((2, 3, 1, 1), np.nan))), "constant 'c0' holds NaN"),
        (lambda n: n.node("Softmax", n.node("Flatten", "x")), "Softmax .*bits"),
        (
            lambda n: n.node("Conv", "x", n.normal(2, 3, 1, 1), n.node("Relu", "x")),
            "Conv .*its bias is computed at run time",
        ),
        (
            lambda n: n.node("Pad", "x", n.constant([0, 0, 1, 1] * 2, np.int64), mode="reflect"),
            "Pad .*other numbers than zeros",
        ),
        (
            lambda n: n.node("Pad", "x", n.constant([0, 0, 1, 1] * 2, np.int64), n.constant(1.0)),
            "Pad .*other numbers than zeros",
        ),
    ]
    for i, (build, text) in enumerate(cases):
        settings = {"acts": 4} if i == 8 else {}
        with pytest.raises(ModelError, match=text):
            refused(*net(build), tmp_path, **settings)


def test_operators_that_break_their_specification_are_named(tmp_path: Path) -> None:
    """Whatever the readers or the evaluator trip over, onnx's own checker says which operator it is."""
    wrong_kind, few = Net(1, SHAPE), Net(1, SHAPE)
    pads = wrong_kind.node("Conv", "x", wrong_kind.normal(2, 3, 1, 1), pads="none")
    with pytest.raises(
        ModelError, match=r"evaluator onnx cannot run .*Conv 'conv_0': Mismatched attribute .*mend that operator"
    ):
        refused(wrong_kind, pads, tmp_path)
    norm = few.node("BatchNormalization", few.node("Conv", "x", few.normal(2, 3, 1, 1)), few.normal(2))
    with pytest.raises(
        ModelError,
        match=r"malformed \.onnx file: BatchNormalization '.*': .* has input size 2 not in range \[min=5, max=5\]",
    ):
        refused(few, norm, tmp_path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, text in (
        ("a.tflite", "not a .tflite file"),
        ("a.onnx", "malformed|expected"),
        ("a.pb", "float .onnx or .tflite file"),
    ):
        path = tmp_path / name
        path.write_bytes(b"no model")
        with pytest.raises(ModelError, match=text):
            read_float(path)
    quantized = quantize_network(save(float_model("residual"), tmp_path), {"x": images(1, 2)})
    with pytest.raises(ModelError, match="node 0 QuantizeLinear .*quantized already"):
        read_float(save(quantized.model, tmp_path, "q.onnx"))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"y": images(1, 2)}, r"inputs are \['x'\], got \['y'\]"),
        ({"x": images(1, 2)[:, :2]}, r"shape \(2, 2, 8, 8\); expected \(1, 3, 8, 8\)"),
        ({"x": images(1, 2)[:0]}, "shape"),
        ({"x": (images(1, 2) * 9).astype(np.int8)}, "int8; expected real numbers"),
        ({"x": np.where(images(1, 2) > 2, np.nan, images(1, 2))}, "holds nan at index"),
        ({}, "got"),
    ],
)
def test_calibration_data_that_does_not_fit(given: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        quantize_network(save(float_model("residual"), tmp_path), given)


def test_calibration_that_overflows_is_located(tmp_path: Path) -> None:
    net = Net(1, SHAPE)
    y = net.node("Conv", "x", net.constant(np.full((2, 3, 1, 1), 3e38)))
    for equalize in (False, True):
        text = "inference 0 makes tensor 't0' infinite or NaN"
        with np.errstate(all="ignore"), pytest.raises(InputError, match=text):
            refused(net, y, tmp_path, equalize=equalize)


@pytest.mark.parametrize("form", ["conv", "grouped", "gemm", "matmul"])
def test_bias_correction_restores_the_mean(form: str, tmp_path: Path) -> None:
    """Without padding, and with activations so fine that only weights are rounded, every output keeps its mean exactly."""
    net = Net(3, SHAPE)
    if form in ("conv", "grouped"):
        depth, groups = (3, 1) if form == "conv" else (1, 3)
        net.node("Conv", "x", net.normal(6, depth, 2, 2), net.normal(6), group=groups)
    else:
        flat = net.node("Flatten", "x")
        net.node("Gemm", flat, net.normal(6, 192), net.normal(6), transB=1) if form == "gemm" else net.node(
            "MatMul", flat, net.normal(192, 6)
        )
    path = save(net.model(net.nodes[-1].output[0]), tmp_path)
    x = images(1, 30) * 0.1 + np.arange(1, 4, dtype=np.float32).reshape(3, 1, 1)
    shifts = {}
    for corrected in (False, True):
        chosen = Settings(weights=2, acts=12, bias_correction=corrected)
        made = quantize_network(path, {"x": x}, settings=chosen, dialect="qonnx", evaluator="onnxruntime")
        fake = next(iter(evaluate_model(made.model, {"x": x[:, None]}).values()))
        exact = np.stack(
            [one[made.source.outputs[0]] for one in evaluate(made.source, {"x": x}, evaluator="onnxruntime")]
        )
        axes = tuple(i for i in range(exact.ndim) if i != 2)
        shifts[corrected] = np.abs((fake - exact).mean(axis=axes)).max()
    assert shifts[False] > 0.05
    assert shifts[True] < (0.05 if form == "conv" or form == "grouped" else 0.01) * shifts[False]


def test_several_outputs_and_shared_weights(tmp_path: Path) -> None:
    """Outputs in the middle of the network, one of them read on; one constant for two layers."""
    net = Net(1, SHAPE)
    shared = net.normal(3, 3, 1, 1)
    a = net.node("Relu", net.node("Conv", "x", shared))
    b = net.node("Conv", a, shared)
    model = net.model(a, b)
    for dialect in ("qdq", "qonnx"):
        made = quantize_network(save(model, tmp_path), {"x": images(1, 3)}, dialect=dialect)  # type: ignore[arg-type]
        assert [port.host_name for port in made.graph.outputs] == [a, b]
        fake = evaluate_model(made.model, {"x": images(1, 3)[:, None]})
        exact = list(evaluate(made.source, {"x": images(1, 3)}))
        for name in (a, b):
            assert np.abs(fake[name] - np.stack([one[name] for one in exact])).max() < 0.1


def test_an_open_batch_size_and_one_inference_are_accepted(tmp_path: Path) -> None:
    path = save(float_model("residual", batch="N"), tmp_path)
    assert quantize_network(path, {"input": images(1, 1)}).calibration_inputs == 1
    assert quantize_network(path, {"input": images(1, 1)[0][None]}).calibration_inputs == 1


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Settings(weights=0), "weights: expected 1 to 16 bits, got 0"),
        (lambda: Settings(acts=17), "acts: expected 1 to 16 bits, got 17"),
        (lambda: Settings(range="max"), "range 'max'"),  # type: ignore[arg-type]
        (lambda: Settings(percentile=50), "percentile: expected more than 50"),
        (lambda: parse_layers(["fc"]), "NAME=w8a8"),
        (lambda: parse_layers(["fc="]), "NAME=w8a8"),
        (lambda: parse_layers(["fc=8"]), "NAME=w8a8"),
        (lambda: parse_layers(["fc=w99"]), "1 to 16 bits, got 99"),
        (lambda: parse_layers(["fc=w8", "fc=a8"]), "given twice"),
    ],
)
def test_settings_that_cannot_be(call: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        call()


def test_exceptions_are_parsed() -> None:
    assert parse_layers(["a=b=w4a8", "c=a16", "d=w2"]) == {"a=b": Widths(4, 8), "c": Widths(None, 16), "d": Widths(2)}


def test_unknown_layers_are_named(tmp_path: Path) -> None:
    path = save(float_model("residual"), tmp_path)
    with pytest.raises(ConfigError, match=r"layer 'conv0': the network has no such layer; did you mean 'conv_0' or"):
        quantize_network(path, {"x": images(1, 2)}, settings=Settings(layers={"conv0": Widths(8)}))


def test_widths_that_qdq_has_not(tmp_path: Path) -> None:
    path = save(float_model("residual"), tmp_path)
    with pytest.raises(ModelError, match=r"QDQ has no uint5; .*--format qonnx"):
        quantize_network(path, {"x": images(1, 2)}, settings=Settings(acts=5), dialect="qdq")
    with pytest.raises(ConfigError, match="evaluator 'torch'"):
        quantize_network(path, {"x": images(1, 2)}, evaluator="torch")


def test_a_rectifier_behind_what_only_moves_stands_alone(tmp_path: Path) -> None:
    net = Net(1, SHAPE)
    y = net.node("Concat", "x", net.node("Conv", "x", net.normal(2, 3, 1, 1)), axis=1)
    path = save(net.model(net.node("Relu", y)), tmp_path)
    made = quantize_network(path, {"x": images(1, 3)})
    assert made.acts["t1"] == made.acts["x"]
    assert made.acts["t2"].low == 0 > made.acts["t1"].low
