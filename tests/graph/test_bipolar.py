"""Bipolar tensors hold -1 and +1 only: which graphs are accepted, which are refused and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.errors import ConfigError, GraphError, InputError
from accelsim.execute import WholeReader
from accelsim.graph import Graph, HostPort, Lut, MaxPool2D, Pad, Rescale, Tensor
from accelsim.numerics import BIPOLAR, INT8, Requant, Thresholds
from accelsim.numerics.thresholds import NEVER
from accelsim.quant import quantize
from accelsim.simulation import run
from tests.networks import conv

EDGE = load_arch("edge_16x16")


def steps(levels: list[int], start: int = -1, step: int = 1) -> Thresholds:
    return Thresholds(levels=np.array([levels], np.int64), start=np.array([start]), step=np.array([step]))


def mac(
    requant: Any, *, weights: Any = None, zero_point: int = 0, inputs: Any = BIPOLAR, output: Any = BIPOLAR
) -> Graph:
    """A convolution of bipolar operands."""
    graph = conv(size=5, ic=3, oc=4)
    layer, rng = graph.layers[0], np.random.default_rng(0)
    signs = 2 * rng.integers(0, 2, layer.geometry.weight_shape) - 1 if weights is None else weights
    layer = replace(
        layer, weights=signs.astype(np.int8), weight_format=BIPOLAR, requant=requant, input_zero_point=zero_point
    )
    formats = {"x": inputs, "y": output}
    tensors = {name: replace(tensor, format=formats[name]) for name, tensor in graph.tensors.items()}
    return replace(graph, layers=(layer,), tensors=tensors)


def vector(kind: type, *, inputs: Any = BIPOLAR, **fields: Any) -> Graph:
    """One vector layer from ``x`` to the bipolar ``y``, both (1, 4, 4, 2)."""
    shape = (1, 4, 4, 2)
    layer = kind(name="v", inputs=("x",), output="y", shapes=(shape,), shape=shape, **fields)
    tensors = {"x": Tensor("x", shape, inputs), "y": Tensor("y", shape, BIPOLAR)}
    ports = (HostPort("x", "x"),), (HostPort("y", "y"),)
    return Graph(
        name="v", arithmetic="tflite-micro", tensors=tensors, layers=(layer,), inputs=ports[0], outputs=ports[1]
    )


@pytest.mark.parametrize(
    "requant",
    [steps([5, 5]), steps([-3, -3], start=1, step=-1), steps([5, 5, NEVER]), steps([NEVER, NEVER]), steps([], start=1)],
    ids=["sign", "falling", "padded", "constant", "no levels"],
)
def test_thresholds_that_step_over_zero_are_accepted_and_run(requant: Thresholds) -> None:
    graph = mac(requant)
    x = (2 * np.random.default_rng(1).integers(0, 2, graph.tensors["x"].shape) - 1).astype(np.int8)
    values = run(graph, arch=EDGE, inputs={"x": x[0]}, keep="all").tensors
    assert set(np.unique(values["y"])) <= {-1, 1}


@pytest.mark.parametrize(
    "requant",
    [
        steps([5, 6]),
        steps([5]),
        steps([5, 5, 5]),
        steps([5, NEVER]),
        steps([5, 5], start=0),
        Requant("tflite_double", np.array([2**30]), np.array([-7]), 0, -1, 1),
    ],
    ids=["a gap at zero", "up to zero", "up to two", "padded at zero", "from zero", "multiplier"],
)
def test_what_may_write_a_zero_is_refused_by_name(requant: Any) -> None:
    with pytest.raises(GraphError, match=r"^layer 'layer' \(CONV_2D\) may write codes other than -1 and \+1 into 'y'"):
        mac(requant)
    assert mac(requant, output=INT8).tensors["y"].format == INT8


def test_weights_must_be_signs() -> None:
    zeros = np.zeros((4, 3, 3, 3))
    with pytest.raises(GraphError, match="weights leave the range of bipolar1"):
        mac(steps([1, 1]), weights=zeros)


def test_the_zero_point_of_a_bipolar_input_may_be_zero() -> None:
    assert mac(steps([1, 1])).layers[0].input_zero_point == 0
    with pytest.raises(GraphError, match="input zero point 2 is no bipolar1"):
        mac(steps([1, 1]), zero_point=2)


@pytest.mark.parametrize(
    ("kind", "fields", "accepted"),
    [
        (Pad, {"before": (0, 0, 0, 0), "value": -1}, True),
        (Pad, {"before": (0, 0, 0, 0), "value": 0}, False),
        (MaxPool2D, {"kernel": (1, 1), "stride": (1, 1)}, True),
        (MaxPool2D, {"kernel": (1, 1), "stride": (1, 1), "clamp_min": 0}, False),
        (MaxPool2D, {"kernel": (1, 1), "stride": (1, 1), "inputs": INT8}, False),
        (Lut, {"table": np.array([1, -1, -1]), "input_min": -1}, True),
        (Lut, {"table": np.array([1, 0, -1]), "input_min": -1}, False),
        (
            Rescale,
            {"input_zero_point": 0, "requant": Requant("tflite_double", np.array([2**30]), np.array([1]), 0, -1, 1)},
            False,
        ),
    ],
)
def test_vector_layers_that_keep_signs(kind: type, fields: dict[str, Any], accepted: bool) -> None:
    if not accepted:
        with pytest.raises(GraphError, match=r"may write codes other than -1 and \+1"):
            vector(kind, **fields)
        return
    graph = vector(kind, **fields)
    x = (2 * np.random.default_rng(1).integers(0, 2, (1, 4, 4, 2)) - 1).astype(np.int8)
    made = run(graph, arch=EDGE, inputs={"x": x}).tensors["y"]
    np.testing.assert_array_equal(made, -x if kind is Lut else x)


def test_inputs_must_be_signs() -> None:
    graph = mac(steps([1, 1]))
    x = np.ones(graph.tensors["x"].shape, np.int8)
    x[0, 2, 2, 1] = 0
    with pytest.raises(InputError, match="leave bipolar1"):
        run(graph, arch=EDGE, inputs={"x": x})
    with pytest.raises(InputError, match="expected bipolar1 codes from -1 to 1"):
        WholeReader(graph).run({"x": x})


def test_real_numbers_have_no_bipolar_quantization() -> None:
    with pytest.raises(ConfigError, match="quantization to bipolar1: it has no zero"):
        quantize(np.array([0.3], np.float32), scale=1.0, zero_point=1, fmt=BIPOLAR)
