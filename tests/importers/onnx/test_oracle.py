"""Every code of every tensor equals ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from accelsim.graph import Conv2D
from accelsim.importers import load_graph
from accelsim.importers.onnx.formulas import Quantization, sum_table
from accelsim.kernels.mac import accumulate
from accelsim.numerics import IntFormat, requantize
from tests.importers.onnx.models import Net
from tests.importers.onnx.networks import cnn
from tests.importers.onnx.runtime import differences, run_graph, runtime, save

pytestmark = pytest.mark.oracle
FORMS = pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
KINDS = pytest.mark.parametrize("kind", ["uint8", "int8"])
SCALES = pytest.mark.parametrize("pot", [False, True], ids=["any", "power-of-two"])


@FORMS
@KINDS
@SCALES
@pytest.mark.parametrize("weight_kind", ["int8", "uint8"])
@pytest.mark.parametrize("seed", range(6))
def test_networks(qdq: bool, kind: str, weight_kind: str, pot: bool, seed: int, tmp_path: Path) -> None:
    """Weights of uint8 x int8 products stay within 7 bits: see :func:`test_pairs_of_products_saturate_without_vnni`."""
    if (kind, weight_kind, qdq) == ("int8", "uint8", False):
        pytest.skip("ONNX Runtime has no QLinearConv of int8 activations and uint8 weights")
    narrow = (kind, weight_kind) == ("uint8", "int8")
    net = cnn(seed, qdq=qdq, kind=kind, weight_kind=weight_kind, pot=pot, narrow_weights=narrow)
    model, feeds = net.model(), net.random_feeds(2)
    wrong, compared = differences(model, feeds, tmp_path, int8=kind == "int8")
    assert compared > 20_000
    if wrong:
        _explained_by_float32(model, feeds, tmp_path, next(iter(wrong)))
    else:
        assert wrong == {}


def _explained_by_float32(model: onnx.ModelProto, feeds: list[dict[str, np.ndarray]], folder: Path, first: str) -> None:
    """A convolution whose rectifier cuts off codes stays in float32: its codes may differ within 2^-10 of a tie, and only there.

    Codes of the layers behind it then differ as well. The import must have named the approximation.
    """
    graph = load_graph(save(model, folder), arithmetic="onnxruntime")
    (layer,) = (layer for layer in graph.layers if layer.output == first)
    assert isinstance(layer, Conv2D)
    assert "float32" in graph.approximations[layer.name][0]
    session, known = runtime(model, int8=False), graph.tensors[first]
    differing = 0
    for feed in feeds:
        ours, theirs = run_graph(graph, feed), session.run([first], feed)[0]
        source = graph.tensors[layer.inputs[0]]
        sums = accumulate(layer, source.from_host(ours[layer.inputs[0]]))
        real = known.to_host((sums * layer.requant.multiplier.astype(np.float64)).reshape(known.shape))
        wrong = ours[first] != theirs
        assert (np.abs(real[wrong] % 1 - 0.5) < 2.0**-10).all()
        differing += int(wrong.sum())
    assert 0 < differing <= 2


@pytest.mark.parametrize("seed", range(4))
def test_pairs_of_products_saturate_without_vnni(seed: int, tmp_path: Path) -> None:
    """The one known difference, by name: MLAS on AVX2 without VNNI adds uint8 x int8 products in pairs that saturate at 16 bits.

    Every differing code is explained: saturating those pairs (order kernel row, column, channel; raw codes, the zero point
    taken off at the end) gives the runtime's codes exactly. Weights of 7 bits cannot saturate: 2 * 255 * 64 < 2^15.
    """
    net = Net(np.random.default_rng(seed))
    y = net.conv(net.input((1, 16, 9, 9)), 8, 3)
    (feed,) = net.random_feeds()
    theirs = runtime(net.model(), int8=False).run([y.name], feed)[0]
    (layer,) = load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime").layers
    assert isinstance(layer, Conv2D)
    assert layer.weights is not None
    assert layer.bias is not None
    assert layer.requant is not None
    weights = layer.weights.reshape(8, -1).astype(np.int64)
    image = feed["x0"][0].transpose(1, 2, 0).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))
    products = windows.transpose(0, 1, 3, 4, 2).reshape(7, 7, 1, -1) * weights
    pairs = products.reshape(7, 7, 8, -1, 2).sum(axis=-1)
    offset = layer.bias - layer.input_zero_point * weights.sum(axis=1)
    exact = requantize(pairs.sum(axis=-1) + offset, layer.requant).transpose(2, 0, 1)
    saturated = requantize(np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=-1) + offset, layer.requant).transpose(2, 0, 1)
    assert (exact != saturated).any()
    assert np.array_equal(theirs[0], exact) or np.array_equal(theirs[0], saturated)


@FORMS
@KINDS
@SCALES
@pytest.mark.parametrize("op", ["Add", "Mul"])
@pytest.mark.parametrize(
    "shapes", [((256, 256), (256, 256)), ((256, 1), (256, 256)), ((256, 256), (256, 1)), ((1, 256), (256, 256))]
)
def test_sums_and_products_of_all_pairs(
    op: str, shapes: tuple[tuple[int, int], ...], pot: bool, kind: str, qdq: bool, tmp_path: Path
) -> None:
    """All 65,536 pairs of codes, whichever operand is spread over the other."""
    for seed in range(4):
        net = Net(np.random.default_rng(seed), kind=kind, pot=pot, qdq=qdq)
        net.binary(op, net.input(shapes[0]), net.input(shapes[1]))
        low = np.iinfo(kind).min
        codes = np.arange(low, low + 256).astype(kind)
        feed = {
            "x0": np.broadcast_to(codes[:, None], shapes[0]) if shapes[0][0] > 1 else codes[None],
            "x1": np.broadcast_to(codes, shapes[1]) if shapes[1][1] > 1 else codes[:, None],
        }
        feed = {name: np.ascontiguousarray(values) for name, values in feed.items()}
        wrong, _ = differences(net.model(), [feed], tmp_path, int8=kind == "int8")
        assert wrong == {}, (seed, wrong)


@FORMS
@KINDS
@pytest.mark.parametrize("op", ["Add", "Mul"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (1, 6, 1, 1), (6, 1, 1), (5,), (2, 6, 4, 5), (2, 1, 1, 5), (1, 1, 4, 1)])
def test_constant_operands(shape: tuple[int, ...], first: bool, op: str, kind: str, qdq: bool, tmp_path: Path) -> None:
    """Numbers, vectors per channel, whole tensors, on either side."""
    for seed in range(6):
        net = Net(np.random.default_rng(seed), kind=kind, qdq=qdq)
        net.with_number(op, net.input((2, 6, 4, 5)), first=first, shape=shape)
        wrong, _ = differences(net.model(), net.random_feeds(8), tmp_path, int8=kind == "int8")
        assert wrong == {}, (seed, wrong)


@KINDS
@pytest.mark.parametrize("constant", ["left", "right", ""])
@pytest.mark.parametrize("spread", [(256, 1), (1, 256)])
def test_sums_are_rounded_in_the_runtimes_order(
    spread: tuple[int, int], constant: str, kind: str, tmp_path: Path
) -> None:
    """Networks in which a pair of codes tells ``a + b`` from ``b + a``: the runtime swaps some operands."""
    tried = 0
    for seed in range(400):
        net = Net(np.random.default_rng(seed), kind=kind)
        if constant:
            net.with_number("Add", net.input((256, 256)), first=constant == "left", shape=spread)
        else:
            net.binary("Add", net.input(spread), net.input((256, 256)))
        if tried < 3 and _order_shows(net.model(), IntFormat(8, signed=kind == "int8")):
            codes = np.arange(256).astype(kind).reshape(spread)  # a number for each place of the operand that is spread
            wide = np.ascontiguousarray(np.broadcast_to(codes.T, (256, 256)))
            feed = {"x0": wide} if constant else {"x0": codes, "x1": wide}
            wrong, _ = differences(net.model(), [feed], tmp_path, int8=kind == "int8")
            assert wrong == {}, (seed, wrong)
            tried += 1
    assert tried == 3


def _order_shows(model: onnx.ModelProto, fmt: IntFormat) -> bool:
    """Whether the operands of its sum, in either order, give other codes somewhere."""
    value = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    name = model.graph.node[-1].input
    left, right, to = (Quantization(value[name[i]].item(), value[name[i + 1]].item(), fmt) for i in (1, 4, 6))
    tables = sum_table(left, right, to), sum_table(right, left, to).T
    rows, columns = (value[name[i]].ravel().astype(int) - fmt.min if name[i] in value else slice(None) for i in (0, 3))
    return bool((tables[0] != tables[1])[rows][:, columns].any())


def test_a_dense_layer_with_its_bias_added_later(tmp_path: Path) -> None:
    """As PyTorch exports a Linear layer over three axes: MatMul, then Add of a constant vector."""
    net = Net(np.random.default_rng(8), qdq=True, weight_kind="uint8")
    product = net.dense(net.input((2, 7, 12)), 9, op="MatMul", per_channel=False)
    net.with_number("Add", product, first=True, shape=(9,))
    wrong, _ = differences(net.model(), net.random_feeds(2), tmp_path)
    assert wrong == {}


TABLES = {
    "Sigmoid": {}, "LeakyRelu": {"alpha": 0.2}, "Tanh": {}, "HardSwish": {}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "Relu": {},
}  # fmt: skip


@KINDS
@SCALES
@pytest.mark.parametrize("op", TABLES)
def test_functions_of_all_codes(op: str, kind: str, pot: bool, tmp_path: Path) -> None:
    """256 codes under 24 random pairs of scales, in every form that the runtime has."""
    low = np.iinfo(kind).min
    codes = np.arange(low, low + 256).astype(kind)
    for seed in range(24):
        for qdq in [False, True] if op in ("Sigmoid", "LeakyRelu") else [True]:
            net = Net(np.random.default_rng(seed), kind=kind, pot=pot, qdq=qdq)
            net.unary(op, net.input((256,)), **TABLES[op])
            wrong, compared = differences(net.model(), [{"x0": codes}], tmp_path, int8=kind == "int8")
            assert compared == 256
            assert wrong == {}, (seed, qdq, wrong)


@FORMS
@KINDS
@SCALES
@pytest.mark.parametrize("include", [0, 1])
def test_average_pools(include: int, pot: bool, kind: str, qdq: bool, tmp_path: Path) -> None:
    for seed in range(6):
        net = Net(np.random.default_rng(seed), kind=kind, pot=pot, qdq=qdq)
        x = net.input((2, 5, 9, 8))
        net.average_pool(x, 3, pads=[1, 1, 0, 1], strides=[2, 1], count_include_pad=include)
        net.average_pool(x, 2)
        net.global_pool(x)
        wrong, _ = differences(net.model(), net.random_feeds(), tmp_path, int8=kind == "int8")
        assert wrong == {}, (seed, wrong)


@FORMS
@KINDS
def test_operators_that_move_codes(qdq: bool, kind: str, tmp_path: Path) -> None:
    net = Net(np.random.default_rng(1), kind=kind, qdq=qdq)
    x = net.input((2, 6, 5, 4))
    net.move("Transpose", x, (5, 4, 2, 6), perm=[2, 3, 0, 1])
    net.move("Transpose", x, (4, 5, 6, 2))
    net.move("Reshape", x, (2, 30, 4), [net.const([0, -1, 4], np.int64)])
    net.move("Reshape", x, (4, 3, 10, 2), [net.const([4, 3, 10, 2], np.int64)])
    net.move("Flatten", net.move("Identity", x, (2, 6, 5, 4)), (12, 20), axis=2)
    bounds = [net.const(v, np.int64) for v in ([1, 4, -1], [99, 0, -99], [1, 2, 3], [2, -2, -1])]
    net.move("Slice", x, (2, 3, 2, 4), bounds)
    one = net.move("Unsqueeze", net.move("Flatten", x, (2, 120)), (1, 2, 120, 1), [net.const([0, -1], np.int64)])
    net.move("Squeeze", one, (2, 120, 1), [net.const([0], np.int64)])
    square = net.move("Transpose", x, (2, 6, 4, 5), perm=[0, 1, 3, 2])
    net.concat([square, square], 2)
    net.concat([square, square], 3)
    wrong, compared = differences(net.model(), net.random_feeds(2), tmp_path, int8=kind == "int8")
    assert compared > 3000
    assert wrong == {}


@KINDS
def test_padding_with_a_real_number_and_with_a_code(kind: str, tmp_path: Path) -> None:
    net = Net(np.random.default_rng(2), kind=kind)
    x = net.input((1, 3, 4, 5))
    pads = net.const([0, 1, 2, 0, 0, 0, 1, 3], np.int64)
    net.move("Pad", x, (1, 4, 7, 8), [pads, net.const(7, kind)])
    wrong, _ = differences(net.model(), net.random_feeds(), tmp_path)
    assert wrong == {}
    net = Net(np.random.default_rng(2), kind=kind, qdq=True)
    x = net.input((1, 3, 4, 5))
    net.move("Pad", x, (1, 4, 7, 8), [net.const([0, 1, 2, 0, 0, 0, 1, 3], np.int64), net.const(0.25, np.float32)])
    wrong, _ = differences(net.model(), net.random_feeds(), tmp_path, int8=kind == "int8")
    assert wrong == {}


@FORMS
@pytest.mark.parametrize("ceil", [0, 1])
def test_max_pools(ceil: int, qdq: bool, tmp_path: Path) -> None:
    net = Net(np.random.default_rng(3), qdq=qdq)
    x = net.input((1, 4, 10, 9))
    shape = (1, 4, 6 - (not ceil), 5)
    net.move("MaxPool", x, shape, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 1], ceil_mode=ceil)
    net.move("MaxPool", x, (1, 4, 5, 5), kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
    wrong, _ = differences(net.model(), net.random_feeds(2), tmp_path)
    assert wrong == {}


@pytest.mark.parametrize("opset", [13, 17, 19, 21, 23])
def test_opsets(opset: int, tmp_path: Path) -> None:
    net = Net(np.random.default_rng(opset), qdq=True, weight_kind="uint8", opset=opset)
    x = net.conv(net.input((1, 3, 8, 8), real=True), 4, 3, relu="Relu")
    net.dense(net.move("Flatten", net.binary("Add", x, x), (1, 144)), 5)
    wrong, _ = differences(net.model(), net.random_feeds(), tmp_path)
    assert wrong == {}
