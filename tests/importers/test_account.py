"""What became of every operator of a model file: every layer belongs to one operator, every operator has one outcome."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accelsim.graph import Graph, Outcome
from accelsim.importers import load_graph, resolve_model
from accelsim.importers.account import FileName, layer_names, named_after
from tests.importers.onnx.networks import cnn


def imported(tmp_path: Path, seed: int, *, qdq: bool) -> Graph:
    path = tmp_path / "cnn.onnx"
    onnx.save(cnn(seed, qdq=qdq).model(), path)
    return load_graph(path)


@pytest.mark.parametrize("qdq", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_layer_belongs_to_exactly_one_operator(tmp_path: Path, seed: int, qdq: bool) -> None:
    graph = imported(tmp_path, seed, qdq=qdq)
    nodes = onnx.load(tmp_path / "cnn.onnx").graph.node
    assert [operator.operator for operator in graph.source] == [node.op_type for node in nodes]
    assert [operator.output for operator in graph.source] == [node.output[0] for node in nodes]
    owned = [name for operator in graph.source if operator.outcome is Outcome.LAYER for name in operator.layers]
    assert sorted(owned) == sorted(layer.name for layer in graph.layers)


def test_outcomes_of_a_qdq_network(tmp_path: Path) -> None:
    graph = imported(tmp_path, 1, qdq=True)
    by_kind = {}
    for operator in graph.source:
        by_kind.setdefault(operator.operator, []).append(operator)
    assert all(operator.outcome is Outcome.LAYER for operator in by_kind["Conv"])
    assert by_kind["QuantizeLinear"][0].outcome is Outcome.HOST
    assert {operator.outcome for operator in by_kind["DequantizeLinear"]} == {Outcome.CONSTANT, Outcome.NOTHING}
    convolution = by_kind["Conv"][0]
    at = graph.source.index(convolution)
    rectifier, rounding = graph.source[at + 1 : at + 3]
    assert (rectifier.operator, rectifier.outcome, rectifier.layers) == ("Relu", Outcome.FUSED, convolution.layers)
    assert (rounding.operator, rounding.outcome, rounding.layers) == (
        "QuantizeLinear",
        Outcome.FUSED,
        convolution.layers,
    )


def test_a_tflite_model_with_float_ports(tmp_path: Path) -> None:
    graph = load_graph(resolve_model("digits_cnn"))
    assert [operator.layers for operator in graph.source] == [(layer.name,) for layer in graph.layers]
    assert {operator.outcome for operator in graph.source} == {Outcome.LAYER}


def test_the_arithmetic_of_a_file_is_its_runtimes_own(tmp_path: Path) -> None:
    assert imported(tmp_path, 0, qdq=False).arithmetic == "onnxruntime"
    assert load_graph(resolve_model("digits_cnn")).arithmetic == "tflite-micro"


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (["fc", "my conv", "my pool 2"], ["fc", "my conv", "my pool 2"]),
        (["fc", "fc output", "a b"], ["fc", "fc_output", "a_b"]),
        (["a b", "a b c"], ["a_b", "a_b_c"]),
        (["b", "a b"], ["b", "a b"]),
    ],
)
def test_spaces_stay_where_no_name_reads_as_a_part_of_another(told: list[str], names: list[str]) -> None:
    assert layer_names(FileName(name, "", "Conv", i) for i, name in enumerate(told)) == tuple(names)


WORDS = st.lists(st.sampled_from(["a", "b", "reshape", "1"]), max_size=3).map(" ".join)


@example([("", "b", "Conv"), ("", "a reshape", "Conv"), ("b a", "a", "Conv")])
@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["Conv", "a b"])), max_size=8))
def test_names_are_the_files_own_unique_and_part_from_each_other(told: list[tuple[str, str, str]]) -> None:
    """Whatever the file calls its operators: a layer of one is never taken for a part of another."""
    names = layer_names(FileName(name, output, op, i) for i, (name, output, op) in enumerate(told))
    assert len(set(names)) == len(told)
    for name, (own, output, _) in zip(names, told, strict=True):
        assert (
            named_after(name, names) == named_after(f"{name} reshape", names) == named_after(f"{name} 1", names) == name
        )
        alone = [told[i][0] for i in range(len(told))].count(own) == 1
        if own and alone and " " not in own:
            assert name == own
        elif " " not in output and output and not (own and alone):
            assert name == output or re.fullmatch(rf"{output}_\d+", name)
