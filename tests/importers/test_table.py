"""Layer tables in CSV: shapes, defaults, and errors that name file, line, column and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import ModelError, ModelFileError
from accelsim.graph import (
    Add,
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    Lut,
    MacLayer,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    Softmax,
)
from accelsim.importers import load_graph, packaged_models, resolve_model
from accelsim.importers.tables.lines import Lines
from accelsim.importers.tables.table import COLUMNS
from accelsim.numerics import IntFormat
from accelsim.resources import resource_path

HEADER = ",".join(column for column in COLUMNS if column not in ("output_bits", "output", "inputs"))


def load(tmp_path: Path, *rows: str, header: str = HEADER) -> Graph:
    path = tmp_path / "net.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return load_graph(path)


def one(tmp_path: Path, row: str) -> MacLayer:
    layer = load(tmp_path, row).layers[0]
    assert isinstance(layer, MacLayer)
    return layer


def test_a_convolution(tmp_path: Path) -> None:
    graph = load(tmp_path, "stem,conv2d,2,224,200,3,7,5,64,2,1,same,1,4,8")
    (layer,) = graph.layers
    assert isinstance(layer, Conv2D)
    g = layer.geometry
    assert (g.n, g.ih, g.iw, g.ic, g.oh, g.ow, g.oc, g.kh, g.kw) == (2, 224, 200, 3, 112, 100, 64, 7, 5)
    assert (g.stride_h, g.stride_w, g.pad_top, g.pad_left) == (2, 2, 2, 1)
    assert (layer.weight_format, layer.weights, layer.requant) == (IntFormat(4), None, None)
    assert graph.shape_only
    assert graph.arithmetic == "none"
    assert graph.name == "net"
    assert (graph.inputs[0].tensor, graph.outputs[0].tensor) == ("stem.in", "stem.out")


@pytest.mark.parametrize(
    ("padding", "size", "k", "stride", "dilation", "out", "before"),
    [
        ("same", 9, 3, 2, 1, 5, 1), ("valid", 9, 3, 2, 1, 4, 0), ("", 9, 3, 1, 2, 5, 0),
        ("3", 224, 7, 2, 1, 112, 3), ("0", 9, 3, 1, 1, 7, 0), ("SAME", 8, 3, 2, 1, 4, 0),
    ],
)  # fmt: skip
def test_padding(
    tmp_path: Path, padding: str, size: int, k: int, stride: int, dilation: int, out: int, before: int
) -> None:
    g = one(tmp_path, f"a,conv2d,1,{size},{size},4,{k},{k},8,{stride},{dilation},{padding},1,8,8").geometry
    assert (g.oh, g.ow, g.pad_top, g.pad_left) == (out, out, before, before)


def test_empty_cells_have_defaults(tmp_path: Path) -> None:
    layer = one(tmp_path, "a,conv2d,,5,5,4,,,,,,,,,")
    g = layer.geometry
    assert (g.n, g.kh, g.oc, g.stride_h, g.groups) == (1, 1, 4, 1, 1)
    assert layer.weight_format == IntFormat(8)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_table_is_longer_than_where_its_header_is_looked_for(tmp_path: Path, length: int) -> None:
    """Wherever that ends, no letter is cut: here every line begins with one of two bytes, at an even or an odd place."""
    rows = [f"é{k:0{length + 4}d},lut,4,4,8" for k in range(4000)]
    graph = load(tmp_path, *rows, header="# é\n\nname,op,h,w,c")
    assert [layer.name for layer in graph.layers] == [row.partition(",")[0] for row in rows]
    lines = Lines(tmp_path / "net.csv", (tmp_path / "net.csv").read_bytes())
    assert len(lines.data) > 2**16
    assert lines.header == ["name", "op", "h", "w", "c"]
    texts, numbers = lines.head
    assert (texts[1], numbers[:2]) == (rows[0], [3, 4])
    assert len(texts) < len(rows)
    assert list(texts[1:]) == rows[: len(texts) - 1]


@pytest.mark.parametrize("text", ["5", "05", "00000000005", "-5"])
def test_numbers_have_eleven_characters_at_most(tmp_path: Path, text: str) -> None:
    if text.startswith("-"):
        with pytest.raises(ModelError, match=f"column 'h': expected an integer of 1 to 2147483647, got '{text}'"):
            one(tmp_path, f"a,conv2d,,{text},5,4,,,,,,,,,")
        return
    assert one(tmp_path, f"a,conv2d,,{text},5,4,,,,,,,,,").geometry.ih == 5
    with pytest.raises(ModelError, match="expected an integer of 1 to 2147483647, got '000000000005'"):
        one(tmp_path, "a,conv2d,,000000000005,5,4,,,,,,,,,")


def test_columns_may_be_left_out_and_stand_in_any_order(tmp_path: Path) -> None:
    graph = load(tmp_path, "16,relu_free,dense,10,1", header="c,name,op,h,w")
    assert graph.layers[0].macs == 10 * 16 * 16


def test_depthwise(tmp_path: Path) -> None:
    layer = one(tmp_path, "a,depthwise_conv2d,1,8,8,6,3,3,12,1,1,same,6,8,8")
    assert isinstance(layer, DepthwiseConv2D)
    assert (layer.geometry.groups, layer.geometry.oc_per_group) == (6, 2)
    assert one(tmp_path, "a,depthwise_conv2d,1,8,8,6,3,3,6,1,1,same,,8,8").geometry.groups == 6


def test_dense_and_matmul(tmp_path: Path) -> None:
    dense = one(tmp_path, "a,dense,1,384,1,768,1,1,3072,1,1,valid,1,8,8")
    assert isinstance(dense, Dense)
    assert dense.macs == 384 * 768 * 3072
    graph = load(tmp_path, "a,matmul,1,384,1,768,1,1,4608,1,1,valid,12,8,8")
    (matmul,) = graph.layers
    assert isinstance(matmul, MatMul)
    assert matmul.macs == 12 * 384 * 64 * 384
    assert matmul.input_shapes == ((1, 384, 1, 768), (4608, 1, 1, 64))
    assert matmul.inputs == ("a.left", "a.right")
    assert graph.tensors["a.right"].shape == (4608, 1, 1, 64)


def test_the_right_operand_of_a_product_has_the_width_of_weights(tmp_path: Path) -> None:
    graph = load(tmp_path, "a,matmul,1,4,1,8,1,1,12,1,1,valid,2,4,8")
    widths = {name: tensor.format.bits for name, tensor in graph.tensors.items()}
    assert widths == {"a.left": 8, "a.right": 4, "a.out": 8}


def test_a_result_may_have_a_width_of_its_own_and_leave_the_network_though_it_is_read(tmp_path: Path) -> None:
    header = "name,op,h,w,c,oc,weight_bits,activation_bits,output_bits,output,inputs"
    key, scores = "key,dense,4,1,8,,4,8,3,yes,", "scores,matmul,4,1,8,4,3,8,,no,- key"
    graph = load(tmp_path, key, scores, header=header)
    assert {name: tensor.format.bits for name, tensor in graph.tensors.items()} == {
        "key.in": 8, "key.out": 3, "scores.left": 8, "scores.out": 8,
    }  # fmt: skip
    assert [port.tensor for port in graph.outputs] == ["key.out", "scores.out"]
    assert [layer.inputs for layer in graph.layers] == [("key.in",), ("scores.left", "key.out")]
    with pytest.raises(
        ModelError, match="expected a result of 32 elements of 4 bits, as this row reads, got key, which makes 32 of 3"
    ):
        load(tmp_path, key, scores.replace(",3,8", ",4,8"), header=header)
    with pytest.raises(ModelError, match=r"net\.csv:2: column 'output': expected 'yes', 'no' or nothing, got 'maybe'"):
        load(tmp_path, key.replace("yes", "maybe"), header=header)
    with pytest.raises(ModelError, match=r"net\.csv:2: column 'output_bits': expected an integer of 2 to 32, got '1'"):
        load(tmp_path, key.replace("3,yes", "1,yes"), header=header)


@pytest.mark.parametrize(
    ("op", "kind", "inputs", "shape"),
    [
        ("add", Add, 2, (1, 4, 6, 8)),
        ("mul", Mul, 2, (1, 4, 6, 8)),
        ("scale", Mul, 2, (1, 4, 6, 8)),
        ("max_pool", MaxPool2D, 1, (1, 2, 3, 8)),
        ("average_pool", AveragePool2D, 1, (1, 2, 3, 8)),
        ("mean", Mean, 1, (1, 1, 1, 8)),
        ("softmax", Softmax, 1, (24, 8)),
        ("lut", Lut, 1, (1, 4, 6, 8)),
    ],
)
def test_vector_layers(tmp_path: Path, op: str, kind: type, inputs: int, shape: tuple[int, ...]) -> None:
    graph = load(tmp_path, f"a,{op},1,4,6,8,2,2,,2,1,valid,1,8,16")
    (layer,) = graph.layers
    assert type(layer) is kind
    assert len(layer.inputs) == inputs
    assert layer.output_shape == shape
    assert {tensor.format for tensor in graph.tensors.values()} == {IntFormat(16)}


def test_a_scale_has_one_factor_per_channel(tmp_path: Path) -> None:
    graph = load(tmp_path, "gate,scale,2,4,6,8,,,,,,,,,")
    (layer,) = graph.layers
    assert layer.input_shapes == ((2, 4, 6, 8), (2, 1, 1, 8))
    assert graph.tensors["gate.right"].shape == (2, 1, 1, 8)


def test_rows_do_not_read_each_other(tmp_path: Path) -> None:
    graph = load(tmp_path, "a,lut,1,4,4,8,,,,,,,,,", "b,add,1,2,2,8,,,,,,,,,")
    assert [port.tensor for port in graph.inputs] == ["a.in", "b.left", "b.right"]
    assert [layer.name for layer in graph.layers] == ["a", "b"]


def test_comments_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text(
        f"\ufeff# made by hand\n\n  # another\n{HEADER}\n# inside\na,lut,1,4,4,8,,,,,,,,,\n\n", encoding="utf-8"
    )
    assert len(load_graph(path).layers) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,conv3d,1,4,4,8,1,1,8,1,1,same,1,8,8", r"net\.csv:2: column 'op': expected one of conv2d.*did you mean 'conv2d'.*got 'conv3d'"),
        ("a,conv2d,1,4,x,8,1,1,8,1,1,same,1,8,8", r"net\.csv:2: column 'w': expected an integer of 1 to 2147483647, got 'x'"),
        ("a,conv2d,1,4,,8,1,1,8,1,1,same,1,8,8", r"column 'w': expected an integer .* got ''"),
        ("a,conv2d,1,4,-4,8,1,1,8,1,1,same,1,8,8", r"column 'w'.*got '-4'"),
        ("a,conv2d,1,4,4,8,1,1,8,0,1,same,1,8,8", r"column 'stride'.*got '0'"),
        ("a,conv2d,1,4,4.0,8,1,1,8,1,1,same,1,8,8", r"column 'w'.*got '4\.0'"),
        ("a,conv2d,1,4,99999999999999,8,1,1,8,1,1,same,1,8,8", r"column 'w'"),
        ("a,conv2d,1,4,４,8,1,1,8,1,1,same,1,8,8", r"column 'w'"),
        ("a,conv2d,1,4,4,8,1,1,8,1,1,some,1,8,8", r"column 'padding': expected 'same', 'valid' or a number"),
        ("a,conv2d,1,4,4,8,1,1,8,1,1,-1,1,8,8", r"column 'padding'"),
        ("a,conv2d,1,4,4,8,5,5,8,1,1,valid,1,8,8", r"net\.csv:2: a kernel of extent 5 does not fit 4 cells"),
        ("a,conv2d,1,4,4,8,1,1,8,1,1,same,3,8,8", r"net\.csv:2: .*multiples of groups 3"),
        ("a,conv2d,1,4,4,8,1,1,8,1,1,same,1,33,8", r"column 'weight_bits': expected an integer of 1 to 32"),
        ("a,conv2d,1,4,4,8,1,1,8,1,1,same,1,8,1", r"column 'activation_bits': expected an integer of 2 to 32"),
        ("a,depthwise_conv2d,1,4,4,8,1,1,8,1,1,same,4,8,8", r"column 'groups': expected 8, the input channels"),
        ("a,dense,2,4,1,8,1,1,8,1,1,valid,1,8,8", r"column 'n': expected 1, the matrix having h rows"),
        ("a,dense,1,4,3,8,1,1,8,1,1,valid,1,8,8", r"column 'w': expected 1"),
        (",conv2d,1,4,4,8,1,1,8,1,1,same,1,8,8", r"column 'name': expected a layer name"),
        ("a,conv2d,1,4,4", r"net\.csv:2: 5 cells under 15 columns"),
        ('"a,conv2d,1,4,4,8,1,1,8,1,1,same,1,8,8', r"not a CSV file"),
    ],
)  # fmt: skip
def test_errors_name_file_line_column_and_what_was_expected(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        load(tmp_path, row)
    assert "\n" not in str(caught.value)


def test_names_must_be_unique(tmp_path: Path) -> None:
    row = "a,lut,1,4,4,8,,,,,,,,,"
    with pytest.raises(ModelError, match=r"net\.csv:3: column 'name': 'a' already stands at .*net\.csv:2"):
        load(tmp_path, row, row)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("name,op,h,w,c,strides", r"net\.csv:1: unknown column 'strides'.*did you mean 'stride'"),
        ("name,op,h,w", r"net\.csv:1: missing columns \['c'\]"),
        ("name,op,h,w,c,c", "a column stands twice"),
    ],
)
def test_headers(tmp_path: Path, header: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        load(tmp_path, "a,lut,1,4,4,8", header=header)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no header line"), ("# only a comment\n", "no header line"), (HEADER, "no layers")]
)
def test_tables_without_layers(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "net.csv"
    path.write_text(text)
    with pytest.raises(ModelFileError, match=reason):
        load_graph(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="No such file"):
        load_graph(tmp_path / "absent.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ModelFileError, match="not UTF-8"):
        load_graph(binary)


@pytest.mark.parametrize("path", sorted(resource_path("workloads").glob("*.csv")), ids=lambda path: path.stem)
def test_packaged_tables_load(path: Path) -> None:
    graph = load_graph(path)
    assert graph.macs > 0
    assert resolve_model(path.stem) == path
    assert packaged_models()[path.stem] == path


def test_resnet50_has_its_published_size() -> None:
    graph = load_graph(resolve_model("resnet50"))
    assert graph.weight_bytes == pytest.approx(25.5e6, rel=0.01)
    assert graph.macs == pytest.approx(3.86e9, rel=0.02)
