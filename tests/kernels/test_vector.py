"""Vector layers: each against its rule in plain integers, and every tile against the same box of the whole layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import GraphError
from accelsim.graph import (
    Add,
    AveragePool2D,
    BinaryLut,
    Boxes,
    Concat,
    InterpolatedLut,
    LeakyRelu,
    Lut,
    MaxPool2D,
    Mean,
    Mul,
    OperandScale,
    Pad,
    Rescale,
    Reshape,
    Softmax,
    StridedSlice,
    Sub,
    Transpose,
    VectorLayer,
)
from accelsim.kernels.vector import evaluate
from accelsim.numerics import INT8, INT16, Requant, mbqm_int, requantize_int
from tests.kernels.layers import cut, random_codes
from tests.windows import slices

Rng = np.random.Generator
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60)


def evaluate_box(layer: VectorLayer, inputs: list[np.ndarray], lo: tuple[int, ...], hi: tuple[int, ...]) -> np.ndarray:
    """One tile, fed with exactly what ``reads`` asks for."""
    boxes = layer.reads(Boxes(np.array([lo]), np.array([hi])))
    blocks = [x[slices(box, 0)] for x, box in zip(inputs, boxes, strict=True)]
    places = [(tuple(int(i) for i in box.lo[0]), tuple(int(i) for i in box.hi[0])) for box in boxes]
    return evaluate(layer, blocks, places, (lo, hi))


def whole(layer: VectorLayer, *inputs: np.ndarray) -> np.ndarray:
    return evaluate_box(layer, list(inputs), (0,) * len(layer.shape), layer.shape)


def layer_of(kind: type[Any], shapes: list[tuple[int, ...]], shape: tuple[int, ...], **fields: Any) -> Any:
    names = tuple(f"x{i}" for i in range(len(shapes)))
    return kind(name="layer", inputs=names, output="y", shapes=tuple(shapes), shape=shape, **fields)


def random_requant(rng: Rng, *, gain: float, fmt: Any = INT8, channels: int = 1) -> Requant:
    exponents = np.full(channels, int(np.ceil(np.log2(gain))))
    zero = int(rng.integers(-20, 20))
    return Requant("tflite_double", rng.integers(2**30, 2**31, channels), exponents, zero, fmt.min, fmt.max)


def sums_rule(rng: Rng, channels: int, *, gain: float) -> dict[str, Any]:
    """A requantization and perhaps a bias, each for all channels or one for each."""
    one, other = (channels if rng.random() < 0.5 else 1 for _ in range(2))
    bias = rng.integers(-500, 500, other) if rng.random() < 0.7 else None
    return {"input_zero_point": 3, "requant": random_requant(rng, gain=gain, channels=one), "bias": bias}


def random_shape(rng: Rng, rank: int = 4) -> tuple[int, ...]:
    return tuple(int(i) for i in rng.integers(1, 6, rank))


def scale(rng: Rng) -> OperandScale:
    return OperandScale(
        zero_point=int(rng.integers(-9, 9)), multiplier=int(rng.integers(2**30, 2**31)), exponent=-1, left_shift=20
    )


def stretched(rng: Rng, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with some axes 1 and some leading axes gone, so that it broadcasts."""
    return tuple(1 if rng.random() < 0.3 else size for size in shape)[int(rng.integers(0, 2)) :]


def add(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    kind = [Add, Sub][int(rng.integers(2))]
    fields = {"left": scale(rng), "right": scale(rng), "requant": random_requant(rng, gain=2**-19)}
    return layer_of(kind, [shape, stretched(rng, shape)], shape, **fields)


def mul(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    return layer_of(
        Mul,
        [stretched(rng, shape), shape],
        shape,
        left_zero_point=3,
        right_zero_point=-4,
        requant=random_requant(rng, gain=0.01),
    )


def rescale(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    return layer_of(Rescale, [shape], shape, input_zero_point=5, requant=random_requant(rng, gain=0.7))


def leaky_relu(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    fields = {"positive": random_requant(rng, gain=0.9), "negative": random_requant(rng, gain=0.2)}
    return layer_of(LeakyRelu, [shape], shape, input_zero_point=-7, **fields)


def lut(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    return layer_of(Lut, [shape], shape, table=random_codes(rng, (256,), INT8))


def binary_lut(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    table = random_codes(rng, (256, 256), INT8)
    other = shape if rng.random() < 0.5 else stretched(rng, shape)
    return layer_of(BinaryLut, [shape, other], shape, table=table, left_min=-128, right_min=-128)


def pool(rng: Rng) -> VectorLayer:
    n, h, w, c = random_shape(rng)
    kernel, stride = tuple(int(i) for i in rng.integers(1, 4, 2)), tuple(int(i) for i in rng.integers(1, 3, 2))
    pad = tuple(int(rng.integers(0, k)) for k in kernel)
    out = tuple((size - 1 + p) // s + 1 for size, p, s in zip((h, w), pad, stride, strict=True))
    kind = [AveragePool2D, MaxPool2D][int(rng.integers(2))]
    return layer_of(
        kind, [(n, h, w, c)], (n, *out, c), kernel=kernel, stride=stride, pad=pad, clamp_min=-100, clamp_max=90
    )


def pool_by_sums(rng: Rng) -> VectorLayer:
    layer: Any = pool(rng)
    fields = {name: getattr(layer, name) for name in ("kernel", "stride", "pad", "clamp_min", "clamp_max")}
    fields |= sums_rule(rng, layer.shape[-1], gain=0.05) | {"count_include_pad": rng.random() < 0.5}
    return layer_of(AveragePool2D, [*layer.shapes], layer.shape, rule="sums", **fields)


def mean(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    axes = tuple(sorted(int(i) for i in rng.choice(4, int(rng.integers(1, 4)), replace=False)))
    kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
    return layer_of(Mean, [shape], kept, axes=axes, **sums_rule(rng, kept[-1], gain=0.1))


def concat(rng: Rng) -> VectorLayer:
    shape, axis = random_shape(rng), int(rng.integers(4))
    shapes = [(*shape[:axis], int(size), *shape[axis + 1 :]) for size in rng.integers(1, 5, 3)]
    return layer_of(Concat, shapes, (*shape[:axis], sum(s[axis] for s in shapes), *shape[axis + 1 :]), axis=axis)


def pad(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    before, after = rng.integers(0, 3, 4), rng.integers(0, 3, 4)
    out = tuple(int(b + s + a) for b, s, a in zip(before, shape, after, strict=True))
    return layer_of(Pad, [shape], out, before=tuple(int(b) for b in before), value=-7)


def reshape(rng: Rng) -> VectorLayer:
    a, b, c = random_shape(rng, 3)
    return layer_of(Reshape, [(a, b, c)], (a * c, b))


def transpose(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    permutation = tuple(int(i) for i in rng.permutation(4))
    return layer_of(Transpose, [shape], tuple(shape[i] for i in permutation), permutation=permutation)


def strided_slice(rng: Rng) -> VectorLayer:
    shape = random_shape(rng)
    rows = [range(size)[:: int(step)] for size, step in zip(shape, rng.choice([-3, -2, -1, 1, 2, 3], 4), strict=True)]
    return layer_of(
        StridedSlice,
        [shape],
        tuple(len(r) for r in rows),
        begin=tuple(r.start for r in rows),
        strides=tuple(r.step for r in rows),
    )


def softmax(rng: Rng) -> VectorLayer:
    shape = random_shape(rng, 2)
    return layer_of(Softmax, [shape], shape, multiplier=2**30 + 999, left_shift=23, diff_min=-124)


MAKERS: dict[str, Callable[[Rng], VectorLayer]] = {
    make.__name__: make
    for make in (
        add,
        mul,
        rescale,
        leaky_relu,
        lut,
        pool,
        pool_by_sums,
        mean,
        concat,
        pad,
        reshape,
        transpose,
        strided_slice,
        softmax,
    )
}


def random_inputs(rng: Rng, layer: VectorLayer) -> list[np.ndarray]:
    return [random_codes(rng, shape, INT8) for shape in layer.shapes]


@pytest.mark.parametrize("kind", MAKERS)
@settings(relaxed, max_examples=25)
@given(seed=seeds)
def test_tiles_equal_the_same_boxes_of_the_whole(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = MAKERS[kind](rng)
    inputs = random_inputs(rng, layer)
    expected = whole(layer, *inputs)
    assert expected.shape == layer.shape
    axes = [[(0, size)] if i in layer.whole_axes else cut(rng, size) for i, size in enumerate(layer.shape)]
    for box in product(*axes):
        lo, hi = zip(*box, strict=True)
        tile = evaluate_box(layer, inputs, lo, hi)
        np.testing.assert_array_equal(tile, expected[tuple(slice(a, b) for a, b in box)])


@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - {"softmax"}))
@settings(relaxed, max_examples=15)
@given(seed=seeds)
def test_each_element_follows_its_rule(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = MAKERS[kind](rng)
    inputs = random_inputs(rng, layer)
    got = whole(layer, *inputs)
    rule = RULES[kind]
    for place in np.ndindex(layer.shape):
        assert int(got[place]) == rule(layer, inputs, place), (layer, place)


def _at(x: np.ndarray, place: tuple[int, ...]) -> int:
    """Element of ``x``, broadcast to the rank of ``place``."""
    tail = place[len(place) - x.ndim :]
    return int(x[tuple(0 if size == 1 else i for i, size in zip(tail, x.shape, strict=True))])


def _operand(x: int, s: OperandScale) -> int:
    return mbqm_int((x - s.zero_point) << s.left_shift, s.multiplier, s.exponent or 0)


def rule_add(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    left, right = _operand(_at(inputs[0], place), layer.left), _operand(_at(inputs[1], place), layer.right)
    return requantize_int(left - right if isinstance(layer, Sub) else left + right, layer.requant)


def rule_mul(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return requantize_int((_at(inputs[0], place) - 3) * (_at(inputs[1], place) + 4), layer.requant)


def rule_rescale(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return requantize_int(int(inputs[0][place]) - 5, layer.requant)


def rule_leaky_relu(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    centred = int(inputs[0][place]) + 7
    return requantize_int(centred, layer.positive if centred >= 0 else layer.negative)


def rule_lut(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return int(layer.table[int(inputs[0][place]) + 128])


def rule_binary_lut(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return int(layer.table[_at(inputs[0], place) + 128, _at(inputs[1], place) + 128])


def rule_pool(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    codes = _window(layer, inputs[0], place)
    if isinstance(layer, MaxPool2D):
        value = max(codes)
    else:
        size = (2 * abs(sum(codes)) + len(codes)) // (2 * len(codes))
        value = size if sum(codes) > 0 else -size
    return min(max(value, -100), 90)


def _window(layer: Any, x: np.ndarray, place: tuple[int, ...]) -> list[int]:
    """Codes of the cells of a window that are inside the image."""
    n, oy, ox, c = place
    _, h, w, _ = x.shape
    rows = [
        y
        for y in range(oy * layer.stride[0] - layer.pad[0], oy * layer.stride[0] - layer.pad[0] + layer.kernel[0])
        if 0 <= y < h
    ]
    columns = [
        x
        for x in range(ox * layer.stride[1] - layer.pad[1], ox * layer.stride[1] - layer.pad[1] + layer.kernel[1])
        if 0 <= x < w
    ]
    return [int(x[n, row, column, c]) for row in rows for column in columns]


def rule_pool_by_sums(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    """Sums of windows of different sizes are brought up to one that all of them divide."""
    codes = _window(layer, inputs[0], place)
    sizes = [len(_window(layer, inputs[0], (0, y, x, 0))) for y, x in np.ndindex(*layer.shape[1:3])]
    weight = 1 if layer.count_include_pad else math.lcm(*sizes) // len(codes)
    return _of_channel(layer, weight * (sum(codes) - 3 * len(codes)), place[-1])


def _of_channel(layer: Any, total: int, channel: int) -> int:
    bias, requant = layer.bias, layer.requant
    total += 0 if bias is None else int(bias[channel % len(bias)])
    return requantize_int(total, requant.channels(channel, channel + 1))


def rule_mean(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    codes = inputs[0][tuple(slice(None) if i in layer.axes else at for i, at in enumerate(place))]
    return _of_channel(layer, int(codes.astype(int).sum()) - 3 * codes.size, place[-1])


def rule_concat(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return int(np.concatenate(inputs, axis=layer.axis)[place])


def rule_pad(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    source = tuple(i - b for i, b in zip(place, layer.before, strict=True))
    inside = all(0 <= i < size for i, size in zip(source, inputs[0].shape, strict=True))
    return int(inputs[0][source]) if inside else -7


def rule_reshape(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return int(inputs[0].reshape(-1)[np.ravel_multi_index(place, layer.shape)])


def rule_transpose(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    source = [0] * len(place)
    for axis, at in zip(layer.permutation, place, strict=True):
        source[axis] = at
    return int(inputs[0][tuple(source)])


def rule_strided_slice(layer: Any, inputs: list[np.ndarray], place: tuple[int, ...]) -> int:
    return int(inputs[0][tuple(b + i * s for b, i, s in zip(layer.begin, place, layer.strides, strict=True))])


RULES = {name: globals()[f"rule_{name}"] for name in MAKERS if name != "softmax"}


def test_a_plain_product_is_exact() -> None:
    """XNNPACK's addition: no rounding before the sum."""
    shape = (1, 4)
    left, right = OperandScale(zero_point=1, multiplier=3), OperandScale(zero_point=-2, multiplier=-5)
    requant = Requant("shift_half_up", np.ones(1, np.int32), np.array([1]), 0, -128, 127)
    layer = layer_of(Add, [shape, shape], shape, left=left, right=right, requant=requant)
    a, b = np.array([[-128, 0, 1, 5]], np.int8), np.array([[3, -2, 4, -7]], np.int8)
    expected = [
        min(max((3 * (int(x) - 1) - 5 * (int(y) + 2) + 1) >> 1, -128), 127) for x, y in zip(a[0], b[0], strict=True)
    ]
    assert whole(layer, a, b)[0].tolist() == expected


def test_an_average_of_exactly_a_half_goes_away_from_zero() -> None:
    layer = layer_of(AveragePool2D, [(1, 1, 2, 2)], (1, 1, 1, 2), kernel=(1, 2), stride=(1, 1))
    assert whole(layer, np.array([[[[1, -1], [2, -2]]]], np.int8)).ravel().tolist() == [2, -2]


@pytest.mark.parametrize("classes", [2, 10, 500])
def test_softmax_in_fixed_point_is_within_one_step_of_the_real_one(classes: int) -> None:
    """Input scale 1/16: 0.0625 * 2^26 = 2^22, that is multiplier 2^30 shifted left by 23."""
    x = random_codes(np.random.default_rng(classes), (20, classes), INT8)
    layer = layer_of(Softmax, [x.shape], x.shape, multiplier=2**30, left_shift=23, diff_min=-(31 << 4))
    real = np.exp((x.astype(float) - x.max(axis=1, keepdims=True).astype(float)) / 16)
    codes = real / real.sum(axis=1, keepdims=True) * 256 - 128
    got = whole(layer, x)
    assert np.abs(got - np.minimum(codes, 127)).max() <= 1


def test_differences_below_the_limit_count_as_zero() -> None:
    x = np.array([[0, -10, -11]], np.int8)
    layer = layer_of(Softmax, [x.shape], x.shape, multiplier=2**30, left_shift=23, diff_min=-10)
    got = whole(layer, x)[0]
    assert got[2] == -128
    assert got[1] > -128


def table16(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> np.ndarray:
    return np.minimum(np.round(function(np.linspace(low, high, 513)) * 32768), 32767).astype(np.int16)


def test_softmax_by_tables_is_close_to_the_real_one() -> None:
    """The multiplier brings codes of scale 1/2048 to the exp table's step, 10/65535."""
    rng, step = np.random.default_rng(0), 1 / 2048
    x = random_codes(rng, (16, 12), INT16)
    ratio = step / (10 / 65535)
    fraction, exponent = np.frexp(ratio)
    tables = {"exp_table": table16(np.exp, -10, 0), "reciprocal_table": table16(lambda v: 1 / (1 + v), 0, 1)}
    fields = {
        "multiplier": round(float(fraction) * 2**31),
        "left_shift": int(exponent),
        "output_min": -32768,
        "output_max": 32767,
    }
    layer = layer_of(Softmax, [x.shape], x.shape, algorithm="int16_lut", **fields, **tables)
    real = np.exp((x.astype(float) - x.max(axis=1, keepdims=True).astype(float)) * step)
    got = whole(layer, x) / 32768
    assert np.abs(got - real / real.sum(axis=1, keepdims=True)).max() < 1e-3


@pytest.mark.parametrize(("function", "real"), [("logistic", lambda v: 1 / (1 + np.exp(-v))), ("tanh", np.tanh)])
def test_interpolated_tables_are_within_a_few_steps(function: str, real: Any) -> None:
    """Codes in Q3.12 take the multiplier 3: a step of 1/4096 is three steps of 1/(3*4096)."""
    x = np.arange(-32768, 32768, 7, dtype=np.int16)
    table = np.minimum(np.round(65536 / (1 + np.exp(-np.arange(256) / 24))), 65535).astype(np.uint16)
    layer = layer_of(InterpolatedLut, [x.shape], x.shape, function=function, table=table, multiplier=3, left_shift=0)
    got = whole(layer, x)
    assert np.abs(got - real(x / 4096) * 32768).max() <= 8
    assert (np.diff(got) >= 0).all()


def test_an_unknown_layer_is_named() -> None:
    class Strange(VectorLayer):
        """A layer nobody knows."""

    layer = layer_of(Strange, [(1,)], (1,))
    with pytest.raises(GraphError, match="layer 'layer': the vector unit has no rule for Strange"):
        evaluate(layer, [], [], ((0,), (1,)))
