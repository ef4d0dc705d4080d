"""Operators of constants and shapes are computed when a model is read; what remains is compared with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import ModelError, UnsupportedOperatorError
from accelsim.graph import Outcome
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.runtime import runtime, save


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def shape_of_an_image(b: Building) -> None:
    """Shape, Gather, Unsqueeze, Concat and Reshape, as PyTorch exports a flattening view."""
    x = b.real(2, 3, 4, 5)
    batch = b.node("Gather", b.node("Shape", x), b.constant(np.int64(0)))
    ends = [b.node("Unsqueeze", batch, b.constant(integers(0))), b.constant(integers(-1))]
    y = b.node("Reshape", x, b.node("Concat", *ends, axis=0))
    b.requantized(b.node("Gemm", y, b.weights(60, 4)), 0.3)


def sizes_of_a_resize(b: Building) -> None:
    """Twice the rows and columns, through float arithmetic on the shape."""
    x = b.real(1, 2, 3, 5)
    shape = b.node("Shape", x)
    image = b.node("Cast", b.node("Slice", shape, b.constant(integers(2)), b.constant(integers(4))), to=1)
    image = b.node("Cast", b.node("Floor", b.node("Mul", image, b.constant(np.float32(2)))), to=7)
    front = b.node("Slice", shape, b.constant(integers(0)), b.constant(integers(2)))
    b.requantized(b.node("Resize", x, "", "", b.node("Concat", front, image, axis=0)))


def sizes_of_split_pad_and_slice(b: Building) -> None:
    """Shape with start and end, Size, ConstantOfShape, Where, Equal, Range, ReduceProd."""
    x = b.real(2, 6, 4)
    rows = b.node("Shape", x, start=1, end=2)
    half = b.node("Div", rows, b.constant(integers(2)))
    y = b.node("Slice", x, b.constant(integers(0)), half, b.constant(integers(1)))
    zeros = b.node(
        "ConstantOfShape", b.constant(integers(6)), value=__import__("onnx").numpy_helper.from_array(integers(1))
    )
    y = b.node("Pad", y, b.node("Where", b.node("Equal", zeros, zeros), zeros, zeros))
    every = b.node("ReduceProd", b.node("Shape", y), keepdims=1)
    b.requantized(b.node("Reshape", y, every))


def turned_weights(b: Building) -> None:
    """Per-channel weights that are transposed, squeezed, cut and joined after they are dequantized."""
    x = b.real(2, 3, 8)
    w = b.node("Transpose", b.weights(6, 8, axis=0), perm=[1, 0])
    y = b.requantized(b.node("MatMul", x, w), 0.2)
    w = b.node(
        "Squeeze", b.node("Unsqueeze", b.weights(6, 9, axis=1), b.constant(integers(0))), b.constant(integers(0))
    )
    w = b.node("Slice", w, b.constant(integers(2)), b.constant(integers(7)), b.constant(integers(1)))
    b.requantized(b.node("MatMul", y, w), 0.4)
    image = b.real(1, 2, 6, 6)
    w = b.node("Reshape", b.weights(4, 18, axis=0), b.constant(integers(4, 2, 3, 3)))
    b.requantized(b.node("Conv", image, w), 0.3)


def clipped_weights(b: Building) -> None:
    """Codes through Clip, as Brevitas exports narrow ones."""
    x = b.real(2, 8)
    w = b.node("Clip", b.constant(b.codes(8, 4)), b.constant(np.int8(-7)), b.constant(np.int8(7)))
    w = b.node("DequantizeLinear", w, b.constant(np.float32(0.1)), b.constant(np.int8(0)))
    b.requantized(b.node("MatMul", x, w), 0.3)


def casts_that_change_nothing(b: Building) -> None:
    """Codes to the type that they have, real numbers to float32."""
    codes, parameters = b.input(1, 4, 5, 5)
    x = b.node("DequantizeLinear", b.node("Cast", codes, to=2), *parameters)
    w = b.node("Cast", b.weights(4, 4, 3, 3), to=1)
    y = b.node("Cast", b.node("Conv", b.node("Cast", x, to=1), w), to=1)
    b.requantized(y, 0.5)


def codes_as_numbers(b: Building) -> None:
    """A cast of codes to float32 is a scale of 1."""
    codes, _ = b.input(1, 4, 5, 5)
    b.requantized(b.node("Cast", codes, to=1), 2.0)


def chains_of_quantizers(b: Building) -> None:
    """Weights that are quantized twice alike."""
    x = b.real(1, 4, 5, 5)
    w = b.constant(b.rng.normal(0, 0.2, (4, 4, 3, 3)).astype(np.float32))
    for scale in (0.01, 0.01):
        parameters = b.constant(np.float32(scale)), b.constant(np.int8(0))
        w = b.node("DequantizeLinear", b.node("QuantizeLinear", w, *parameters), *parameters)
    b.requantized(b.node("Conv", x, w), 0.3)


EXACT = [
    shape_of_an_image, sizes_of_a_resize, sizes_of_split_pad_and_slice, turned_weights, clipped_weights,
    casts_that_change_nothing, codes_as_numbers, chains_of_quantizers,
]  # fmt: skip


@pytest.mark.parametrize("build", EXACT, ids=lambda build: build.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_folded_changes_no_code(build: Callable[[Building], None], seed: int, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(seed))
    build(b)
    assert differing(b.model(), tmp_path) == (0, 0)
    assert not load_graph(save(b.model(), tmp_path)).approximations


def test_two_quantizers_of_an_activation_are_named(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(4))
    b.requantized(b.node("Sigmoid", b.requantized(b.real(1, 4, 5, 5), 0.1)), 0.004)
    b.outputs = b.outputs[-1:]
    (told,) = load_graph(save(b.model(), tmp_path)).approximations.values()
    assert "makes one quantizer of both" in told[0]
    assert differing(b.model(), tmp_path)[0] > 0


def test_the_account_says_what_is_constant(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(0))
    shape_of_an_image(b)
    source = load_graph(save(b.model(), tmp_path)).source
    told = {each.operator: each.outcome for each in source}
    assert {op for op, outcome in told.items() if outcome is Outcome.CONSTANT} >= {
        "Shape",
        "Gather",
        "Unsqueeze",
        "Concat",
    }
    assert told["Reshape"] is Outcome.LAYER


BIASES = {
    "int8": (np.int8, 7.0, 0),
    "uint8 with a zero point": (np.uint8, 5.0, 31),
    "int32 of another scale": (np.int32, 0.5, 0),
    "int32 with a zero point": (np.int32, 1.0, 100),
}


def with_bias(form: str, op: str) -> Building:
    """Conv, Gemm or MatMul and Add, with a bias behind a DequantizeLinear."""
    dtype, units, zero = BIASES[form]
    b = Building(np.random.default_rng(3))
    x = b.real(2, 4, 6, 6) if op == "Conv" else b.real(6, 8)
    codes, zeros = b.constant(b.rng.integers(0, 100, 5).astype(dtype)), b.constant(np.asarray(zero, dtype))
    bias = b.node("DequantizeLinear", codes, b.constant(np.float32(0.0003 * units)), zeros)
    if op == "MatMul":
        y = b.node("Add", b.node("MatMul", x, b.weights(8, 5)), bias)
    else:
        y = b.node(op, x, b.weights(5, 4, 3, 3) if op == "Conv" else b.weights(8, 5), bias)
    b.requantized(y, 0.3)
    return b


FORMS = [(form, op) for form in BIASES for op in ("Conv", "Gemm", "MatMul") if op == "Conv" or "int32" not in form]


@pytest.mark.parametrize(("form", "op"), FORMS)
def test_biases_of_any_constant_form(form: str, op: str, tmp_path: Path) -> None:
    b = with_bias(form, op)
    wrong, worst = differing(b.model(), tmp_path, count=20)
    graph = load_graph(save(b.model(), tmp_path))
    assert graph.approximations
    assert worst <= 1
    assert wrong <= 1


@pytest.mark.parametrize("form", [form for form in BIASES if "int32" in form])
@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_a_bias_that_the_runtime_misreads_is_refused(form: str, op: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperatorError, match="the scale of its bias is not s_in . s_w"):
        load_graph(save(with_bias(form, op).model(), tmp_path))
    session, plain = (runtime(with_bias(form, op).model(), int8=True, optimize=on) for on in (True, False))
    rng = np.random.default_rng(0)
    feeds = [{"x0": rng.normal(0, 3, (6, 8)).astype(np.float32)} for _ in range(20)]
    assert any((session.run(None, feed)[0] != plain.run(None, feed)[0]).any() for feed in feeds)


def test_what_makes_too_much_of_a_few_numbers_is_refused(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(0))
    big = b.node("Expand", b.constant(np.float32(0)), b.constant(integers(60000, 60000)))
    b.requantized(b.node("Add", b.real(1, 4), b.node("ReduceSum", big)))
    with pytest.raises(UnsupportedOperatorError, match="Expand.*3600000000 elements"):
        load_graph(save(b.model(), tmp_path))


def test_constants_that_do_not_suit_each_other_are_refused(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(0))
    odd = b.node("Reshape", b.constant(np.zeros(6, np.float32)), b.constant(integers(4)))
    b.requantized(b.node("Add", b.real(1, 4), odd))
    with pytest.raises(ModelError, match="Reshape.*cannot be computed from its constants"):
        load_graph(save(b.model(), tmp_path))
