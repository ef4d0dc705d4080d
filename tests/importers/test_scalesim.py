"""SCALE-Sim topologies: two forms told apart by their header, and errors that name file, line, column and remedy."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import ModelError, ModelFileError
from accelsim.graph import Conv2D, Dense, Graph, MacLayer
from accelsim.importers import load_graph
from accelsim.importers.tables.lines import read_lines
from accelsim.importers.tables.scalesim import is_topology
from accelsim.importers.tables.table import COLUMNS
from accelsim.numerics import IntFormat
from accelsim.simulation import simulate

SCALESIM = Path(os.environ.get("ACCELSIM_SCALESIM_PYTHON", ""))
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
AXES = "Layer name, IFMAP height, IFMAP width, Filter height, Filter width, Channels, Num filter, Stride height, Stride width,"
GEMM = "Layer, M, N, K,"


def load(tmp_path: Path, header: str, *rows: str) -> Graph:
    path = tmp_path / "net.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return load_graph(path)


def one(tmp_path: Path, header: str, row: str) -> MacLayer:
    (layer,) = load(tmp_path, header, row).layers
    assert isinstance(layer, MacLayer)
    return layer


def test_a_convolution(tmp_path: Path) -> None:
    layer = one(
        tmp_path, CONV, "Conv1     ,224         ,200        ,11           ,7          ,3       ,96        ,4      ,"
    )
    assert isinstance(layer, Conv2D)
    g = layer.geometry
    assert (g.n, g.ih, g.iw, g.ic, g.oh, g.ow, g.oc, g.kh, g.kw) == (1, 224, 200, 3, 55, 50, 96, 11, 7)
    assert (g.stride_h, g.stride_w, g.pad_top, g.pad_left, g.groups) == (4, 4, 0, 0, 1)
    assert (layer.name, layer.weight_format, layer.weights) == ("Conv1", IntFormat(8), None)


def test_a_product(tmp_path: Path) -> None:
    graph = load(tmp_path, GEMM, "QKT,1024,512,64,")
    (layer,) = graph.layers
    assert isinstance(layer, Dense)
    g = layer.geometry
    assert (g.oh, g.oc, g.reduction) == (1024, 512, 64)
    assert graph.shape_only
    assert graph.macs == 1024 * 512 * 64
    assert graph.tensors["QKT.in"].shape == (1, 1024, 1, 64)


def test_columns_go_by_the_header_not_by_position(tmp_path: Path) -> None:
    assert one(tmp_path, "layer,K,M,N", "a,64,1024,512").macs == one(tmp_path, GEMM, "a,1024,512,64,").macs
    g = one(tmp_path, "Layer name,Strides,Channels,Num Filter,IFMAP Height,IFMAP Width,Filter Height,Filter Width",
            "a,2,3,4,9,8,5,1").geometry  # fmt: skip
    assert (g.ic, g.oc, g.ih, g.iw, g.kh, g.kw, g.oh, g.ow) == (3, 4, 9, 8, 5, 1, 3, 5)


BY_POSITION = [
    (CONV.replace("Channels, Num Filter", "Channel, Num filters"), "a,9,8,5,1,3,4,2,"),
    ("L,H,W,R,S,C,K,Stride,", "a,9,8,5,1,3,4,2,"),
    ("Layer,H,W,R,S,C,K,T", "a,9,8,5,1,3,4,2"),
    ("a,b,c,d,e,f,g,h,Sparsity,", "a,9,8,5,1,3,4,2,1:1,"),
    ("L,M,N,K,", "a,7,5,3,"),
    ("Layers,rows,columns,depth,", "a,7,5,3,"),
    ("x,y,z,t,", "a,7,5,3,"),
]


@pytest.mark.parametrize(("header", "row"), BY_POSITION)
def test_a_header_of_other_words_goes_by_position(header: str, row: str, tmp_path: Path) -> None:
    proper = GEMM if row.count(",") < 6 else CONV + ("Sparsity," if ":" in row else "")
    assert one(tmp_path, header, row).geometry == one(tmp_path, proper, row).geometry


@pytest.mark.skipif(not SCALESIM.is_file(), reason="ACCELSIM_SCALESIM_PYTHON names no python with scalesim")
@pytest.mark.parametrize(
    ("header", "row"), [each for each in BY_POSITION if each[1].endswith(",") and ":" not in each[1]]
)
def test_scalesim_reads_the_same(header: str, row: str, tmp_path: Path) -> None:
    layer = one(tmp_path, header, row)
    script = (
        "import sys; from scalesim.topology_utils import topologies as t; a = t();"
        "a.load_arrays(sys.argv[1], sys.argv[2] == '1'); a.topo_calc_hyperparams(); print(a.layers_calculated_hyperparams[0][2])"
    )
    command = [str(SCALESIM), "-c", script, str(tmp_path / "net.csv"), str(int(row.count(",") < 6))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={})
    assert int(done.stdout.split()[-1]) == layer.macs


def test_strides_of_both_axes(tmp_path: Path) -> None:
    g = one(tmp_path, AXES, "a,9,9,3,3,2,4,1,3,").geometry
    assert (g.stride_h, g.stride_w, g.oh, g.ow) == (1, 3, 7, 3)


@given(size=st.integers(1, 60), kernel=st.integers(1, 60), stride=st.integers(1, 20))
def test_outputs_round_up_without_padding(
    tmp_path_factory: pytest.TempPathFactory, size: int, kernel: int, stride: int
) -> None:
    """``ceil((ifmap - filter + stride) / stride)``: as many windows as begin before the last full one ends."""
    tmp_path = tmp_path_factory.mktemp("net")
    row = f"a,{size},{size},{kernel},{kernel},1,1,{stride},"
    if kernel > size:
        with pytest.raises(ModelError, match=r"net\.csv:2: column 'filter height': expected at most"):
            load(tmp_path, CONV, row)
        return
    g = one(tmp_path, CONV, row).geometry
    assert (g.oh - 1) * stride + kernel < size + stride <= g.oh * stride + kernel
    assert g.oh == g.ow


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (CONV, "\tConv14_dw_0,14,14,3,3,1,1,1,"),
        (CONV, "Conv14_dw,14,14,3,3,1,1,1,#dw"),
        (CONV, "Conv11,14,14,3,3,1,1,1"),
        (CONV.rstrip(","), "Conv11,14,14,3,3,1,1,1, "),
        (CONV + " Sparsity,", "Conv11,14,14,3,3,1,1,1,1:1,"),
        (CONV + " Sparsity", "Conv11,14,14,3,3,1,1,1, 4:4,"),
        (CONV + "Sparsity,", "Conv11,14,14,3,3,1,1,1,,"),
        (CONV.replace("Strides", "Stride"), "Conv11,14,14,3,3,1,1,1,"),
        ("LAYER  NAME" + CONV[10:].upper(), "Conv11,14,14,3,3,1,1,1,"),
        ("\ufeff" + CONV + "\n", "Conv11,14,14,3,3,1,1,1,"),
    ],
)
def test_ways_of_writing_the_same_row(tmp_path: Path, header: str, row: str) -> None:
    layer = one(tmp_path, header, row)
    assert layer.macs == 12 * 12 * 9


def test_names_carry_no_meaning(tmp_path: Path) -> None:
    graph = load(tmp_path, CONV, "FC_pool_dw,5,5,3,3,4,6,1,", "Conv1,5,5,3,3,4,6,1,")
    assert {type(layer) for layer in graph.layers} == {Conv2D}
    assert len({layer.macs for layer in graph.layers}) == 1


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        (CONV, "a,5,5,3,3,x,6,1,", r"net\.csv:2: column 'channels': expected an integer of 1 to 2147483647, got 'x'"),
        (CONV, "a,5,5,3,3,4,6,,", r"net\.csv:2: column 'strides': expected an integer .*, got ''"),
        (CONV, "a,5,5,3,3,4,6,0,", r"column 'strides': .* got '0'"),
        (CONV, "a,5,,3,3,4,6,1,", r"column 'ifmap width': .* got ''"),
        (CONV, "a,5,5,3,6,4,6,1,", r"column 'filter width': expected at most the 5 of 'ifmap width', got 6; SCALE-Sim does not pad"),
        (CONV, "a,5,5,3,3,4,6,1,2", r"net\.csv:2: 9 cells under 8 columns; expected one cell per column"),
        (CONV, "a,5,5,3,3,4,6", r"net\.csv:2: 7 cells under 8 columns"),
        (CONV, ",5,5,3,3,4,6,1,", r"expected a layer name, got ''"),
        (CONV, "DP_1,5,5,3,3,4,1,1,", r"net\.csv:2: column 'layer name': SCALE-Sim runs 'DP_1' as one layer per channel"),
        (CONV + "Sparsity,", "a,5,5,3,3,4,6,1,2:4,", r"column 'sparsity': expected 1:1, since sparse weights .* got '2:4'"),
        (CONV + "Sparsity,", "a,5,5,3,3,4,6,1,half,", r"column 'sparsity': .* got 'half'"),
        (GEMM, "a,5,5,,", r"net\.csv:2: column 'k': expected an integer of 1 to 2147483647, got ''"),
        (GEMM, "a,5,-5,5,", r"column 'n': .* got '-5'"),
        (GEMM, "a,5,,5,", r"column 'n': .* got ''"),
        (GEMM, '"a,5,5,5,', "not a CSV file"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_one_error(tmp_path: Path, header: str, row: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        load(tmp_path, header, row)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (
            CONV.replace("Channels,", "Chanels, Depth,"),
            r"net\.csv:1: unknown column 'chanels', did you mean 'channels'",
        ),
        (CONV.replace("Channels, Num Filter", "Num Filter, Chanels"), r"net\.csv:1: unknown column 'chanels'"),
        (CONV.replace("IFMAP Height", "IFMAP Width"), r"net\.csv:1: neither the columns of a convolution topology nor"),
        (CONV + " Groups,", r"net\.csv:1: unknown column 'groups'; expected 'Layer name, IFMAP Height"),
        (CONV.replace(" Strides,", ""), r"net\.csv:1: expected either a column 'Strides', or both"),
        (CONV + " Stride height,", r"net\.csv:1: expected either a column 'Strides'"),
        (GEMM + " Channels,", r"net\.csv:1: unknown column 'channels'; expected 'Layer, M, N, K,'"),
        (GEMM + " K,", r"net\.csv:1: column 'k' stands twice"),
        ("Layer,", r"net\.csv:1: neither the columns"),
    ],
)
def test_headers_are_checked(tmp_path: Path, header: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        load(tmp_path, header, "a,5,5,3,3,4,6,1,")
    assert "\n" not in str(caught.value)


def test_names_must_be_unique(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.csv:3: column 'name': 'a' already stands at .*net\.csv:2"):
        load(tmp_path, GEMM, "a,1,2,3,", "a,1,2,3,")


def test_the_header_chooses_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    for header, expected in ((",".join(COLUMNS), False), (GEMM, True), (CONV, True), ("name,op,h,w,c", False)):
        path.write_text(f"# a comment\n\n{header}\na,\n", encoding="utf-8")
        assert is_topology(read_lines(path, ",".join(COLUMNS))) is expected
    assert load(tmp_path, "name,op,h,w,c", "Layer,dense,5,1,3").macs == 45


@pytest.mark.parametrize(("text", "reason"), [("", "no header line"), (CONV, "no layers")])
def test_topologies_without_layers(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "net.csv"
    path.write_text(text)
    with pytest.raises(ModelFileError, match=reason):
        load_graph(path)


def test_a_topology_runs(tmp_path: Path) -> None:
    """AlexNet conv1, ifmap 224: 112,283 compute cycles on 32x32 (SCALE-Sim v2, README)."""
    graph = load(tmp_path, CONV, "Conv1,224,224,11,11,3,96,4,")
    layer = simulate(graph, arch="scalesim_32x32_ws").layers[0]
    assert (layer.compute_cycles, layer.macs) == (112_283, 3025 * 363 * 96)
