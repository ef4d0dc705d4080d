"""Each operator that is read once quantized, from float to integers: no output of the optimized ONNX Runtime differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.importers.onnx import float_operators
from accelsim.ptq import Settings, evaluate, quantize_network, read_float
from accelsim.ptq.network.operators import OPERATORS
from tests.importers.onnx.runtime import run_graph, runtime
from tests.ptq.networks import Net, save

pytestmark = pytest.mark.oracle
OPSET = 21
IMAGE, ROW, TOKENS = (1, 4, 6, 6), (1, 4, 12), (1, 6, 8)
Build = Callable[[Net], Any]


def ints(net: Net, *values: int) -> str:
    return net.constant(values, np.int64)


def several(net: Net, op: str, x: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
    """A node of ``count`` outputs."""
    first = net.node(op, x, *inputs, **attributes)
    names = [first, *(f"{first}_{i}" for i in range(1, count))]
    net.nodes[-1].output[:] = names
    return names


def attention(n: Net) -> str:
    """Two products of two activations, with a constant factor and a softmax between them."""

    def heads(perm: list[int]) -> str:
        projected = n.node("Add", n.node("MatMul", "x", n.normal(8, 8)), n.normal(8))
        return n.node("Transpose", n.node("Reshape", projected, ints(n, 1, 6, 2, 4)), perm=perm)

    scores = n.node("MatMul", heads([0, 2, 1, 3]), heads([0, 2, 3, 1]))
    weights = n.node("Softmax", n.node("Div", scores, n.constant(2.0)), axis=-1)
    return n.node("MatMul", weights, heads([0, 2, 1, 3]))


def split(n: Net) -> str:
    a, b = several(n, "Split", n.node("Conv", "x", n.normal(6, 4, 1, 1)), 2, axis=1, num_outputs=2)
    return n.node("Mul", a, n.node("Sigmoid", b))


def erf_gelu(n: Net, order: int) -> str:
    x = n.node("MatMul", "x", n.normal(8, 8))
    scaled = n.node("Div", x, n.constant(1.4142135)) if order else n.node("Mul", n.constant(0.70710677), x)
    gate = n.node("Add", n.constant(1.0), n.node("Erf", scaled))
    if order == 1:
        return n.node("Mul", n.node("Mul", x, gate), n.constant(0.5))
    return n.node("Mul", n.node("Mul", x, n.constant(0.5)), gate)


def hard_swish(n: Net, order: int) -> str:
    x = n.node("Conv", "x", n.normal(4, 4, 1, 1))
    if order == 2:
        return n.node("Mul", x, n.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    gate = n.node("Clip", n.node("Add", x, n.constant(3.0)), n.constant(0.0), n.constant(6.0))
    if order == 0:
        return n.node("Div", n.node("Mul", x, gate), n.constant(6.0))
    return n.node("Mul", x, n.node("Div", gate, n.constant(6.0)))


def layer_norm(n: Net) -> str:
    """As PyTorch exports it below operator set 17."""
    axis = ints(n, -1)
    centred = n.node("Sub", "x", n.node("ReduceMean", "x", axis))
    mean = n.node("ReduceMean", n.node("Pow", centred, n.constant(2.0)), axis)
    normal = n.node("Div", centred, n.node("Sqrt", n.node("Add", mean, n.constant(1e-5))))
    return n.node("Add", n.node("Mul", normal, n.normal(8)), n.normal(8))


def upsampled(n: Net, **attributes: Any) -> str:
    groups = attributes.get("group", 1)
    y = n.node("ConvTranspose", "x", n.normal(4, 6 // groups, 2, 2), n.normal(6), strides=[2, 2], **attributes)
    return n.node("Relu", n.norm(y, 6))


def binary(op: str, *, constant: Any = None, first: bool = False) -> Build:
    def build(n: Net) -> str:
        a = n.node("Sigmoid", n.node("Conv", "x", n.normal(4, 4, 1, 1)))
        if constant is None:
            other = n.node("Sigmoid", n.node("Conv", "x", n.normal(4, 4, 1, 1), n.constant(np.full(4, 2))))
        else:
            other = n.constant(constant)
        return n.node(op, *((other, a) if first else (a, other)))

    return build


def unary(op: str, **attributes: Any) -> Build:
    def build(n: Net) -> str:
        return n.node(op, n.node("Abs", n.node("Conv", "x", n.normal(4, 4, 1, 1))), **attributes)

    return build


def moved(op: str, *values: Any, **attributes: Any) -> Build:
    def build(n: Net) -> str:
        given = [n.constant(v, np.float32 if op == "Resize" else np.int64) if v is not None else "" for v in values]
        return n.node("Conv", n.node(op, "x", *given, **attributes), n.normal(3, 4, 1, 1))

    return build


def reduced(op: str, *axes: int) -> Build:
    return lambda n: n.node(op, n.node("Conv", "x", n.normal(4, 4, 1, 1)), ints(n, *axes), keepdims=0)


CASES: dict[str, tuple[tuple[int, ...], Build]] = {
    "ConvTranspose": (IMAGE, upsampled),
    "ConvTranspose in groups": (IMAGE, lambda n: upsampled(n, group=2)),
    "ConvTranspose 1-D": (ROW, lambda n: n.node("ConvTranspose", "x", n.normal(4, 3, 3), n.normal(3), strides=[2])),
    "Conv 1-D": (
        ROW,
        lambda n: n.node("GlobalAveragePool", n.node("Relu", n.norm(n.node("Conv", "x", n.normal(6, 4, 3), pads=[2, 0]), 6))),
    ),
    "pools 1-D": (
        ROW,
        lambda n: n.node("AveragePool", n.node("MaxPool", "x", kernel_shape=[3], strides=[1]), kernel_shape=[2], strides=[2]),
    ),
    "BatchNormalization alone": (IMAGE, lambda n: n.node("Relu", n.norm("x", 4))),
    "MatMul of two activations": (TOKENS, attention),
    "MatMul of several matrices": (IMAGE, lambda n: n.node("MatMul", "x", n.normal(4, 6, 5))),
    "Split": (IMAGE, split),
    "Gelu": (TOKENS, lambda n: n.node("Gelu", n.node("MatMul", "x", n.normal(8, 8)))),
    "Gelu of tanh": (TOKENS, lambda n: n.node("Gelu", n.node("MatMul", "x", n.normal(8, 8)), approximate="tanh")),
    **{f"Gelu written out {i}": (TOKENS, lambda n, i=i: erf_gelu(n, i)) for i in (0, 1, 2)},
    **{f"HardSwish written out {i}": (IMAGE, lambda n, i=i: hard_swish(n, i)) for i in (0, 1, 2)},
    "LayerNormalization": (TOKENS, lambda n: n.node("LayerNormalization", "x", n.normal(8), n.normal(8))),
    "LayerNormalization written out": (TOKENS, layer_norm),
    **{op: (IMAGE, binary(op)) for op in ("Add", "Sub", "Sum", "Mul", "Div", "Min", "Max", "Pow")},
    **{f"{op} of a number": (IMAGE, binary(op, constant=2.5)) for op in ("Add", "Sub", "Sum", "Mul", "Div", "Pow", "Min", "Max")},
    **{f"{op} to a number": (IMAGE, binary(op, constant=2.5, first=True)) for op in ("Sub", "Div")},
    "Pow 3": (IMAGE, binary("Pow", constant=3.0)),
    "Mul by channels": (IMAGE, binary("Mul", constant=np.linspace(-1, 2, 4).reshape(4, 1, 1))),
    "Add of many numbers": ((1, 4, 9, 9), binary("Add", constant=np.random.default_rng(3).normal(size=(1, 4, 9, 9)))),
    "Mul by many numbers": ((1, 4, 9, 9), binary("Mul", constant=np.random.default_rng(3).normal(size=(1, 4, 9, 9)))),
    "Sub of many numbers": ((1, 4, 9, 9), binary("Sub", constant=np.random.default_rng(3).normal(size=(1, 4, 9, 9)))),
    "PRelu": (IMAGE, lambda n: n.node("PRelu", n.node("Conv", "x", n.normal(4, 4, 1, 1)), n.normal(4, 1, 1))),
    **{op: (IMAGE, unary(op)) for op in ("Sqrt", "Exp", "Erf", "Neg", "Softplus", "Softsign", "Mish")},
    **{op: (IMAGE, unary(op)) for op in ("HardSigmoid", "HardSwish", "Celu", "Elu", "Selu", "LeakyRelu", "Tanh")},
    "ReduceMean": (IMAGE, reduced("ReduceMean", 1)),
    "ReduceSum": (IMAGE, reduced("ReduceSum", 3)),
    "ReduceMax": (IMAGE, reduced("ReduceMax", 2, 3)),
    "ReduceMin": (IMAGE, reduced("ReduceMin", 1)),
    "Resize": (IMAGE, moved("Resize", None, [1, 1, 2, 2], coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
    "Slice": (IMAGE, moved("Slice", [1], [5], [2])),
    "Gather": (IMAGE, moved("Gather", [3, 0, 2], axis=3)),
    "Tile": (IMAGE, moved("Tile", [1, 1, 2, 1])),
    "Expand": ((1, 4, 1, 6), moved("Expand", [1, 4, 3, 6])),
    "Pad": (IMAGE, moved("Pad", [0, 0, 1, 1, 0, 0, 2, 0])),
    "DepthToSpace": ((1, 16, 3, 3), moved("DepthToSpace", blocksize=2)),
    "SpaceToDepth": ((1, 1, 6, 6), moved("SpaceToDepth", blocksize=2)),
    "GlobalMaxPool": (IMAGE, moved("GlobalMaxPool")),
    "Dropout at the end": (IMAGE, lambda n: n.node("Dropout", n.node("Conv", "x", n.normal(2, 4, 1, 1)))),
}  # fmt: skip
"""Networks by what is new in them."""
NEAR_TIES = {name: 1e-3 for name in CASES if name.startswith("ConvTranspose")}
"""Share of codes that may be one off: ONNX Runtime has no integer operator of these, and sums in float32; so it is named."""
ELSEWHERE = {
    "Concat", "Flatten", "Gemm", "Identity", "Squeeze", "Unsqueeze",
    "FastGelu", "Log", "Reciprocal",
}  # fmt: skip
"""In the networks of the other tests; of ONNX Runtime's own domain; functions that have no value at 0."""


@pytest.mark.parametrize("name", CASES)
def test_no_code_differs_from_the_optimized_onnxruntime(name: str, tmp_path: Path) -> None:
    shape, build = CASES[name]
    wrong = compared = 0
    for seed, options in ((0, {}), (1, {"per_channel": True}), (2, {"symmetric": True, "bias_correction": True})):
        net = Net(seed, shape, opset=OPSET)
        path = save(net.model(build(net)), tmp_path)
        rng = np.random.default_rng(seed)
        settings = Settings(weights=7, **options)  # type: ignore[arg-type]
        made = quantize_network(
            path, {"x": rng.normal(size=(6, *shape))}, settings=settings, dialect="qdq", evaluator="onnxruntime"
        )
        session = runtime(made.model, int8=True)
        (port,) = made.graph.outputs
        known = made.graph.tensors[port.tensor]
        for x in rng.normal(size=(8, *shape)).astype(np.float32):
            (theirs,) = session.run(None, {"x": x})
            codes = run_graph(made.graph, {"x": x})[port.tensor]
            ours = np.float32(known.scale) * (codes.astype(np.int64) - known.zero_point).astype(np.float32)
            assert ours.shape == theirs.shape
            off = np.rint(np.abs(ours - theirs) / known.scale)
            assert off.max() <= (1 if name in NEAR_TIES else 0), (seed, made.graph.approximations)
            wrong, compared = wrong + int((off > 0).sum()), compared + ours.size
    assert wrong <= NEAR_TIES.get(name, 0) * compared
    assert compared >= 24


def test_every_operator_is_tried() -> None:
    """What the reader takes between its quantizers is quantized, and stands in a network above."""
    drawn = set()
    for shape, build in CASES.values():
        net = Net(0, shape, opset=OPSET)
        build(net)
        drawn |= {node.op_type for node in net.nodes}
    assert OPERATORS.keys() == float_operators().keys()
    assert OPERATORS.keys() - drawn <= ELSEWHERE


@pytest.mark.parametrize(
    ("name", "op"),
    [
        *((f"Gelu written out {i}", "Gelu") for i in (0, 1, 2)),
        *((f"HardSwish written out {i}", "HardSwish") for i in (0, 1, 2)),
        ("LayerNormalization written out", "LayerNormalization"),
    ],
)
def test_a_function_written_out_is_one_operator(name: str, op: str, tmp_path: Path) -> None:
    shape, build = CASES[name]
    net = Net(4, shape, opset=18)
    model = net.model(build(net))
    read = read_float(save(model, tmp_path))
    assert [node.op for node in read.nodes][-1] == op
    assert len(read.nodes) <= 2
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    session = runtime(model, int8=False)
    for one, made in zip(x, evaluate(read, {"x": x}), strict=True):
        assert np.allclose(made[read.outputs[0]], session.run(None, {"x": one})[0], atol=3e-6)


def test_an_inner_result_that_is_read_keeps_a_function_written_out(tmp_path: Path) -> None:
    net = Net(4, TOKENS, opset=18)
    y = erf_gelu(net, 1)
    inner = next(node.output[0] for node in net.nodes if node.op_type == "Erf")
    assert "Gelu" not in {node.op for node in read_float(save(net.model(y, inner), tmp_path)).nodes}
