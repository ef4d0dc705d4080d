"""Float .tflite networks against LiteRT in float, and quantized against ONNX Runtime and the integers that accelsim computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from accelsim.errors import InputError, ModelError, UnsupportedOperatorError
from accelsim.ptq import Quantized, Settings, evaluate, evaluate_model, quantize_network, read_float
from accelsim.quant import dequantize
from tests.importers.flat import Op, T, tflite_bytes
from tests.importers.onnx.runtime import run_graph, runtime
from tests.ptq.test_quantize_cli import cli
from tests.ptq.tflite_networks import CASES, IMAGE, TANH, VALID, Array, TfNet, inputs, litert, mixture
from tests.shared_models import SHARED, model_path

MODELS = ("ad_autoencoder_fp32", "ic_resnet8_fp32", "vww_mobilenetv1_fp32")


def network(name: str, folder: Path, seed: int = 1) -> tuple[Path, Array]:
    """The file of one case, and inputs."""
    shape, build = CASES[name]
    net = TfNet(seed, shape)
    build(net)
    return net.save(folder), inputs(shape, 6)


def rounding(theirs: Array) -> dict[str, float]:
    """What the order of float32 sums may change."""
    return {"rtol": 2e-5, "atol": 4e-6 * float(np.abs(theirs).max())}


def photographs(size: int, count: int) -> Array:
    """Squares cut out of scikit-learn's two photographs, (count, 1, size, size, 3), 0 to 255."""
    datasets = pytest.importorskip("sklearn.datasets")
    rng, cut = np.random.default_rng(0), []
    for i in range(count):
        image = datasets.load_sample_images().images[i % 2]
        side = int(rng.integers(size, 400))
        row, column = (int(rng.integers(0, have - side + 1)) for have in image.shape[:2])
        steps = np.arange(size) * side // size
        cut.append(image[row : row + side, column : column + side][steps][:, steps])
    return np.stack(cut)[:, None].astype(np.float32)


def samples(name: str, count: int) -> Array:
    """Inputs of a trained network, as it was trained to take them."""
    if name.startswith("ad"):
        with np.load(SHARED / "samples" / "ad_mel_windows_f32.npz") as held:
            return np.asarray(held["input"][:count, None], np.float32)
    return photographs(32, count) if name.startswith("ic") else photographs(96, count) / np.float32(255)


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_one_operator_computes_what_litert_does(name: str, tmp_path: Path) -> None:
    for seed in range(3):
        path, x = network(name, tmp_path, seed)
        model = read_float(path)
        theirs = next(iter(litert(path, x).values()))
        for evaluator in ("onnx", "onnxruntime"):
            ours = np.stack([made[model.outputs[0]] for made in evaluate(model, {"x": x}, evaluator=evaluator)])
            assert ours.shape == theirs.shape
            assert np.allclose(ours, theirs, **rounding(theirs)), np.abs(ours - theirs).max()
        assert np.ptp(theirs) > 0.05


@pytest.mark.oracle
@pytest.mark.parametrize("name", MODELS)
def test_a_trained_network_computes_what_litert_does(name: str) -> None:
    path = model_path(name)
    model, x = read_float(path), samples(name, 6)
    ours = np.stack([m[model.outputs[0]] for m in evaluate(model, {"input": x}, evaluator="onnxruntime")])
    theirs = next(iter(litert(path, x).values()))
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, **rounding(theirs))
    assert np.ptp(theirs) > 0.5


def codes_of(quantized: Quantized, x: Array) -> dict[str, Any]:
    port = quantized.source.inputs[0].name
    runs = [run_graph(quantized.graph, {port: one}) for one in x]
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def output(quantized: Quantized, x: Array) -> Array:
    """What the integers of accelsim stand for."""
    known = quantized.acts[quantized.source.outputs[0]]
    codes = codes_of(quantized, x)[quantized.graph.outputs[0].tensor]
    return dequantize(codes, scale=known.scale, zero_point=known.zero_point)


def optimized(quantized: Quantized, x: Array) -> Array:
    """ONNX Runtime, with the integer operators that its optimizer fuses."""
    session = runtime(quantized.model, int8=True)
    return np.stack([session.run(None, {session.get_inputs()[0].name: one})[0] for one in x])


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_no_output_of_one_operator_differs_from_onnxruntime(name: str, tmp_path: Path) -> None:
    """7-bit weights, which no x86 processor saturates."""
    path, x = network(name, tmp_path)
    made = quantize_network(path, {"x": x}, settings=Settings(weights=7), dialect="qdq", evaluator="onnxruntime")
    assert int((output(made, x) != optimized(made, x)).sum()) == 0


QDQ_ONLY = ("transposed", "MINIMUM", "MAXIMUM", "SQUARED", "prelu", "matrices", "DIV of two", "rsqrt")
"""QONNX has no rule for these, or none where codes stand for 0."""


@pytest.mark.oracle
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(QDQ_ONLY)])
def test_qonnx_of_one_operator_is_its_integers(name: str, tmp_path: Path) -> None:
    path, x = network(name, tmp_path)
    chosen = Settings(weights=4, acts=8 if "softmax" in name else 6, power_of_two=True)
    made = quantize_network(path, {"x": x}, settings=chosen, dialect="qonnx", evaluator="onnxruntime")
    fake = next(iter(evaluate_model(made.model, {"x": x}).values()))
    assert np.array_equal(output(made, x), fake)


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("name", MODELS)
def test_no_output_of_a_trained_network_differs_from_onnxruntime(name: str) -> None:
    """7-bit weights per channel."""
    path, x = model_path(name), samples(name, 40)
    chosen = Settings(weights=7, per_channel=True)
    made = quantize_network(path, {"input": x}, settings=chosen, dialect="qdq", evaluator="onnxruntime")
    given = x[:16]
    assert int((output(made, given) != optimized(made, given)).sum()) == 0


def published(name: str, x: Array) -> Array:
    """The published int8 network by LiteRT's reference kernels, in real numbers."""
    runner = Interpreter(str(model_path(name)), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    runner.allocate_tensors()
    (source,), (target,) = runner.get_input_details(), runner.get_output_details()
    (s, z), (s_out, z_out) = source["quantization"], target["quantization"]
    made = []
    for one in x:
        runner.set_tensor(source["index"], np.clip(np.rint(one / s) + z, -128, 127).astype(np.int8))
        runner.invoke()
        made.append((runner.get_tensor(target["index"]).astype(np.float32) - z_out) * np.float32(s_out))
    return np.stack(made)


def noise(made: Array, real: Array) -> float:
    """Power of the error, of the signal."""
    return float(np.square(made - real).sum() / np.square(real).sum())


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("name", ["ad_autoencoder", "ic_resnet8"])
def test_it_is_as_near_to_float_as_the_published_int8(name: str) -> None:
    """The same networks, quantized by the converter from their own training data; ours from other data than is tested."""
    path, x = model_path(f"{name}_fp32"), samples(f"{name}_fp32", 196)
    calibration, given = x[:120], x[120:]
    chosen = Settings(per_channel=True, range="mse")
    made = quantize_network(path, {"input": calibration}, settings=chosen, evaluator="onnxruntime")
    real = next(iter(litert(path, given).values()))
    ours, theirs = output(made, given), published(f"{name}_int8", given)
    assert noise(ours, real) <= noise(theirs, real)
    if name.startswith("ic"):
        right = [int((one.argmax(-1) == real.argmax(-1)).sum()) for one in (ours, theirs)]
        assert right[0] >= right[1] - 2
        assert right[0] > 0.9 * len(given)


def test_the_input_is_that_of_the_tflite_file(tmp_path: Path) -> None:
    """Rows, columns, channels; one transposition at the input, one at an output of 4 axes, none between."""
    net = TfNet(1, IMAGE)
    net.window("DEPTHWISE_CONV_2D", net.conv("x", 5), (3, 3))
    path = net.save(tmp_path)
    model = read_float(path)
    assert [node.op for node in model.nodes] == ["Transpose", "Conv", "Conv", "Transpose"]
    assert [(value.name, value.shape) for value in model.inputs] == [("x", IMAGE)]
    made = quantize_network(path, {"x": inputs(IMAGE, 2)})
    assert [port.host_name for port in made.graph.inputs] == ["x"]
    assert output(made, inputs(IMAGE, 2)).shape == (2, 1, 9, 8, 5)


def test_layers_go_by_the_names_of_the_file(tmp_path: Path) -> None:
    from accelsim.ptq.settings import Widths

    net = TfNet(1, IMAGE)
    net.conv(net.conv("x", 4, fused=1), 3)
    path = net.save(tmp_path)
    for name in ("t0", "1"):
        made = quantize_network(path, {"x": inputs(IMAGE, 2)}, settings=Settings(layers={name: Widths(4)}))
        assert sorted(held.format.bits for held in made.weights.values()) == [4, 8]


def test_an_output_in_the_middle_and_read_on(tmp_path: Path) -> None:
    net = TfNet(1, IMAGE)
    y = net.conv("x", 4, fused=1)
    z = net.op("RESHAPE", [y, net.ints(1, 288)], (1, 288))
    path, x = net.save(tmp_path, y, z), inputs(IMAGE, 2)
    model, theirs = read_float(path), litert(path, x)
    assert model.outputs == (y, z)
    made = list(evaluate(model, {"x": x}))
    for name in (y, z):
        assert np.allclose(np.stack([one[name] for one in made]), theirs[name], rtol=2e-5, atol=1e-5)


def test_float16_constants_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 1, (3, 7)).astype(np.float16)
    tensors = [T("x", ROWS_, "FLOAT32"), T("h", (3, 7), "FLOAT16"), T("w", (3, 7), "FLOAT32"), T("y", (1, 3), "FLOAT32")]  # fmt: skip
    tensors[1].data = values
    operators = [Op("DEQUANTIZE", ["h"], ["w"]), Op("FULLY_CONNECTED", ["x", "w", None], ["y"])]
    path = tmp_path / "half.tflite"
    path.write_bytes(tflite_bytes(tensors, operators, ["x"], ["y"]))
    x = inputs(ROWS_, 2)
    (first, _) = evaluate(read_float(path), {"x": x})
    assert np.allclose(first["y"], x[0] @ values.T.astype(np.float32), rtol=1e-5, atol=1e-6)


ROWS_ = (1, 7)


@pytest.mark.parametrize("axis", [None, 0])
def test_weights_alone_that_are_quantized_are_what_their_codes_stand_for(axis: int | None, tmp_path: Path) -> None:
    """Dynamic-range files, whose activations are float; sizes that an open batch leaves to arithmetic are passed over."""
    codes, scales = np.arange(-10, 11).reshape(3, 7), [0.1, 0.2, 0.3]
    given = {"scale": 0.1} if axis is None else {"scale": scales, "axis": axis, "zero": [0] * 3}
    tensors = [T("x", ROWS_, "FLOAT32"), T("w", (3, 7), "INT8", data=codes, **given), T("y", (1, 3), "FLOAT32")]
    tensors += [T("s", (2,), "INT32"), T("z", (1, 3), "FLOAT32")]
    operators = [Op("FULLY_CONNECTED", ["x", "w", None], ["y"], {"AsymmetricQuantizeInputs": True})]
    operators += [Op("SHAPE", ["y"], ["s"]), Op("RESHAPE", ["y", "s"], ["z"])]
    path = tmp_path / "hybrid.tflite"
    path.write_bytes(tflite_bytes(tensors, operators, ["x"], ["z"]))
    x = np.random.default_rng(0).normal(size=(4, *ROWS_)).astype(np.float32)
    real = codes * np.float32(0.1 if axis is None else scales).reshape(-1, 1)
    made = [tensors["z"] for tensors in evaluate(read_float(path), {"x": x})]
    assert np.allclose(made, x @ real.T, atol=1e-5)
    quantized = quantize_network(path, {"x": x}, settings=Settings(weights=7), dialect="qdq")
    assert int((output(quantized, x) != optimized(quantized, x)).sum()) == 0


def _typed(kind: str, weights: str) -> bytes:
    data = np.ones((3, 7))
    tensors = [T("x", ROWS_, kind), T("w", (3, 7), weights, scale=0.1, data=data), T("y", (1, 3), kind)]
    return tflite_bytes(tensors, [Op("FULLY_CONNECTED", ["x", "w", None], ["y"])], ["x"], ["y"])


def _built(build: Any, shape: Any = IMAGE, kind: str = "FLOAT32") -> bytes:
    net = TfNet(1, shape, kind)
    build(net)
    return net.blob()


REFUSED: dict[str, tuple[Any, str]] = {
    "int8": (lambda: _typed("INT8", "INT8"), r"quantized already \(tensor 'x' is INT8\); accelsim run reads it"),
    "integer input": (
        lambda: _built(lambda n: n.op("RESHAPE", ["x", n.ints(7)], (7,)), (1, 7), "INT32"),
        "graph input 'x' is INT32; expected FLOAT32",
    ),
    "NaN": (
        lambda: _built(lambda n: n.op("ADD", [n.conv("x", 6), n.constant(np.full(6, np.nan))], IMAGE)),
        r"constant 'c\d' holds NaN",
    ),
    "unknown": (
        lambda: _built(lambda n: n.op("COS", [n.conv("x", 6)], IMAGE)),
        r"operator 1 COS \(output 't1'\): the operator cannot be quantized; accepted: CONV_2D, ",
    ),
    "fused tanh": (lambda: _built(lambda n: n.conv("x", 3, fused=TANH)), r"operator 0 CONV_2D .*activation is TANH"),
    "beta": (lambda: _built(lambda n: n.op("SOFTMAX", ["x"], (1, 7), Beta=2.0), (1, 7)), "SOFTMAX .*its beta is 2"),
    "fill": (
        lambda: _built(lambda n: n.op("PADV2", ["x", n.ints(*[[0, 1]] * 4), n.constant(1.0)], (2, 10, 9, 7))),
        "PADV2 .*its fill value is 1",
    ),
    "ranks": (
        lambda: _built(lambda n: n.op("ADD", ["x", n.op("RESHAPE", ["x", n.ints(432)], (432,))], IMAGE)),
        "ADD .*its operands have 4 and 1 axes",
    ),
    "weights at run time": (
        lambda: _built(lambda n: n.op("FULLY_CONNECTED", ["x", "x", None], (7, 7)), (7, 7)),
        r"FULLY_CONNECTED .*its weights \(input 1\) are computed at run time",
    ),
    "channels": (
        lambda: _built(lambda n: n.op("CONV_2D", ["x", n.normal(2, 1, 1, 4)], (1, 9, 8, 2), StrideH=1, StrideW=1)),
        "CONV_2D .*do not fit 6 channels",
    ),
    "strides": (
        lambda: _built(lambda n: n.op("CONV_2D", ["x", n.normal(2, 1, 1, 6)], (1, 9, 8, 2))),
        r"CONV_2D .*its strides are \(0, 0\)",
    ),
    "absent": (lambda: _built(lambda n: n.op("ADD", ["x", None], IMAGE)), "ADD .*input 1 is absent"),
    "constant activation": (
        lambda: _built(lambda n: n.op("RELU", [n.normal(*IMAGE)], IMAGE)),
        r"operator 0 RELU .*tensor 'c\d' is a constant; accepted: an activation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["x", "w"])
def test_an_output_that_no_operator_makes_is_refused(name: str, tmp_path: Path) -> None:
    net = TfNet(1, IMAGE)
    y = net.conv("x", 3)
    net.tensors += [T("h", (3,), "FLOAT16", data=np.ones(3)), T("w", (3,), "FLOAT32")]
    net.operators.append(Op("DEQUANTIZE", ["h"], ["w"]))
    with pytest.raises(ModelError, match=f"graph output '{name}' is a graph input or a constant"):
        read_float(net.save(tmp_path, y, name))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_file_operator_and_reason(name: str, tmp_path: Path) -> None:
    build, text = REFUSED[name]
    path = tmp_path / "model.tflite"
    path.write_bytes(build())
    with pytest.raises(ModelError, match=text) as caught:
        read_float(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_shapes_that_contradict_each_other_are_one_error(tmp_path: Path) -> None:
    """The file says 5 x 5; no evaluator can make it so."""
    net = TfNet(1, IMAGE)
    y = net.conv("x", 6)
    path = net.save(tmp_path, net.op("ADD", [y, net.conv("x", 6, (2, 3), padding=VALID, stride=2)], IMAGE))
    with pytest.raises(ModelError, match="the evaluator onnx cannot run the network"):
        quantize_network(path, {"x": inputs(IMAGE, 1)})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x.transpose(0, 1, 4, 2, 3), r"expected \(1, 12, 10, 3\)"),
        (lambda x: np.where(x > 1, np.nan, x), "holds nan at index"),
        (lambda x: x.astype(np.int8), "int8; expected real numbers"),
    ],
)
def test_calibration_data_that_does_not_fit(change: Any, text: str, tmp_path: Path) -> None:
    net = TfNet(1, (1, 12, 10, 3))
    mixture(net)
    with pytest.raises(InputError, match=text):
        quantize_network(net.save(tmp_path), {"x": change(inputs((1, 12, 10, 3), 2))})


def test_a_pad_of_other_numbers_is_refused_in_onnx_too(tmp_path: Path) -> None:
    from tests.ptq.networks import SHAPE, Net, save

    for extra, mode in ((1.0, "constant"), (0.0, "reflect")):
        net = Net(1, SHAPE)
        pads = net.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
        model = net.model(net.node("Pad", "x", pads, net.constant(extra), mode=mode))
        with pytest.raises(UnsupportedOperatorError, match="Pad .*other numbers than zeros"):
            read_float(save(model, tmp_path))


def test_from_a_tflite_file_to_the_machine(tmp_path: Path) -> None:
    """The commands as a user types them; the same arrays all the way."""
    net, path, out, calib = TfNet(1, (1, 12, 10, 3)), tmp_path / "float.tflite", tmp_path / "q.onnx", tmp_path / "c.npz"
    mixture(net)
    path.write_bytes(net.blob())
    np.savez(calib, input=inputs((12, 10, 3), 4))
    assert "accelsim quantize" in cli("run", path, "--arch", "edge_16x16").stderr
    none = cli("quantize", path, "-o", out)
    assert none.exit_code == 1
    assert "no calibration data" in none.stderr
    done = cli("quantize", path, "--calib", calib, "--per-channel", "-o", out)
    assert done.exit_code == 0, done.output
    run = cli("run", out, "--arch", "edge_16x16", "--arithmetic", "onnxruntime", "--input", calib)
    assert run.exit_code == 0, run.output
