"""BATCH_MATMUL: layers around the product, operands in the file, what is refused; its multiplier against the runtimes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Graph, MatMul, Transpose
from accelsim.importers import load_graph
from accelsim.importers.matmul import keeps_order, product_of
from accelsim.numerics import INT8, INT16, INT64, requantize
from accelsim.quant import dense_multiplier_per_tensor, requant_from_scales
from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.one_op import case
from tests.oracles.runtimes import RUNTIMES, as_file, differences


def load(
    folder: Path, a: T, b: T, y: T, *, adj: tuple[bool, bool] = (False, False), arithmetic: str = "tflite-micro"
) -> Graph:
    path = folder / "net.tflite"
    inputs = [t.name for t in (a, b) if t.data is None]
    op = Op("BATCH_MATMUL", ["a", "b"], ["y"], {"AdjX": adj[0], "AdjY": adj[1]})
    path.write_bytes(tflite_bytes([a, b, y], [op], inputs, ["y"]))
    return load_graph(path, arithmetic=arithmetic)


def tensor(name: str, shape: tuple[int, ...], kind: str = "INT8", **fields: Any) -> T:
    return T(name, shape, kind, **({"scale": 0.5, "zero": 0 if kind == "INT16" else 3} | fields))


def test_a_batch_stands_between_transpositions(tmp_path: Path) -> None:
    graph = load(tmp_path, tensor("a", (2, 4, 5)), tensor("b", (2, 5, 6), zero=-9), tensor("y", (2, 4, 6)))
    left, right, product, output = graph.layers
    assert [layer.name for layer in graph.layers] == [
        "y left", "y right", "y", "y output",
    ]  # fmt: skip
    assert isinstance(product, MatMul)
    assert [x.permutation for x in (left, right, output) if isinstance(x, Transpose)] == [
        (1, 0, 2),
        (0, 2, 1),
        (1, 0, 2),
    ]
    assert product.inputs == ("y/left", "y/right")
    assert (product.input_zero_point, product.right_zero_point, product.weight_format) == (3, -9, INT8)
    assert graph.tensors["y/right"].shape == (2, 6, 5)
    assert graph.tensors["y/right"].zero_point == -9
    (source,) = graph.source
    assert source.layers == tuple(layer.name for layer in graph.layers)


def test_operands_that_lie_right_are_read_as_they_are(tmp_path: Path) -> None:
    """One group, its right operand turned already."""
    graph = load(tmp_path, tensor("a", (1, 4, 5)), tensor("b", (1, 6, 5)), tensor("y", (1, 4, 6)), adj=(False, True))
    (product,) = graph.layers
    assert (product.inputs, product.output) == (("a", "b"), "y")


def test_a_constant_operand_is_brought_to_its_order_at_import(tmp_path: Path) -> None:
    codes = np.arange(30, dtype=np.int8).reshape(5, 6)
    graph = load(tmp_path, tensor("a", (4, 5)), tensor("b", (5, 6), data=codes), tensor("y", (4, 6)))
    (product,) = graph.layers
    assert product.inputs == ("a", "y/right")
    np.testing.assert_array_equal(graph.constants["y/right"], codes.T)
    assert "b" not in graph.tensors


def test_names_of_the_file_are_left_alone(tmp_path: Path) -> None:
    path, taken = tmp_path / "net.tflite", "y/left"
    tensors = [tensor(taken, (5, 4)), tensor("b", (6, 5)), tensor("y", (4, 6))]
    op = Op("BATCH_MATMUL", [taken, "b"], ["y"], {"AdjX": True, "AdjY": True})
    path.write_bytes(tflite_bytes(tensors, [op], [taken, "b"], ["y"]))
    graph = load_graph(path, arithmetic="tflite-micro")
    assert graph.layers[-1].inputs == (f"{taken}_", "b")


def test_sixteen_bits_are_summed_in_64(tmp_path: Path) -> None:
    tensors = [tensor(n, s, "INT16") for n, s in (("a", (4, 5)), ("b", (5, 6)), ("y", (4, 6)))]
    tensors[-1].scale = 4 * tensors[-1].scale
    product = load(tmp_path, *tensors).layers[-1]
    assert isinstance(product, MatMul)
    assert (product.accumulator, product.weight_format) == (INT64, INT16)
    assert product.requant is not None
    assert product.requant.scheme == "tflite_int16"


def test_results_that_leave_32_bits_are_refused(tmp_path: Path) -> None:
    """Beyond them all runtimes wrap before they saturate."""
    tensors = [tensor(n, s, "INT16") for n, s in (("a", (4, 5)), ("b", (5, 6)), ("y", (4, 6)))]
    with pytest.raises(UnsupportedOperatorError, match=r"its results reach 2\.68e\+09 output codes"):
        load(tmp_path, *tensors)


@pytest.mark.parametrize(("zero", "scheme"), [(0, "float32_half_even"), (1, "tflite_double")])
def test_xnnpack_takes_products_whose_right_zero_point_is_0(zero: int, scheme: str, tmp_path: Path) -> None:
    tensors = tensor("a", (4, 5)), tensor("b", (5, 6), zero=zero), tensor("y", (4, 6))
    product = load(tmp_path, *tensors, arithmetic="litert-xnnpack").layers[-1]
    assert isinstance(product, MatMul)
    assert product.requant is not None
    assert product.requant.scheme == scheme


@pytest.mark.parametrize(
    ("a", "b", "y", "message"),
    [
        (
            tensor("a", (2, 4, 5)),
            tensor("b", (3, 5, 6)),
            tensor("y", (2, 4, 6)),
            "do not broadcast",
        ),
        (tensor("a", (4, 5)), tensor("b", (4, 6)), tensor("y", (4, 6)), "it multiplies [4, 5] with [4, 6]"),
        (tensor("a", (5,)), tensor("b", (5, 6)), tensor("y", (6,)), "it multiplies [5] with [5, 6]"),
        (tensor("a", (4, 5)), tensor("b", (5, 6)), tensor("y", (6, 4)), "its output is declared as [6, 4]"),
        (tensor("a", (4, 5)), tensor("b", (5, 6), "INT16"), tensor("y", (4, 6)), "its operands are INT8 and INT16"),
        (tensor("a", (4, 5)), tensor("b", (5, 6)), tensor("y", (4, 6), "INT32"), "tensor 'y' is INT32"),
        (
            tensor("a", (4, 5)),
            tensor("b", (5, 6), scale=[0.5] * 6, zero=0, axis=1),
            tensor("y", (4, 6)),
            "one positive finite scale",
        ),
        (
            tensor("a", (4, 5), "INT16", zero=1),
            tensor("b", (5, 6), "INT16"),
            tensor("y", (4, 6), "INT16"),
            "16-bit activations have a zero point other than 0",
        ),
    ],
)
def test_what_is_refused(a: T, b: T, y: T, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperatorError, match=re.escape(message)):
        load(tmp_path, a, b, y)


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3)])
def test_the_product_sees_its_operands_as_matrices(batch: tuple[int, ...], turned: tuple[bool, bool]) -> None:
    """numpy's product of the operands equals the groups side by side."""
    rng, (m, k, n) = np.random.default_rng(1), (4, 5, 6)
    a, b = rng.integers(-9, 9, (*batch, m, k)), rng.integers(-9, 9, (*batch, k, n))
    sources = [x.swapaxes(-1, -2) if turn else x for x, turn in zip((a, b), turned, strict=True)]
    product = product_of(sources[0].shape, sources[1].shape, turned=turned)
    assert product is not None
    g = product.geometry
    left = sources[0].transpose(product.left).reshape(g.ih, g.groups, k)
    right = sources[1].transpose(product.right).reshape(g.groups, n, k)
    seen = np.einsum("mgk,gnk->mgn", left, right)
    expected = (a @ b).transpose(product.output)
    np.testing.assert_array_equal(seen.reshape(expected.shape), expected)
    assert product.shape == (a @ b).shape


def test_only_axes_longer_than_one_count() -> None:
    assert keeps_order((1, 4, 1, 5), (1, 0, 2, 3))
    assert keeps_order((1, 4, 1, 5), (2, 1, 3, 0))
    assert not keeps_order((2, 4, 1, 5), (1, 0, 2, 3))
    assert not keeps_order((1, 4, 1, 5), (0, 3, 2, 1))


@pytest.mark.oracle
@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
def test_the_multiplier_to_its_last_bit(arithmetic: str) -> None:
    """LiteRT multiplies the scales of the operands in float32, tflite-micro in double: sums where that shows in the code."""
    count, k, compared = 2_000_000, 129, 0
    sums = np.arange(-count, count, 1, dtype=np.int64)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        a, b = (float(np.float32(2.0**x)) for x in rng.uniform(-6, 0, 2))
        y = float(np.float32(a * b * count / 128 * rng.uniform(1, 2)))
        made = [
            requant_from_scales("tflite_double", s_in=a, s_w=b, s_out=y, zero_point=0, clamp_min=-128, clamp_max=127, real=r)
            for r in (None, dense_multiplier_per_tensor(a, b, y))
        ]  # fmt: skip
        codes = [_codes(sums, requant) for requant in made]
        chosen = sums[codes[0] != codes[1]][:100]
        if not len(chosen):
            continue
        left = np.array([_row_that_sums_to(int(total), k) for total in chosen], dtype=np.int8)
        right = np.array([[127]] * (k - 1) + [[1]], dtype=np.int8)
        tensors = [T("a", left.shape, scale=a), T("b", right.shape, scale=b), T("y", (len(left), 1), scale=y)]
        with as_file(case(tensors, Op("BATCH_MATMUL", ["a", "b"], ["y"]), ["a", "b"]).blob) as path:
            assert differences(path, arithmetic, [{"a": left, "b": right}]) == {"y": 0}
        compared += len(chosen)
    assert compared > 20


def _codes(sums: np.ndarray, requant: Any) -> np.ndarray:
    codes: np.ndarray = requantize(sums[:, None], requant)[:, 0]
    return codes


def _row_that_sums_to(total: int, k: int) -> list[int]:
    """Codes whose products with 127 (k - 1 times) and 1 sum to ``total``."""
    whole, rest = divmod(total, 127)
    base, extra = divmod(whole, k - 1)
    return [base + (i < extra) for i in range(k - 1)] + [rest]
