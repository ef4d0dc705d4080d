"""Pools, means, sums of tensors, tables and softmax: each difference is told by the part of the rule that makes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.graph import (
    Add,
    AveragePool2D,
    Graph,
    HostPort,
    Layer,
    LeakyRelu,
    Lut,
    Mean,
    OperandScale,
    Softmax,
    Sub,
    Tensor,
)
from accelsim.importers import load_graph
from accelsim.numerics import INT8, Requant
from accelsim.quant import encode_multiplier, requant_from_scales
from accelsim.verification import VerificationReport, names, verify
from tests.verification.networks import digits, digits_layers, images
from tests.verification.test_faults import machine, only

Array = NDArray[Any]
ROWS = (1, 32, 32, 4)


def network(layer: Layer, *tensors: Tensor) -> Graph:
    """``layer`` alone; the last of ``tensors`` is its output."""
    ports = tuple(HostPort(tensor.name, tensor.name) for tensor in tensors)
    return Graph(
        name="one", arithmetic="tflite-micro", tensors={t.name: t for t in tensors}, layers=(layer,), inputs=ports[:-1],
        outputs=ports[-1:],
    )  # fmt: skip


def feeds(graph: Graph, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        port.tensor: rng.integers(-128, 128, (1, *graph.tensors[port.tensor].shape)).astype(np.int8)
        for port in graph.inputs
    }


def against_floats(graph: Graph, **options: Any) -> VerificationReport:
    """With float64, so that float32's own roundings do not stand before the rest."""
    report = verify(graph, arch=machine(), inputs=feeds(graph), oracle="fake-quant-float64", **options)
    assert report.complete
    assert sum(report.causes().values()) == report.differing
    return report


def sum_of(kind: type[Add], scales: tuple[float, float, float], zeros: tuple[int, int, int], shift: int = 20) -> Graph:
    """TFLite's rule (LiteRT kernels/add.cc), with ``shift`` bits in place of 20."""
    twice = 2 * max(scales[:2])
    encoded = [encode_multiplier(scale / twice) for scale in scales[:2]]
    sides = [
        OperandScale(zero_point=zero, multiplier=m, exponent=e, left_shift=shift)
        for (m, e), zero in zip(encoded, zeros, strict=False)
    ]
    multiplier, exponent = encode_multiplier(twice / (2.0**shift * scales[2]))
    requant = Requant("tflite_double", np.array([multiplier]), np.array([exponent], np.int32), zeros[2], -128, 127)
    layer = kind(
        name="sum", inputs=("a", "b"), output="y", shapes=(ROWS, ROWS), shape=ROWS, left=sides[0], right=sides[1],
        requant=requant,
    )  # fmt: skip
    tensors = [Tensor(name, ROWS, INT8, z, s) for name, z, s in zip("aby", zeros, scales, strict=True)]
    return network(layer, *tensors)


@pytest.mark.parametrize("kind", [Add, Sub])
def test_sums_with_power_of_two_scales_differ_at_ties_alone(kind: type[Add]) -> None:
    """8.1 % of all pairs are decided by the tie rule (reference: exhaustive over 65,536 pairs)."""
    graph = sum_of(kind, (2.0**-5, 2.0**-6, 2.0**-4), (3, -7, 5))
    report = against_floats(graph)
    assert set(report.causes()) == {names.TIE}
    a, b = (feeds(graph)[name][0].astype(np.int64) for name in "ab")
    quarters = 2 * (a - 3) + (b + 7 if kind is Add else -(b + 7))
    ties = np.abs(quarters) % 4 == 2
    assert 0.1 * ties.sum() < report.differing <= ties.sum()


def test_operands_of_few_bits_are_operand_rescale() -> None:
    scales, zeros = (0.0310127, 0.0173311, 0.0400963), (3, -7, 5)
    assert against_floats(sum_of(Add, scales, zeros)).differing == 0
    report = against_floats(sum_of(Add, scales, zeros, shift=3))
    assert set(report.causes()) == {names.OPERANDS, names.ROUNDING}
    assert report.causes()[names.OPERANDS] > 100


def pool(zero: int) -> Graph:
    layer = AveragePool2D(
        name="pool", inputs=("x",), output="y", shapes=(ROWS,), shape=(1, 16, 16, 4), kernel=(2, 2), stride=(2, 2)
    )
    shapes = ROWS, (1, 16, 16, 4)
    return network(layer, *(Tensor(n, s, INT8, zero, 2.0**-5) for n, s in zip("xy", shapes, strict=True)))


@pytest.mark.parametrize(("zero", "causes"), [(0, {names.TIE}), (-128, {names.TIE}), (-5, {names.PARITY})])
def test_means_of_raw_codes_differ_at_ties(zero: int, causes: set[str]) -> None:
    """Half away from 0 of the code itself, zero point included; with an odd one it is the other neighbour that is even."""
    graph = pool(zero)
    report = against_floats(graph)
    assert set(report.causes()) == causes
    x = feeds(graph)["x"][0].astype(np.int64).reshape(16, 2, 16, 2, 4).sum(axis=(1, 3))
    even = np.array([[[round(Fraction(int(v) - 4 * zero, 4)) + zero for v in c] for c in row] for row in x])
    away = np.sign(x) * ((np.abs(x) + 2) // 4)
    assert report.differing == (even != away).sum() > 100


def mean(scheme: str, *, folded: bool, raw: bool = False) -> Graph:
    """Over 6 codes, output scale as the input's: sums of 3 more than a multiple of 6 are ties."""
    multiplier, exponent = encode_multiplier(1.0 if folded else 0.05 / 0.0476113 / 6)
    if folded:  # LiteRT reference/reduce.h
        multiplier, exponent = (multiplier << 2) // 6, exponent - 2
    requant = Requant(scheme, np.array([multiplier]), np.array([exponent], np.int32), -3 if not raw else 2, -128, 127)
    shape = (1, 6, 1, 4096)
    layer = Mean(
        name="mean", inputs=("x",), output="y", shapes=(shape,), shape=(1, 1, 1, 4096), axes=(1,),
        input_zero_point=0 if raw else -5, requant=requant,
    )  # fmt: skip
    scales = (2.0**-5, 2.0**-5) if not raw else (0.05, 0.0476113)
    return network(layer, Tensor("x", shape, INT8, -5, scales[0]), Tensor("y", (1, 1, 1, 4096), INT8, -3, scales[1]))


def test_means_that_truncate_their_multiplier() -> None:
    """1/6 truncated leaves ties below one half: every tie falls to the lower code."""
    report = against_floats(mean("single", folded=True))
    assert set(report.causes()) == {names.DIVISOR}
    graph = mean("single", folded=True)
    sums = feeds(graph)["x"][0].astype(np.int64).sum(axis=(0, 1, 2)) + 30
    ties = [Fraction(int(v), 6) for v in sums if v % 6 == 3]
    # Above 0 the quotient is a little too small, below 0 a little too large: both toward 0; the even reading half of the time.
    assert report.differing == sum(abs(round(v)) > abs(v) for v in ties) > 100


def test_a_mean_that_rounds_its_zero_points() -> None:
    """LiteRT's kernel over an image; -5 * 0.05 / 0.0476113 = -5.25 becomes -5, and the mean is off by a quarter."""
    report = against_floats(mean("single", folded=False, raw=True))
    assert report.causes()[names.OFFSET] == report.differing
    assert report.differing / report.elements == pytest.approx(0.25, abs=0.04)


def test_two_slopes_of_a_narrow_multiplier() -> None:
    shapes = (1, 64, 4, 4), (1, 64, 4, 4)
    sides = [
        requant_from_scales("single_8", s_in=0.05, s_w=w, s_out=0.03, zero_point=4, clamp_min=-128, clamp_max=127)
        for w in (1.0, 0.1)
    ]
    layer = LeakyRelu(
        name="leaky", inputs=("x",), output="y", shapes=shapes[:1], shape=shapes[1], input_zero_point=-1,
        positive=sides[0], negative=sides[1],
    )  # fmt: skip
    report = against_floats(
        network(layer, Tensor("x", shapes[0], INT8, -1, 0.05), Tensor("y", shapes[1], INT8, 4, 0.03))
    )
    assert set(report.causes()) <= {names.WIDTH, names.TIE, names.ROUNDING}
    assert report.causes()[names.WIDTH] > 0


def _relu(most: float) -> Callable[[float], float]:
    return lambda x: min(max(x, 0), most)


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "LOGISTIC": lambda x: 1 / (1 + math.exp(-x)),
    "TANH": math.tanh,
    "HARD_SWISH": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "RELU": _relu(math.inf),
    "RELU6": _relu(6),
}


def table(off: int, operator: str = "LOGISTIC") -> Graph:
    """From -5.5 to 4.7; every seventh entry is ``off``."""
    codes, scale = np.arange(-128, 128), 1 / 256 if operator == "LOGISTIC" else 1 / 37
    zero = -128 if operator == "LOGISTIC" else -80
    real = np.array([FUNCTIONS[operator](0.04 * (code - 10)) for code in codes.tolist()])
    entries = np.rint(real / scale).astype(np.int64) + zero + off * (codes % 7 == 0)
    layer = Lut(
        name="table", inputs=("x",), output="y", shapes=(ROWS,), shape=ROWS, source_operator=operator,
        table=np.clip(entries, -128, 127).astype(np.int8),
    )  # fmt: skip
    return network(layer, Tensor("x", ROWS, INT8, 10, 0.04), Tensor("y", ROWS, INT8, zero, scale))


@pytest.mark.parametrize("operator", FUNCTIONS)
def test_a_table_of_a_function_is_that_function(operator: str) -> None:
    assert against_floats(table(0, operator)).causes().keys() <= {names.TIE}


def test_entries_of_a_table() -> None:
    assert against_floats(table(0)).differing == 0
    report = against_floats(table(1))
    (entries,) = feeds(table(1)).values()
    assert report.causes() == {names.TABLE: int((entries.astype(np.int64) % 7 == 0).sum())}


def test_softmax_in_fixed_point() -> None:
    """A multiplier that is 1 % too large is no rounding of the exponential's: named with the fixed-point chain."""
    graph = load_graph(digits(), arithmetic="tflite-micro")
    layer = graph.layers[-1]
    assert isinstance(layer, Softmax)
    wrong = replace(layer, multiplier=int(layer.multiplier * 1.01))
    alone = network(wrong, *(graph.tensors[name] for name in (*layer.inputs, layer.output)))
    report = verify(alone, arch=machine(), inputs=feeds(alone), oracle="fake-quant-float64")
    assert set(report.causes()) <= {names.EXPONENTIAL, names.TIE}


SUM, POOL, MEAN, SOFTMAX = (digits_layers()[i] for i in (5, 3, 6, 8))


def _coarser(side: OperandScale) -> OperandScale:
    return replace(side, left_shift=4)


FAULTS: list[tuple[str, str, Any, set[str]]] = [
    (
        SUM,
        "left multiplier",
        lambda v: {"left": replace(v.left, multiplier=v.left.multiplier - 2**24)},
        {names.OPERANDS},
    ),
    (
        SUM,
        "right zero point",
        lambda v: {"right": replace(v.right, zero_point=v.right.zero_point + 1)},
        {names.INPUT_ZERO},
    ),
    (
        SUM,
        "operands of 4 bits",
        lambda v: {
            "left": _coarser(v.left),
            "right": _coarser(v.right),
            "requant": replace(v.requant, shift=v.requant.shift + 16),
        },
        {names.OPERANDS, names.ROUNDING},
    ),
    (SUM, "zero point", lambda v: {"requant": replace(v.requant, zero_point=-127)}, {names.OUTPUT_ZERO}),
    (SUM, "clamp", lambda v: {"requant": replace(v.requant, clamp_max=-60)}, {names.CLAMP}),
    (
        SUM,
        "multiplier",
        lambda v: {"requant": replace(v.requant, multiplier=v.requant.multiplier - 2**24)},
        {names.MULTIPLIER},
    ),
    (POOL, "clamp", lambda v: {"clamp_max": -70}, {names.CLAMP}),
    (POOL, "padding", lambda v: {"pad": (1, 1)}, {names.PADDING}),
    (MEAN, "scheme", lambda v: {"requant": replace(v.requant, scheme="single")}, {names.ROUNDING}),
    (MEAN, "zero point", lambda v: {"input_zero_point": v.input_zero_point + 1}, {names.INPUT_ZERO}),
    (
        MEAN,
        "multiplier",
        lambda v: {"requant": replace(v.requant, multiplier=v.requant.multiplier - 2**24)},
        {names.MULTIPLIER},
    ),
    (SOFTMAX, "multiplier", lambda v: {"multiplier": v.multiplier // 2}, {names.MULTIPLIER}),
    (SOFTMAX, "reach", lambda v: {"diff_min": -20}, {names.EXPONENTIAL}),
    (SOFTMAX, "range", lambda v: {"output_max": 100}, {names.CLAMP}),
]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "fault", "change", "causes"), FAULTS, ids=[f"{name} {what}" for name, what, *_ in FAULTS]
)
def test_faults_beside_the_array(name: str, fault: str, change: Any, causes: set[str]) -> None:
    """tflite-micro on the digits network, one parameter of one layer of the machine changed."""
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")
    graph = load_graph(digits(), arithmetic="tflite-micro")
    wrong = replace(graph.layer(name), **change(graph.layer(name)))
    layers = tuple(wrong if layer.name == name else layer for layer in graph.layers)
    report = verify(
        replace(graph, layers=layers), arch=machine(), inputs=images(6)[0], oracle="tflite-micro", reference=digits()
    )
    assert only(report, name, *causes) > 0
