"""Every rule of a Graph, broken once; and the shapes that layers report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import GraphError
from accelsim.graph import Add, Boxes, Conv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.numerics import INT8, Thresholds
from tests.generate import random_program
from tests.networks import conv, dense

GOOD = conv()


def rebuilt(**changes: Any) -> Graph:
    return replace(GOOD, **changes)


def with_layer(**changes: Any) -> Graph:
    return rebuilt(layers=(replace(GOOD.layers[0], **changes),))


def test_a_good_graph_knows_itself() -> None:
    assert GOOD.macs == 6 * 6 * 8 * 9 * 4
    assert GOOD.weight_bytes == 8 * 9 * 4
    assert GOOD.producer == {"y": 0}
    assert GOOD.layer("layer") is GOOD.layers[0]
    with pytest.raises(GraphError, match=r"has no layer 'other'; it has \['layer'\]"):
        GOOD.layer("other")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: rebuilt(inputs=()), r"layer 'layer' reads \['x'\] before any layer produces it"),
        (lambda: rebuilt(outputs=(HostPort("z", "z"),)), r"outputs \['z'\] are produced by no layer"),
        (lambda: rebuilt(tensors={"x": GOOD.tensors["x"]}), "tensor 'y' is not in the graph"),
        (lambda: rebuilt(layers=GOOD.layers * 2), "the name stands twice"),
        (lambda: rebuilt(layers=(GOOD.layers[0], replace(GOOD.layers[0], name="b"))), "tensor 'y' is produced twice"),
        (lambda: with_layer(weights=None), "has no weights or no requantization"),
        (
            lambda: with_layer(weights=np.zeros((8, 3, 3, 5), np.int8)),
            r"weights have shape \(8, 3, 3, 5\), expected \(8, 3, 3, 4\)",
        ),
        (lambda: with_layer(weights=np.full((8, 3, 3, 4), 300)), "weights leave the range of int8"),
        (lambda: with_layer(bias=np.zeros(3, np.int64)), r"bias has shape \(3,\), expected \(8,\)"),
        (lambda: with_layer(input_zero_point=500), "input zero point 500 is no int8"),
        (lambda: with_layer(inputs=("x", "x")), "has 2 inputs but 1 views"),
        (lambda: rebuilt(tensors=GOOD.tensors | {"x": Tensor("x", (1, 8, 8, 5), INT8)}), "sees tensor 'x' as"),
        (lambda: rebuilt(constants={"c": np.zeros(3)}), "constant 'c' is not a tensor"),
        (
            lambda: rebuilt(tensors=GOOD.tensors | {"c": Tensor("c", (3,), INT8)}, constants={"c": np.zeros(2)}),
            "has shape",
        ),
        (
            lambda: rebuilt(tensors=GOOD.tensors | {"c": Tensor("c", (1,), INT8)}, constants={"c": np.array([200])}),
            "leaves",
        ),
    ],
)
def test_a_broken_rule_is_one_sentence(broken: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        broken()


@pytest.mark.parametrize(("field", "value"), [("n", 0), ("kh", -1), ("stride_h", 0), ("groups", 3), ("ic", 2**31)])
def test_impossible_geometry(field: str, value: int) -> None:
    with pytest.raises(GraphError, match="layer geometry"):
        replace(GOOD.layers[0].geometry, **{field: value})


def test_geometry_of_a_dense_layer() -> None:
    geometry = dense(rows=5, k=7, units=3).layers[0].geometry
    assert (geometry.macs, geometry.reduction, geometry.weight_shape) == (105, 7, (3, 1, 1, 7))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_clipped_boxes_stay_inside(shape: list[int], data: st.DataObject) -> None:
    lo = np.array([[data.draw(st.integers(-3, 8)) for _ in shape]])
    hi = lo + np.array([[data.draw(st.integers(0, 5)) for _ in shape]])
    box = Boxes(lo, hi).clipped(tuple(shape))
    assert (box.lo >= 0).all()
    assert (box.lo <= box.hi).all()
    assert (box.hi <= shape).all()
    inside = np.zeros([20] * len(shape), bool)
    inside[tuple(slice(int(a) + 5, int(b) + 5) for a, b in zip(lo[0], hi[0], strict=True))] = True
    assert box.volume[0] == inside[tuple(slice(5, 5 + s) for s in shape)].sum()


def test_a_layer_of_one_product_counts_one_mac() -> None:
    assert MacGeometry(n=1, ih=1, iw=1, ic=1, oh=1, ow=1, oc=1).macs == 1


def test_a_constant_operand_is_an_input_that_is_there_from_the_start() -> None:
    tensors = {name: Tensor(name, (2, 2), INT8) for name in "xcy"}
    layer = Add(name="add", inputs=("x", "c"), output="y", shapes=((2, 2), (2, 2)), shape=(2, 2))
    fields: dict[str, Any] = {"name": "g", "arithmetic": "tflite-micro", "tensors": tensors, "layers": (layer,)}
    fields |= {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    assert Graph(**fields, constants={"c": np.ones((2, 2), np.int8)}).producer == {"y": 0}
    with pytest.raises(GraphError, match=r"reads \['c'\] before"):
        Graph(**fields)


def test_layers_print_shapes_and_no_arrays() -> None:
    """Arrays by type and shape, formats by name, nothing at its default."""
    layer = GOOD.layers[0]
    assert isinstance(layer, Conv2D)
    assert layer.requant is not None
    text = repr(layer)
    assert text.startswith(
        "Conv2D(name='layer', inputs=('x',), output='y', geometry=MacGeometry(n=1, ih=8, iw=8, ic=4, "
    )
    assert ", kh=3, kw=3), weights=int8[8, 3, 3, 4], weight_format=int8, bias=int64[8], " in text
    assert f"requant={layer.requant!r}" in text
    assert repr(layer.requant).startswith(
        "Requant(scheme='tflite_double', multiplier=int32[8], shift=int32[8], zero_point="
    )
    levels = Thresholds(levels=np.arange(6).reshape(2, 3), start=np.zeros(2, int), step=np.ones(2, int))
    assert repr(levels) == "Thresholds(levels=int64[2, 3], start=int64[2], step=int64[2])"
    assert repr(replace(layer, weights=None, bias=None, requant=None)).endswith("weights=None, weight_format=int8)")


@pytest.mark.parametrize("seed", range(20))
def test_no_layer_of_any_kind_prints_an_array(seed: int) -> None:
    graph = random_program(seed).graph
    for layer in graph.layers:
        assert "array(" not in repr(layer)
        assert len(repr(layer)) < 1000
    lines = repr(graph).splitlines()
    assert (
        lines[0]
        == f"Graph {graph.name}: {len(graph.layers)} layers, {graph.macs:,} MACs, {graph.weight_bytes:,} weight bytes"
    )
    assert [line.split(":")[0].strip() for line in lines[1:]] == [layer.name for layer in graph.layers]
