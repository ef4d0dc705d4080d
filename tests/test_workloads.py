"""The project's own workloads: layer tables against formulas and published figures, the digits model."""

from __future__ import annotations

import csv
import math
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.importers import load_graph
from tests.importers.flat import Op, T, tflite_bytes

WORKLOADS = Path(__file__).parents[1] / "workloads"
DIGITS = WORKLOADS / "digits_cnn"
TPU = ("tpu_cnn0", "tpu_lstm0", "tpu_lstm1", "tpu_mlp0", "tpu_mlp1")
TABLES = (
    *(
        "alexnet",
        "alexnet_conv1_scalesim",
        "bert_base",
        "efficientnet_lite0",
        "gpt2_small_decode",
        "gpt2_small_prefill",
    ),
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "resnet18", "resnet50", *TPU, "vgg16", "vit_b16"),
)
VENUES = ("CVPR", "NAACL", "NIPS", "ICLR", "ICML", "ICCV", "ISCA", "OpenAI", "arXiv")
JUMPS = {
    "vit_b16": {"layer0.query", "fc"},  # the class token joins the patches; the classifier reads it alone
    "gpt2_small_prefill": {"vocabulary"},  # of the last token
}
COLUMNS = "name,op,n,h,w,c,kh,kw,oc,stride,dilation,padding,groups,weight_bits,activation_bits,inputs"
VECTOR = {"add", "mul", "scale", "max_pool", "average_pool", "mean", "softmax", "lut"}
WEIGHTED = {"conv2d", "depthwise_conv2d", "dense"}
MATRIX = WEIGHTED | {"matmul"}
Row = dict[str, Any]


def read(name: str) -> list[Row]:
    lines = (WORKLOADS / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    body = [line for line in lines if not line.startswith("#")]
    return [
        {key: int(value) if value.isdigit() else value for key, value in row.items()} for row in csv.DictReader(body)
    ]


def side(row: Row, size: str, kernel: str) -> int:
    if row["padding"] == "same":
        return math.ceil(row[size] / row["stride"])
    margin = 0 if row["padding"] == "valid" else row["padding"]
    return (row[size] + 2 * margin - row[kernel]) // row["stride"] + 1


def output(row: Row) -> tuple[int, int, int]:
    return side(row, "h", "kh"), side(row, "w", "kw"), row["oc"]


def weights(row: Row) -> int:
    return row["kh"] * row["kw"] * row["c"] // row["groups"] * row["oc"] if row["op"] in WEIGHTED else 0


def macs(row: Row) -> int:
    if row["op"] not in MATRIX:
        return 0
    h, w, oc = output(row)
    return row["n"] * h * w * oc * row["kh"] * row["kw"] * row["c"] // row["groups"]


def total_macs(name: str) -> int:
    return sum(map(macs, read(name)))


def total_weights(name: str) -> int:
    return sum(map(weights, read(name)))


@pytest.fixture(scope="module")
def maker() -> dict[str, Any]:
    return runpy.run_path(str(WORKLOADS / "make_tables.py"))


# Layer tables


def test_every_table_has_a_maker(maker: dict[str, Any]) -> None:
    assert sorted(maker["TABLES"]) == sorted(TABLES) == sorted(path.stem for path in WORKLOADS.glob("*.csv"))


@pytest.mark.parametrize("name", TABLES)
def test_table_is_what_the_script_writes(name: str, maker: dict[str, Any]) -> None:
    assert (WORKLOADS / f"{name}.csv").read_bytes() == maker["TABLES"][name]().text("make_tables.py").encode()


@pytest.mark.parametrize("name", TABLES)
def test_table_has_source_and_header(name: str) -> None:
    lines = (WORKLOADS / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    assert lines[: len(comments)] == comments
    assert any(venue in " ".join(comments) for venue in VENUES)
    assert lines[len(comments)] == COLUMNS


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_well_formed(name: str) -> None:
    rows = read(name)
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert row["op"] in MATRIX | VECTOR
        assert row["padding"] in ("same", "valid") or isinstance(row["padding"], int)
        assert all(row[key] >= 1 for key in COLUMNS.split(",")[2:] if key not in ("padding", "inputs"))
        assert row["c"] % row["groups"] == row["oc"] % row["groups"] == 0
        assert min(output(row)) >= 1


@pytest.mark.parametrize("name", TABLES)
def test_operators_keep_their_conventions(name: str) -> None:
    for row in read(name):
        if row["op"] in MATRIX:
            assert row["op"] != "depthwise_conv2d" or row["groups"] == row["c"] == row["oc"]
            assert row["op"] not in ("dense", "matmul") or (row["w"], row["kh"], row["kw"]) == (1, 1, 1)
        else:
            assert row["oc"] == row["c"]
            assert row["groups"] == 1
        assert row["op"] != "mean" or (row["kh"], row["kw"]) == (row["h"], row["w"])


@pytest.mark.parametrize("name", TABLES)
def test_each_row_reads_what_the_row_before_wrote(name: str) -> None:
    rows = read(name)
    for before, row in pairwise(rows):
        if name.startswith("resnet") and row["name"].endswith("project"):
            continue  # ResNet's projection shortcut reads the block's input
        if row["op"] == "scale" or row["name"] in JUMPS.get(name, ()):
            continue  # a gate multiplies what stood before the squeeze
        assert math.prod(output(before)) == row["h"] * row["w"] * row["c"], row["name"]


def test_resnet50_projections_read_the_block_input() -> None:
    rows = {row["name"]: row for row in read("resnet50")}
    projections = [name for name in rows if name.endswith(".project")]
    assert projections == [f"conv{stage}_1.project" for stage in (2, 3, 4, 5)]
    for name in projections:
        first, last = rows[name.replace("project", "reduce")], rows[name.replace("project", "expand")]
        assert [rows[name][key] for key in "hwc"] == [first[key] for key in "hwc"]
        assert output(rows[name]) == output(last)


def resnet50_stage(*, size: int, entry: int, width: int, blocks: int) -> int:
    """MACs of one stage: every convolution of v1 runs at the stage's own resolution."""
    first = entry * width + 9 * width**2 + 4 * width**2 + entry * 4 * width
    other = 4 * width**2 + 9 * width**2 + 4 * width**2
    return size**2 * (first + (blocks - 1) * other)


def test_resnet50_macs() -> None:
    stages = (
        resnet50_stage(size=56, entry=64, width=64, blocks=3)
        + resnet50_stage(size=28, entry=256, width=128, blocks=4)
        + resnet50_stage(size=14, entry=512, width=256, blocks=6)
        + resnet50_stage(size=7, entry=1024, width=512, blocks=3)
    )
    assert total_macs("resnet50") == 112**2 * 49 * 3 * 64 + stages + 2048 * 1000
    assert total_macs("resnet50") == pytest.approx(3.86e9, abs=0.005e9)


def test_resnet50_layers_and_weights() -> None:
    rows = read("resnet50")
    counts = {op: sum(row["op"] == op for row in rows) for op in ("conv2d", "dense", "add", "max_pool", "mean")}
    assert counts == {"conv2d": 53, "dense": 1, "add": 16, "max_pool": 1, "mean": 1}
    # 25 557 032 parameters, less the normalizations' scale and offset per channel and the classifier's biases
    normalized = sum(row["oc"] for row in rows if row["op"] == "conv2d")
    assert total_weights("resnet50") == 25_557_032 - 2 * normalized - 1000


def test_mobilenet_v2_macs() -> None:
    total, size, entry = 112**2 * 9 * 3 * 32, 112, 32
    strides = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    widths = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]
    for index, (stride, width) in enumerate(zip(strides, widths, strict=True)):
        hidden = entry * (6 if index else 1)
        total += size**2 * entry * hidden if index else 0
        size //= stride
        total += size**2 * hidden * (9 + width)
        entry = width
    assert total_macs("mobilenet_v2") == total + 7**2 * 320 * 1280 + 1280 * 1000
    assert total_macs("mobilenet_v2") == pytest.approx(300.8e6, abs=0.05e6)


def test_mobilenet_v2_layers_and_weights() -> None:
    rows = read("mobilenet_v2")
    counts = {op: sum(row["op"] == op for row in rows) for op in ("conv2d", "depthwise_conv2d", "dense", "add")}
    assert counts == {"conv2d": 35, "depthwise_conv2d": 17, "dense": 1, "add": 10}
    # 3 504 872 parameters, less the normalizations' scale and offset per channel and the classifier's biases
    normalized = sum(row["oc"] for row in rows if row["op"] in ("conv2d", "depthwise_conv2d"))
    assert total_weights("mobilenet_v2") == 3_504_872 - 2 * normalized - 1000


def test_bert_base_macs_and_weights() -> None:
    linear = 12 * (4 * 768**2 + 2 * 768 * 3072)
    attention = 2 * 12 * 12 * 384 * 384 * 64
    assert total_macs("bert_base") == linear * 384 + attention
    assert total_weights("bert_base") == linear
    assert sum(macs(row) for row in read("bert_base") if row["op"] == "matmul") == attention


def test_bert_base_layers_are_alike() -> None:
    rows = read("bert_base")
    layers = [
        [{**row, "name": row["name"].split(".")[1], "inputs": None} for row in rows[at : at + 12]]
        for at in range(0, len(rows), 12)
    ]
    assert len(layers) == 12
    assert all(layer == layers[0] for layer in layers)
    assert [row["op"] for row in layers[0]].count("matmul") == 2


def test_alexnet_conv1_has_the_published_output() -> None:
    (row,) = read("alexnet_conv1_scalesim")
    assert output(row) == (55, 55, 96)
    assert weights(row) // row["oc"] == 363
    assert macs(row) == 3025 * 363 * 96


# Digits model


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(DIGITS / "digits_test.npz") as stored:
        assert sorted(stored) == ["input", "labels"]
        return stored["input"], stored["labels"]


def operators(name: str) -> list[str]:
    tflite = pytest.importorskip("tflite")
    model = tflite.Model.GetRootAsModel((DIGITS / f"{name}.tflite").read_bytes(), 0)
    graph = model.Subgraphs(0)
    codes = [
        model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode() for i in range(graph.OperatorsLength())
    ]
    names = {code: name for name, code in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
    return [names[code] for code in codes]


def test_digits_test_set(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    assert (images.shape, images.dtype) == ((450, 8, 8, 1), np.int8)
    assert (labels.shape, labels.dtype) == ((450,), np.int64)
    assert sorted(set(labels.tolist())) == list(range(10))
    assert np.bincount(labels).min() >= 40
    assert (images.min(), images.max()) == (-128, 127)


def test_digits_images_are_those_of_scikit_learn(digits: tuple[np.ndarray, np.ndarray]) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = digits
    pixels = np.rint((images[..., 0].astype(int) + 128) * 16 / 255).astype(int)
    source = datasets.load_digits()
    known = {image.astype(int).tobytes(): label for image, label in zip(source.images, source.target, strict=True)}
    assert [known[image.tobytes()] for image in pixels] == labels.tolist()


@pytest.mark.parametrize("name", ["digits_cnn_int8", "digits_cnn_int16x8"])
def test_digits_model_is_small_and_mixed(name: str) -> None:
    assert (DIGITS / f"{name}.tflite").stat().st_size < 60_000
    assert operators(name) == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "ADD",
        "MEAN",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]


def litert_outputs(name: str, images: np.ndarray) -> np.ndarray:
    """Output codes (N, 10) of LiteRT's reference kernels; int8 images are rescaled to the model's own input codes."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    resolver = litert.OpResolverType.BUILTIN_REF
    runner = litert.Interpreter(str(DIGITS / f"{name}.tflite"), experimental_op_resolver_type=resolver)
    runner.allocate_tensors()
    source, sink = runner.get_input_details()[0], runner.get_output_details()[0]
    scale, zero_point = source["quantization"]
    codes = np.rint((images.astype(np.float64) + 128) / 255 / scale) + zero_point
    limits = np.iinfo(source["dtype"])
    outputs = []
    for image in np.clip(codes, limits.min, limits.max).astype(source["dtype"]):
        runner.set_tensor(source["index"], image[None])
        runner.invoke()
        outputs.append(runner.get_tensor(sink["index"])[0].copy())
    return np.array(outputs)


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "dtype"), [("digits_cnn_int8", np.int8), ("digits_cnn_int16x8", np.int16)])
def test_digits_accuracy_in_litert(name: str, dtype: type, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    outputs = litert_outputs(name, images)
    assert outputs.dtype == dtype
    assert (outputs.argmax(axis=1) == labels).mean() >= 0.97


@pytest.mark.oracle
def test_stored_codes_are_the_int8_models_own(digits: tuple[np.ndarray, np.ndarray]) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    scale, zero_point = litert.Interpreter(str(DIGITS / "digits_cnn_int8.tflite")).get_input_details()[0][
        "quantization"
    ]
    grey = np.arange(17) / 16  # the 17 values a pixel can have
    codes = np.clip(np.rint(grey / scale) + zero_point, -128, 127).astype(np.int8)
    assert set(np.unique(digits[0])) <= set(codes)


@pytest.mark.oracle
def test_tflite_micro_agrees_on_int8(digits: tuple[np.ndarray, np.ndarray]) -> None:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    images, labels = digits
    runner = runtime.Interpreter.from_file(str(DIGITS / "digits_cnn_int8.tflite"))
    outputs = []
    for image in images:
        runner.set_input(image[None], 0)
        runner.invoke()
        outputs.append(np.array(runner.get_output(0))[0])
    assert (np.argmax(outputs, axis=1) == labels).mean() >= 0.97
    np.testing.assert_array_equal(outputs, litert_outputs("digits_cnn_int8", images))


@pytest.mark.parametrize("width", ["int8", "int16x8"])
def test_the_digits_model_names_its_layers(width: str) -> None:
    path = DIGITS / f"digits_cnn_{width}.tflite"
    script = runpy.run_path(str(DIGITS / "names.py"))
    graph = load_graph(path)
    assert tuple(layer.name for layer in graph.layers) == script["LAYERS"]
    assert [port.host_name for port in (*graph.inputs, *graph.outputs)] == ["image", "probabilities"]
    assert script["named"](path.read_bytes()) == path.read_bytes()
    other = tflite_bytes([T("x", (1, 4), "INT8"), T("y", (1, 4), "INT8")], [Op("RELU", ["x"], ["y"])], ["x"], ["y"])
    with pytest.raises(ValueError, match="1 operators, expected those of conv1"):
        script["named"](other)
