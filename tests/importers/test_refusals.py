"""Every refusal of a file is told in one run, in the order of the file, and nothing that only follows from one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from accelsim.arch import load_arch, presets_dir
from accelsim.cli import main
from accelsim.energy import load_table
from accelsim.errors import MOST_GATHERED, MOST_SHOWN, AccelsimError, ConfigError, ModelError, UnsupportedOperatorError
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import read_mappings
from accelsim.ptq import read_float
from tests.importers.flat import Op, T, tflite_bytes
from tests.importers.onnx.qdq import IMAGE, SOUND, Qdq
from tests.importers.qonnx import models as qonnx
from tests.ptq.tflite_networks import TfNet

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(kinds: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """What each of some parts of a network is: sound, or spoilt in one of ``kinds``; at least three are spoilt."""
    spoilt = st.permutations(kinds).flatmap(lambda three: st.tuples(*map(st.just, three)))
    return st.tuples(spoilt, st.lists(st.sampled_from([SOUND, *kinds]), max_size=4)).flatmap(
        lambda both: st.permutations([*both[0], *both[1], SOUND])
    )


def refusals(load: Callable[[Path], Any], path: Path) -> tuple[AccelsimError, ...]:
    """What is refused, each on a line of the message after the first, in that order."""
    with pytest.raises(AccelsimError) as caught:
        load(path)
    listed = caught.value.exceptions
    first, *lines = str(caught.value).split("\n  ")
    assert first == f"{len(listed)} things in {path} can't be read:"
    assert len(lines) == len(listed)
    for line, error in zip(lines, listed, strict=True):
        assert line.split(": ")[0] in str(error)
    return listed


def indices(errors: Sequence[AccelsimError]) -> list[int]:
    return [error.data["index"] for error in errors]


@QUICK
@given(blocks=drawn(["Floor", "reflect", "dilated"]), is_chain=st.booleans())
def test_qdq(tmp_path: Path, blocks: list[str], is_chain: bool) -> None:
    net = Qdq(blocks, is_chain=is_chain)
    assert indices(refusals(load_graph, net.save(tmp_path))) == net.spoilt
    load_graph(Qdq([SOUND] * len(blocks), is_chain=is_chain).save(tmp_path))


def test_one_refusal_is_the_error_itself(tmp_path: Path) -> None:
    path = Qdq([SOUND, "reflect", SOUND], is_chain=True).save(tmp_path)
    with pytest.raises(UnsupportedOperatorError) as caught:
        load_graph(path)
    text = f"{path}: node 6 Pad (output 't6'): its mode is 'reflect'; accepted: constant"
    assert (str(caught.value), caught.value.exceptions) == (text, (caught.value,))


SIGMOIDS = ("two scales", "unknown", "constant")


@QUICK
@given(kinds=drawn(SIGMOIDS))
def test_qoperator(tmp_path: Path, kinds: list[str]) -> None:
    """Branches of operators on codes; whatever follows one that is refused is silent."""
    nodes, names = [], {"scale": [0.5], "scales": [0.5, 0.25]}
    constants = [numpy_helper.from_array(np.array(v, np.float32), name) for name, v in names.items()]
    constants += [numpy_helper.from_array(np.zeros(shape, np.int8), name) for name, shape in (("z", 1), ("w", (2, 3)))]
    for i, kind in enumerate(kinds):
        op = "QLinearFoo" if kind == "unknown" else "QLinearSigmoid"
        source, scale = "w" if kind == "constant" else "x", "scales" if kind == "two scales" else "scale"
        for j, operands in enumerate([[source, scale, "z", "scale", "z"], [f"y{i}0", "scale", "z", "scale", "z"]]):
            nodes.append(
                helper.make_node(op if j == 0 else "QLinearSigmoid", operands, [f"y{i}{j}"], domain="com.microsoft")
            )
    codes = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.INT8, shape)  # noqa: E731
    ends = [codes(f"y{i}1", None) for i in range(len(kinds))]
    graph = helper.make_graph(nodes, "net", [codes("x", (2, 3))], ends, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "q.onnx")
    expected = [2 * i for i, kind in enumerate(kinds) if kind != SOUND]
    assert indices(refusals(load_graph, tmp_path / "q.onnx")) == expected


@QUICK
@given(kinds=drawn(["Floor", "ceil", "division"]))
def test_qonnx(tmp_path: Path, kinds: list[str]) -> None:
    """A chain: each quantizer begins anew behind what is refused."""
    net, spoilt = qonnx.Net(1, IMAGE), []
    x = net.quant("x", 0.25)
    for kind in kinds:
        if kind != SOUND:
            spoilt.append(len(net.nodes))
        if kind == "Floor":
            x = net.node("Floor", x)
        elif kind == "division":
            x = net.node("Div", net.constant(1.0), x)
        else:
            x = net.node("AveragePool", x, kernel_shape=[2, 2], ceil_mode=int(kind == "ceil"))
        x = net.quant(net.node("Relu", x), 0.25)
    path = tmp_path / "net.onnx"
    onnx.save(net.model(x), path)
    assert indices(refusals(load_graph, path)) == spoilt


@QUICK
@given(kinds=drawn(["COS", "tanh", "shape"]))
def test_tflite(tmp_path: Path, kinds: list[str]) -> None:
    """A chain: the file itself says what each operator makes."""
    tensors, operators = [T("t0", (1, 4), scale=0.5)], []
    for i, kind in enumerate(kinds):
        tensors.append(T(f"t{i + 1}", (1, 4), scale=0.5))
        inputs, name, options = [f"t{i}"], "RELU", {}
        if kind == "COS":
            name = "COS"
        elif kind == "tanh":
            inputs, name, options = [f"t{i}"] * 2, "ADD", {"FusedActivationFunction": 4}
        elif kind == "shape":
            inputs, name = [f"t{i}", "narrow"], "ADD"
        operators.append(Op(name, inputs, [f"t{i + 1}"], options))
    tensors.append(T("narrow", (3, 4), scale=0.5, data=np.zeros((3, 4))))
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_bytes(tensors, operators, ["t0"], [f"t{len(kinds)}"]))
    assert indices(refusals(load_graph, path)) == [i for i, kind in enumerate(kinds) if kind != SOUND]


def test_a_float_part_of_a_tflite_file_is_told_where_it_begins(tmp_path: Path) -> None:
    q = {name: T(name, (1, 4), scale=0.5) for name in ("x", "a", "b", "y")}
    f = {name: T(name, (1, 4), "FLOAT32") for name in ("f", "g")}
    ops = [Op("COS", ["x"], ["a"]), Op("DEQUANTIZE", ["a"], ["f"]), Op("RELU", ["f"], ["g"])]
    ops += [Op("QUANTIZE", ["g"], ["b"]), Op("SIN", ["b"], ["y"])]
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_bytes([*q.values(), *f.values()], ops, ["x"], ["y"]))
    assert [(e.data["index"], e.data["operator"]) for e in refusals(load_graph, path)] == [
        (0, "COS"),
        (1, "DEQUANTIZE"),
        (4, "SIN"),
    ]


ROWS = {
    SOUND: "conv2d,8,8,4,3,3,8,{before}",
    "op": "conv3d,8,8,4,3,3,8,",
    "size": "conv2d,8,0,4,3,3,8,",
    "kernel": "conv2d,8,8,4,9,3,8,",
    "inputs": "lut,8,8,4,1,1,4,nothing",
    "cells": "conv2d,8,8",
    "name": "conv2d,8,8,4,3,3,8,",
}


@QUICK
@given(kinds=drawn(["op", "size", "kernel", "inputs", "cells", "name"]))
def test_layer_tables(tmp_path: Path, kinds: list[str]) -> None:
    """A row that reads one that is refused is read as far as it goes."""
    lines, before, twice = ["name,op,h,w,c,kh,kw,oc,inputs", "first,lut,6,6,8,1,1,8,"], "first", "first"
    for i, kind in enumerate(kinds):
        name = twice if kind == "name" else f"row{i}"
        row = ROWS[kind] if kind != SOUND else f"lut,6,6,8,1,1,8,{before}"
        lines.append(f"{name},{row}")
        before = name
    path = tmp_path / "net.csv"
    path.write_text("\n".join(lines))
    places = [str(error).split(": ")[0] for error in refusals(load_graph, path)]
    assert places == [f"{path}:{i + 3}" for i, kind in enumerate(kinds) if kind != SOUND]


def test_topologies(tmp_path: Path) -> None:
    rows = ["Layer, M, N, K,", "a, 1, 2, 3,", "b, 0, 2, 3,", "cDP, 1, 2, 3,", "d, 1, 2,", "a, 1, 2, 3,"]
    path = tmp_path / "net.csv"
    path.write_text("\n".join(rows))
    places = [str(error).split(": ")[0] for error in refusals(load_graph, path)]
    assert places == [f"{path}:{line}" for line in (3, 4, 5, 6)]


def test_many_are_cut_with_one_of_each_kind_in_sight(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    rows = [f"r{i},conv3d,8,8,4" for i in range(60)] + ["last,lut,8,8,0"]
    path.write_text("\n".join(["name,op,h,w,c", *rows]))
    with pytest.raises(ModelError) as caught:
        load_graph(path)
    first, *lines = str(caught.value).split("\n  ")
    assert first == f"61 things in {path} can't be read:"
    assert len(lines) == MOST_SHOWN + 1
    assert "column 'c'" in lines[MOST_SHOWN - 1]
    assert lines[-1] == "… and 41 more of the same kinds (41 op)"
    assert len(caught.value.exceptions) == 61


def test_reading_stops_at_a_thousand(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text("\n".join(["name,op,h,w,c", *(f"r{i},conv3d,8,8,4" for i in range(MOST_GATHERED + 500))]))
    with pytest.raises(ModelError, match=f"^The first {MOST_GATHERED} things in ") as caught:
        load_graph(path)
    assert len(caught.value.exceptions) == MOST_GATHERED


@QUICK
@given(kinds=drawn(["Floor", "constant", "reflect", "weights"]))
def test_float_onnx(tmp_path: Path, kinds: list[str]) -> None:
    net = Qdq([], is_chain=True)
    net.nodes.clear()
    x, spoilt = "x", []
    for kind in kinds:
        spoilt += [len(net.nodes)] * (kind != SOUND)
        if kind == "constant":
            x = net.node("Concat", x, net.constant(np.ones((1, 1, 1, 1)), np.float32), axis=1)
        elif kind == "weights":
            x = net.node("Gemm", x, x)
        elif kind == "reflect":
            x = net.node("Pad", x, net.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect")
        else:
            x = net.node("Relu" if kind == SOUND else kind, x)
    net.outputs = [x]
    assert indices(refusals(read_float, net.save(tmp_path))) == spoilt


@QUICK
@given(kinds=drawn(["COS", "beta", "tanh"]))
def test_float_tflite(tmp_path: Path, kinds: list[str]) -> None:
    net = TfNet(1, (1, 4))
    x = "x"
    for kind in kinds:
        if kind == "beta":
            x = net.op("SOFTMAX", [x], (1, 4), Beta=2.0)
        elif kind == "tanh":
            x = net.op("ADD", [x, x], (1, 4), FusedActivationFunction=4)
        else:
            x = net.op("RELU" if kind == SOUND else kind, [x], (1, 4))
    path = net.save(tmp_path)
    assert indices(refusals(read_float, path)) == [i for i, kind in enumerate(kinds) if kind != SOUND]


def test_batch_normalization_that_is_folded_into_no_layer_names_the_remedy(tmp_path: Path) -> None:
    net = Qdq([], is_chain=True)
    x = net.start
    for _ in range(3):
        parameters = [net.constant(np.ones(2), np.float32) for _ in range(4)]
        x = net.requantized(net.node("BatchNormalization", net.node("Softmax", x), *parameters))
    net.outputs = [x]
    listed = refusals(load_graph, net.save(tmp_path))
    assert [error.data["operator"] for error in listed] == ["BatchNormalization"] * 3
    assert "fold it in eval mode (torch.ao.quantization.fuse_modules) before prepare_qat" in str(listed[0])


@pytest.mark.parametrize("command", ["import", "run", "verify", "map", "compare"])
def test_commands_show_all(tmp_path: Path, command: str) -> None:
    path = Qdq(["Floor", "reflect", "dilated"], is_chain=True).save(tmp_path)
    np.savez(tmp_path / "x.npz", x=np.zeros(IMAGE, np.float32))
    machine = [] if command == "import" else ["--arch", "edge_16x16"]
    more = {"compare": ["--arch", "edge_16x16"], "verify": ["--inputs", str(tmp_path / "x.npz")]}
    done = CliRunner().invoke(main, [command, str(path), *machine, *more.get(command, [])])
    first, *lines = done.stderr.splitlines()
    assert done.exit_code == (2 if command == "verify" else 1)
    assert first == f"accelsim: error: 3 things in {path} can't be read:"
    assert [line.split(" (")[0] for line in lines] == ["  node 2 Floor", "  node 6 Pad", "  node 10 MaxPool"]


def test_quantize_shows_all(tmp_path: Path) -> None:
    net = TfNet(1, (1, 4))
    path = net.save(tmp_path, net.op("SIN", [net.op("COS", ["x"], (1, 4))], (1, 4)))
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 4), np.float32))
    made = tmp_path / "out.onnx"
    done = CliRunner().invoke(main, ["quantize", str(path), "--calib", str(tmp_path / "x.npz"), "-o", str(made)])
    assert (done.exit_code, made.exists()) == (1, False)
    assert done.stderr.startswith(f"accelsim: error: 2 things in {path} can't be read:\n  operator 0 COS (")


def test_control_characters_in_names_make_no_lines(tmp_path: Path) -> None:
    tensors = [T("x", (1, 4), scale=0.5), T("a\n  b\x1b[0m", (1, 4), scale=0.5), T("y", (1, 4), scale=0.5)]
    path = tmp_path / "net.tflite"
    ops = [Op("COS", ["x"], [tensors[1].name]), Op("SIN", [tensors[1].name], ["y"])]
    path.write_bytes(tflite_bytes(tensors, ops, ["x"], ["y"]))
    done = CliRunner().invoke(main, ["import", str(path)])
    assert len(done.stderr.splitlines()) == 3
    assert "\x1b" not in done.stderr


MAPPING = """
layers:
  2: {oh: big}
  99: {oh: 1}
  reshape_7: {tile: [1]}
  4: {oc: 8, oc: 9}
  0: {rows: 3}
lyers: 3
"""


def test_mapping_files(tmp_path: Path) -> None:
    path = tmp_path / "tiles.yaml"
    path.write_text(MAPPING)
    graph = load_graph(resolve_model("digits_cnn"))
    listed = refusals(lambda path: read_mappings(path, graph=graph), path)
    assert [str(error).split(": ")[0] for error in listed] == [f"{path}:{line}" for line in range(3, 9)]
    assert {type(error) for error in listed} == {ConfigError}


TABLE = """name: t
version: one
source: a test
node_nm: 45
voltage_v: 0.9
entries:
  - {component: adder, actoin: add, value: 1 pJ, law: constant, uncertainty: null, source: somewhere}
  - {component: adder, action: add, value: 1 pJ, law: cubic, uncertainty: null, source: somewhere}
"""
SCHEMED = """name: t
version: 1
source: a test
node_nm: 45
voltage_v: 0.9
entries:
  - {component: adder, action: ad, value: 1 pJ, law: constant, uncertainty: null, source: somewhere}
  - {component: ader, action: add, value: 1 pJ, law: constant, uncertainty: null, source: somewhere}
  - {component: adder, action: add, value: 1, law: constant, uncertainty: null, source: somewhere}
  - {component: adder, action: add, value: 1 pJ, law: constant, uncertainty: null, source: somewhere}
fill:
  - {component: wire, rule: same_node, from: nowhere}
"""


@pytest.mark.parametrize(("text", "places"), [(TABLE, [2, 7, 8]), (SCHEMED, [7, 8, 9, 12])])
def test_energy_tables(tmp_path: Path, text: str, places: list[int]) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    listed = refusals(lambda path: load_table(str(path)), path)
    assert [str(error).split(": ")[0] for error in listed] == [f"{path}:{line}" for line in places]


def test_machines(tmp_path: Path) -> None:
    """One line, as before, and the same list."""
    path = tmp_path / "m.yaml"
    text = (presets_dir() / "edge_16x16.yaml").read_text()
    path.write_text(text.replace("rows: 16", "rows: many").replace("cols: 16", "colums: 16") + "color: red\n")
    with pytest.raises(ConfigError) as caught:
        load_arch(path)
    listed = [str(error) for error in caught.value.exceptions]
    assert str(caught.value) == "; ".join(listed)
    assert len(listed) == 3
