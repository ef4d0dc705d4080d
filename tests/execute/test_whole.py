"""The whole-layer reader, against layers evaluated one by one and products summed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accelsim.errors import AccumulatorOverflowError, InputError
from accelsim.execute import WholeReader
from accelsim.execute.tape import TapeWriter
from accelsim.graph import (
    Add,
    BinaryLut,
    Conv2D,
    Graph,
    HostPort,
    Layer,
    Lut,
    MacGeometry,
    MacLayer,
    MatMul,
    Rescale,
    Tensor,
    VectorLayer,
)
from accelsim.kernels.mac import accumulate, accumulate_with
from accelsim.kernels.vector import evaluate
from accelsim.numerics import (
    INT8,
    INT16,
    INT32,
    UINT8,
    IntFormat,
    Overflow,
    Requant,
    fit_array,
    requantize,
    requantize_int,
)
from tests.generate import random_graph, random_input
from tests.kernels.layers import geometries, random_codes, random_layer, sums_by_definition
from tests.kernels.test_vector import MAKERS
from tests.networks import conv

Rng = np.random.Generator
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60)


def graph_of(layer: Layer, *, inputs: IntFormat = INT8, output: IntFormat = INT8) -> Graph:
    """A network of one layer."""
    shapes = dict(zip(layer.inputs, layer.input_shapes, strict=True)) | {layer.output: layer.output_shape}
    tensors = {name: Tensor(name, shape, output if name == layer.output else inputs) for name, shape in shapes.items()}
    ports = tuple(HostPort(name, name) for name in dict.fromkeys(layer.inputs))
    return Graph(
        name="one",
        arithmetic="tflite-micro",
        tensors=tensors,
        layers=(layer,),
        inputs=ports,
        outputs=(HostPort(layer.output, layer.output),),
    )


def on_tape(graph: Graph, accumulators: dict[str, IntFormat] | None = None) -> bool:
    """Whether the only layer of ``graph`` is one that a tape holds."""
    offsets = dict.fromkeys(graph.tensors, 0)
    return TapeWriter(graph, offsets, accumulators).record(graph.layers[0]) is not None


def layer_by_layer(graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor, each layer through the kernels that tiles use too."""
    values = dict(inputs)
    for layer in graph.layers:
        blocks = [values[name].reshape(view) for name, view in zip(layer.inputs, layer.input_shapes, strict=True)]
        if isinstance(layer, MacLayer):
            zero = getattr(layer, "right_zero_point", 0)
            weights = layer.weights if layer.weights is not None else blocks[1].astype(np.int64) - zero
            codes = requantize(accumulate_with(layer, blocks[0], weights), layer.requant)
        else:
            assert isinstance(layer, VectorLayer)
            boxes = [((0,) * len(view), view) for view in layer.input_shapes]
            codes = evaluate(layer, blocks, boxes, ((0,) * len(layer.shape), layer.shape))
        tensor = graph.tensors[layer.output]
        values[layer.output] = codes.astype(tensor.format.dtype).reshape(tensor.shape)
    return values


@settings(relaxed, max_examples=120)
@given(seeds)
def test_networks_equal_their_layers_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, most_layers=8)
    reader, inputs = WholeReader(graph), random_input(rng, graph)
    expected = layer_by_layer(graph, inputs)
    values = reader.run(inputs, keep="all")
    assert values.keys() == expected.keys()
    for name, codes in expected.items():
        np.testing.assert_array_equal(values[name], codes, err_msg=name)
        assert values[name].dtype == codes.dtype
    outputs = reader.run(inputs)
    assert outputs.keys() == {port.tensor for port in graph.outputs}
    for name, codes in outputs.items():
        np.testing.assert_array_equal(codes, expected[name])


def scheme_requant(rng: Rng, scheme: str, channels: int) -> Requant:
    """A record that brings sums of a few thousand to codes."""
    if scheme == "float32_half_even":
        return Requant(
            scheme, rng.uniform(1e-3, 1e-1, channels).astype(np.float32), np.zeros(1, np.int32), 3, -120, 110
        )
    if scheme == "float64_half_away":
        return Requant(scheme, rng.uniform(0.1, 0.4, (channels, 3)), np.zeros(1, np.int32), 3, -120, 110)
    if scheme.startswith("shift"):
        return Requant(scheme, np.ones(1, np.int32), rng.integers(0, 12, channels), 3, -120, 110)
    return Requant(scheme, rng.integers(2**30, 2**31 - 1, channels), rng.integers(-9, 3, channels), 3, -120, 110)


SCHEMES = (
    "tflite_double",
    "single",
    "half_up_twice",
    "tflite_int16",
    "float32_half_even",
    "float64_half_away",
    "shift_half_up",
    "shift_half_even",
    "shift_floor",
)


SPREAD = MacGeometry(n=1, ih=2, iw=2, ic=1, oh=2, ow=2, oc=1, upsample_h=2, upsample_w=3)
"""As many outputs as inputs, which stand apart all the same: all outputs but the first meet inserted zeros."""


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(relaxed, max_examples=25)
@given(geometries(), seeds, st.sampled_from([INT8, UINT8]), st.booleans())
@example(SPREAD, 0, INT8, False)
def test_mac_layers_equal_the_definition(
    scheme: str, g: MacGeometry, seed: int, fmt: IntFormat, per_channel: bool
) -> None:
    rng = np.random.default_rng(seed)
    requant = scheme_requant(rng, scheme, g.oc if per_channel else 1)
    layer, x = random_layer(g, rng, fmt=fmt, requant=requant), random_codes(rng, g.input_shape, fmt)
    if fmt == UINT8:
        object.__setattr__(layer, "input_zero_point", abs(layer.input_zero_point))
    graph = graph_of(layer, inputs=fmt)
    assert scheme in ("shift_half_even", "tflite_double", "half_up_twice") or on_tape(graph)
    sums = sums_by_definition(layer, x)
    expected = [requantize_int(int(total), requant, i % g.oc) for i, total in enumerate(sums.ravel())]
    assert WholeReader(graph).run({"x": x})["y"].ravel().tolist() == expected


@pytest.mark.parametrize("kind", MAKERS)
@settings(relaxed, max_examples=20)
@given(seed=seeds)
def test_vector_layers_equal_their_kernels(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = MAKERS[kind](rng)
    graph = graph_of(layer)
    inputs = {name: random_codes(rng, graph.tensors[name].shape, INT8) for name in layer.inputs}
    expected = layer_by_layer(graph, inputs)["y"]
    np.testing.assert_array_equal(WholeReader(graph).run(inputs)["y"], expected)


@pytest.mark.parametrize("kind", ["rescale", "leaky_relu", "lut", "pool", "softmax"])
def test_common_vector_layers_are_on_the_tape(kind: str) -> None:
    assert on_tape(graph_of(MAKERS[kind](np.random.default_rng(0))))


@relaxed
@given(geometries(), seeds)
def test_wide_sums_of_16_bit_activations(g: MacGeometry, seed: int) -> None:
    rng = np.random.default_rng(seed)
    requant = Requant("tflite_int16", rng.integers(2**30, 2**31 - 1, 1), np.array([-9]), 0, -32768, 32767)
    layer, x = random_layer(g, rng, fmt=INT16, requant=requant), random_codes(rng, g.input_shape, INT16)
    graph = graph_of(layer, inputs=INT16, output=INT16)
    expected = requantize(sums_by_definition(layer, x), requant)
    got = WholeReader(graph).run({"x": x})["y"]
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == np.int16


def test_sums_beyond_32_bits_leave_the_tape() -> None:
    g = MacGeometry(n=1, ih=1, iw=1, ic=1024, oh=1, ow=1, oc=1)
    weights = np.full(g.weight_shape, 127, np.int8)
    requant = Requant("tflite_int16", np.array([2**30]), np.array([-20]), 0, -32768, 32767)
    layer = Conv2D(
        name="l", inputs=("x",), output="y", geometry=g, weights=weights, weight_format=INT8, requant=requant
    )
    graph = graph_of(layer, inputs=INT16, output=INT16)
    assert not on_tape(graph)
    x = np.full(g.input_shape, 32767, np.int16)
    assert WholeReader(graph).run({"x": x})["y"].item() == requantize_int(1024 * 127 * 32767, requant)


@relaxed
@given(geometries(), seeds, st.integers(8, 24))
def test_narrow_accumulators_wrap(g: MacGeometry, seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    layer, x = random_layer(g, rng), random_codes(rng, g.input_shape, INT8)
    wrapped = sums_by_definition(layer, x, accumulator=IntFormat(bits), overflow=Overflow.WRAP)
    np.testing.assert_array_equal(wrapped, fit_array(accumulate(layer, x), IntFormat(bits), Overflow.WRAP))
    reader = WholeReader(graph_of(layer), accumulators={"layer": IntFormat(bits)})
    np.testing.assert_array_equal(reader.run({"x": x})["y"], requantize(wrapped, layer.requant))


def test_a_sum_that_its_scheme_does_not_take_is_an_error() -> None:
    g = MacGeometry(n=1, ih=1, iw=1, ic=2000, oh=1, ow=1, oc=1)
    weights, requant = (
        np.full(g.weight_shape, 127, np.int8),
        Requant("single", np.array([2**30]), np.array([-20]), 0, -128, 127),
    )
    layer = Conv2D(
        name="l", inputs=("x",), output="y", geometry=g, weights=weights, weight_format=INT8, requant=requant
    )
    reader = WholeReader(graph_of(layer, inputs=INT16, output=INT16))
    with pytest.raises(AccumulatorOverflowError, match="int32"):
        reader.run({"x": np.full(g.input_shape, 32767, np.int16)})


@pytest.mark.parametrize("oc", [1, 15, 16, 17, 33, 48])
@pytest.mark.parametrize("pixels", [1, 3, 4, 63, 64, 65, 130])
def test_every_remainder_of_pixels_and_channels(oc: int, pixels: int) -> None:
    """Register tiles are 4 x 16 and blocks 64 pixels; what they write too much must not stay."""
    rng = np.random.default_rng(oc * 1000 + pixels)
    for groups in (1, oc):
        g = MacGeometry(
            n=1, ih=pixels, iw=1, ic=groups * (3 if groups == 1 else 1), oh=pixels, ow=1, oc=oc, groups=groups
        )
        layer, x = random_layer(g, rng), random_codes(rng, g.input_shape, INT8)
        graph = graph_of(layer)
        assert on_tape(graph)
        expected = requantize(accumulate(layer, x), layer.requant)
        np.testing.assert_array_equal(WholeReader(graph).run({"x": x})["y"], expected)


def test_an_addition_longer_than_a_block() -> None:
    rng = np.random.default_rng(0)
    layer = MAKERS["add"](rng)
    shape = (1, 41, 50, 5)
    long = Add(
        name="add",
        inputs=("a", "b"),
        output="y",
        shapes=(shape, shape),
        shape=shape,
        left=layer.left,
        right=layer.right,
        requant=layer.requant,
    )
    graph = graph_of(long)
    assert on_tape(graph)
    inputs = {name: random_codes(rng, shape, INT8) for name in "ab"}
    np.testing.assert_array_equal(WholeReader(graph).run(inputs)["y"], layer_by_layer(graph, inputs)["y"])


def test_32_bit_tensors_between_layers() -> None:
    """QUANTIZE to int32 and back: the memory widens."""
    widen = Requant("single", np.array([2**30]), np.array([20]), 5, INT32.min, INT32.max)
    narrow = Requant("single", np.array([2**30]), np.array([-18]), 1, -128, 127)
    layers = (
        Rescale(name="up", inputs=("x",), output="wide", shapes=((4,),), shape=(4,), input_zero_point=3, requant=widen),
        Rescale(
            name="down", inputs=("wide",), output="y", shapes=((4,),), shape=(4,), input_zero_point=-9, requant=narrow
        ),
    )
    formats = {"x": INT8, "wide": INT32, "y": INT8}
    graph = Graph(
        name="wide",
        arithmetic="tflite-micro",
        tensors={name: Tensor(name, (4,), fmt) for name, fmt in formats.items()},
        layers=layers,
        inputs=(HostPort("x", "x"),),
        outputs=(HostPort("y", "y"),),
    )
    x = np.array([-128, -1, 5, 127], np.int8)
    values = WholeReader(graph).run({"x": x}, keep="all")
    assert values["wide"].dtype == np.int32
    assert values["wide"].tolist() == [requantize_int(int(code) - 3, widen) for code in x]
    assert values["y"].tolist() == [requantize_int(int(code) + 9, narrow) for code in values["wide"]]


def test_results_survive_the_next_run() -> None:
    graph = conv()
    reader, rng = WholeReader(graph), np.random.default_rng(0)
    first_input, second_input = ({"x": random_codes(rng, graph.tensors["x"].shape, INT8)} for _ in range(2))
    first = reader.run(first_input, keep="all")
    kept = {name: values.copy() for name, values in first.items()}
    second = reader.run(second_input)
    assert (second["y"] != first["y"]).any()
    for name, values in kept.items():
        np.testing.assert_array_equal(first[name], values)


GOOD = np.zeros((1, 8, 8, 4), np.int8)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"inputs: expected \['x'\], got \[\]: missing \['x'\]"),
        ({"x": GOOD, "z": GOOD}, r"unknown \['z'\]"),
        ({"z": GOOD}, r"missing \['x'\] and unknown \['z'\]"),
        (
            {"x": GOOD[0]},
            r"input 'x': expected int8 codes \(int8\) of shape \(1, 8, 8, 4\), got int8 of shape \(8, 8, 4\)",
        ),
        ({"x": GOOD.astype(np.int16)}, "got int16 of shape"),
        ({"x": np.full(GOOD.shape, np.nan)}, "got float64 of shape"),
        ({"x": GOOD.tolist()}, "got list"),
    ],
)
def test_wrong_inputs_are_named(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WholeReader(conv()).run(inputs)


def test_codes_outside_a_narrow_format_are_named() -> None:
    rng = np.random.default_rng(0)
    layer = random_layer(MacGeometry(n=1, ih=2, iw=2, ic=1, oh=2, ow=2, oc=1), rng)
    object.__setattr__(layer, "input_zero_point", 0)
    reader = WholeReader(graph_of(layer, inputs=IntFormat(4)))
    x = np.array([-8, 7, 0, 3], np.int8).reshape(1, 2, 2, 1)
    assert reader.run({"x": x})["y"].shape == (1, 2, 2, 1)
    with pytest.raises(InputError, match="input 'x': expected int4 codes from -8 to 7, got values from -8 to 8"):
        reader.run({"x": np.where(x == 7, 8, x).astype(np.int8)})


def test_a_shape_only_network_has_no_values() -> None:
    with pytest.raises(InputError, match="carries shapes only"):
        WholeReader(conv(shape_only=True))


@pytest.mark.parametrize("scheme", ["nvdla_cvt", "onnx_reference"])
@pytest.mark.parametrize("zero", [0, -7])
@pytest.mark.parametrize("groups", [1, 2])
def test_wide_layers_off_the_tape_equal_products_in_64_bits(scheme: str, zero: int, groups: int) -> None:
    rng, (m, k, n) = np.random.default_rng(groups), (53, 71, 70)
    multiplier, shift = ([3], [11]) if scheme == "nvdla_cvt" else ([0.001], [0])
    requant = Requant(scheme, np.array(multiplier), np.array(shift), 0, -128, 127)
    g = MacGeometry(n=1, ih=m, iw=1, ic=k * groups, oh=m, ow=1, oc=n * groups, groups=groups)
    x, w = random_codes(rng, g.input_shape, INT8), random_codes(rng, g.weight_shape, INT8)
    common: dict[str, Any] = {"name": "l", "output": "y", "geometry": g, "weight_format": INT8, "requant": requant}
    layers = (
        Conv2D(inputs=("x",), weights=w, bias=rng.integers(-999, 999, g.oc), input_zero_point=zero, **common),
        MatMul(inputs=("x", "w"), weights=None, input_zero_point=zero, right_zero_point=zero, **common),
    )
    for layer in layers:
        graph = graph_of(layer)
        right = (w if layer.weights is not None else w.astype(np.int64) - zero).reshape(groups, n, k).astype(np.int64)
        left = (x.astype(np.int64) - zero).reshape(m, groups, k)
        sums = np.einsum("mgk,gnk->mgn", left, right).reshape(g.output_shape)
        codes = requantize(sums + (0 if layer.bias is None else layer.bias), requant)
        assert not on_tape(graph)
        inputs = {"x": x, "w": w} if isinstance(layer, MatMul) else {"x": x}
        np.testing.assert_array_equal(WholeReader(graph).run(inputs)["y"], codes)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("fmt", [INT8, UINT8, IntFormat(4), IntFormat(5, signed=False)])
def test_tables_of_one_code_and_of_that_code_twice(size: int, fmt: IntFormat) -> None:
    """y = f(x), then g(x, y) and g(y, x), as in x * sigmoid(x): all of them functions of x."""
    rng, count, shape = np.random.default_rng(size), fmt.max - fmt.min + 1, (size,)
    one, two = rng.integers(fmt.min, fmt.max + 1, count), rng.integers(-128, 128, (count, count))
    pair: dict[str, Any] = {"shapes": (shape, shape), "shape": shape, "table": two}
    pair |= {"left_min": fmt.min, "right_min": fmt.min}
    layers = (
        Lut(name="f", inputs=("x",), output="y", shapes=(shape,), shape=shape, table=one, input_min=fmt.min),
        BinaryLut(name="g", inputs=("x", "y"), output="a", **pair),
        BinaryLut(name="h", inputs=("y", "x"), output="b", **pair),
    )
    formats = {"x": fmt, "y": fmt, "a": INT8, "b": INT8}
    tensors = {name: Tensor(name, shape, each) for name, each in formats.items()}
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("a", "a"), HostPort("b", "b"))}
    graph = Graph(name="tables", arithmetic="tflite-micro", tensors=tensors, layers=layers, **ports)
    x = random_codes(rng, shape, fmt)
    values = WholeReader(graph).run({"x": x}, keep="all")
    y = one[x.astype(int) - fmt.min]
    assert values["y"].tolist() == y.tolist()
    assert values["a"].tolist() == two[x.astype(int) - fmt.min, y - fmt.min].tolist()
    assert values["b"].tolist() == two[y - fmt.min, x.astype(int) - fmt.min].tolist()
