"""Random .onnx networks of a dozen operators, each on what one before it made: in the QDQ form or in ONNX Runtime's own operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.vector_models import operator

LONGEST = 12
"""Operators of a network at most."""
MOST_CODES = 6000
"""Of a tensor that the next operator may take; larger ones are pooled."""
FUNCTIONS = (
    "Sigmoid", "Tanh", "Relu", "LeakyRelu", "HardSigmoid", "HardSwish", "Elu", "Selu", "Softplus", "Softsign", "Abs", "Neg", "Exp", "Erf",
    "Gelu", "Mish",
)  # fmt: skip
PAIRS = ("Add", "Mul", "Sub", "Min", "Max")


class Chain:
    """A network under construction; ``made`` are its activations, the last one first in line for the next operator."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 2])
        kind, qdq = self.pick("uint8", "int8"), self.pick(True, True, False)
        # Without VNNI the runtime's products of uint8 and int8 saturate in pairs, unless weights have 7 bits.
        self.net = Net(
            self.rng, kind=kind, qdq=qdq, pot=self.pick(True, False, False), narrow_weights=kind == "uint8", opset=20
        )
        shape = (1, self.pick(1, 3, 4, 8), *(int(i) for i in self.rng.integers(3, 12, 2)))
        self.made = [self.net.input(shape, real=self.pick(True, False))]

    def pick(self, *options: Any) -> Any:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def whole(self, values: Any) -> str:
        """A constant of int64."""
        return self.net.const(values, np.int64)


def _conv(chain: Chain, x: Act) -> Act:
    k, channels, stride = chain.pick(1, 2, 3), x.shape[1], chain.pick(1, 2)
    groups = channels if chain.pick(True, False, False) else 1
    pads = [int(i) for i in chain.rng.integers(0, k, 4)]
    if min(x.shape[2] + pads[0] + pads[2], x.shape[3] + pads[1] + pads[3]) < k:
        k, pads = 1, [0] * 4
    relu = chain.pick("", "Relu", "Clip") if chain.net.qdq else ""
    oc = channels if groups > 1 else chain.pick(1, 3, 8, 16)
    return chain.net.conv(
        x, oc, k, groups=groups, strides=[stride] * 2, pads=pads, per_channel=chain.pick(True, False), relu=relu
    )


def _dense(chain: Chain, x: Act) -> Act:
    return chain.net.dense(x, chain.pick(1, 5, 10), op=chain.pick("Gemm" if chain.net.qdq else "QGemm", "MatMul"))


def _pair(chain: Chain, x: Act) -> Act:
    other = chain.pick(*[act for act in chain.made if act.shape == x.shape])
    op = chain.pick(*PAIRS) if chain.net.qdq else chain.pick("Add", "Mul")
    return chain.net.binary(op, x, other, relu=chain.pick("", "", "Relu") if chain.net.qdq else "")


def _number(chain: Chain, x: Act) -> Act:
    return chain.net.with_number(chain.pick("Add", "Mul"), x, first=chain.pick(True, False))


def _function(chain: Chain, x: Act) -> Act:
    return chain.net.unary(chain.pick(*FUNCTIONS) if chain.net.qdq else chain.pick("Sigmoid", "LeakyRelu"), x)


def _pool(chain: Chain, x: Act) -> Act:
    k = min(chain.pick(2, 3), *x.shape[2:])
    window = {"strides": [chain.pick(1, 2)] * 2, "pads": [0] * 4}
    if chain.pick(True, False):
        return chain.net.average_pool(x, k, **window)
    shape = (*x.shape[:2], *chain.net._conv_shape(x.shape[2:], k, window))
    return chain.net.move("MaxPool", x, shape, kernel_shape=[k, k], **window)


def _global(chain: Chain, x: Act) -> Act:
    return chain.net.global_pool(x)


def _flatten(chain: Chain, x: Act) -> Act:
    return chain.net.move("Flatten", x, (x.shape[0], int(np.prod(x.shape[1:]))), axis=1)


def _transpose(chain: Chain, x: Act) -> Act:
    order = [0, *(int(i) + 1 for i in chain.rng.permutation(len(x.shape) - 1))]
    return chain.net.move("Transpose", x, tuple(x.shape[i] for i in order), perm=order)


def _slice(chain: Chain, x: Act) -> Act:
    begin = [int(chain.rng.integers(0, (d + 1) // 2)) for d in x.shape]
    end = [int(chain.rng.integers(b + 1, d + 1)) for d, b in zip(x.shape, begin, strict=True)]
    shape = tuple(e - b for b, e in zip(begin, end, strict=True))
    return chain.net.move("Slice", x, shape, [chain.whole(begin), chain.whole(end)])


def _concat(chain: Chain, x: Act) -> Act:
    other = chain.pick(*[act for act in chain.made if act.shape == x.shape])
    return chain.net.concat([x, other], int(chain.rng.integers(1, len(x.shape))))


def _mean(chain: Chain, x: Act) -> Act:
    if not chain.net.qdq:
        return chain.net.global_pool(x)
    y = chain.net.act((*x.shape[:2], 1, 1), scale=x.scale)
    operator(chain.net, "ReduceMean", x, y, [chain.whole([2, 3])], keepdims=1)
    return y


def _resize(chain: Chain, x: Act) -> Act:
    size = [int(i) for i in chain.rng.integers(1, 14, 2)]
    place = chain.pick("asymmetric", "half_pixel", "align_corners")
    extra = ["", "", chain.whole([*x.shape[:2], *size])]
    if chain.net.qdq and chain.pick(True, False):
        y = chain.net.act((*x.shape[:2], *size), scale=x.scale)
        operator(chain.net, "Resize", x, y, extra, mode="linear", coordinate_transformation_mode=place)
        return y
    modes = {
        "mode": "nearest",
        "coordinate_transformation_mode": place,
        "nearest_mode": chain.pick("floor", "round_prefer_floor"),
    }
    return chain.net.move("Resize", x, (*x.shape[:2], *size), extra, **modes)


def _pad(chain: Chain, x: Act) -> Act:
    if not chain.net.qdq:
        return _slice(chain, x)
    amounts = chain.rng.integers(0, 2, (2, len(x.shape)))
    shape = tuple(int(d + before + after) for d, before, after in zip(x.shape, *amounts, strict=True))
    return chain.net.move("Pad", x, shape, [chain.whole(amounts.reshape(-1)), chain.net.const(0.0, np.float32)])


def _softmax(chain: Chain, x: Act) -> Act:
    if not chain.net.qdq:
        return _pair(chain, x)
    y = Act(f"t{len(chain.net.made)}", x.shape, 1 / 256, int(np.iinfo(chain.net.kind).min))
    chain.net.made[y.name] = y.shape
    operator(chain.net, "Softmax", x, y, axis=-1)
    return y


def _normalized(chain: Chain, x: Act) -> Act:
    if not chain.net.qdq:
        return _number(chain, x)
    y = chain.net.act(x.shape, scale=float(np.float32(chain.rng.uniform(0.01, 0.06))))
    extra = [chain.net.const(chain.rng.normal(mean, 0.3, x.shape[-1:]), np.float32) for mean in (1, 0)]
    operator(chain.net, "LayerNormalization", x, y, extra, axis=-1, epsilon=1e-5)
    return y


def _product(chain: Chain, x: Act) -> Act:
    """Of a matrix and its transpose."""
    net = chain.net
    if not net.qdq:
        return _dense(chain, x)
    turned = net.move("Transpose", x, x.shape[::-1], perm=[1, 0])
    y = net.act((x.shape[0], x.shape[0]), scale=float(np.float32(x.scale * x.scale * 74 * np.sqrt(x.shape[1]))))
    net.node("MatMul", [net.real(x), net.real(turned)], f"{y.name}_m")
    return net.quantized(f"{y.name}_m", y)


def _extreme(chain: Chain, x: Act) -> Act:
    if not chain.net.qdq:
        return _pool(chain, x)
    y = chain.net.act((*x.shape[:2], 1, x.shape[3]), like=x)
    operator(chain.net, chain.pick("ReduceMax", "ReduceMin"), x, y, [chain.whole([2])], keepdims=1)
    return y


Step = Callable[[Chain, Act], Act]
ANY: tuple[Step, ...] = (_pair, _pair, _number, _function, _function, _concat, _slice, _transpose, _pad)
IMAGES: tuple[Step, ...] = (*ANY, _conv, _conv, _conv, _pool, _global, _mean, _flatten, _resize, _extreme)
ROWS: tuple[Step, ...] = (*ANY, _dense, _dense, _dense, _softmax, _normalized, _product)


def random_network(seed: int) -> Net:
    """The network of a seed."""
    chain = Chain(seed)
    for _ in range(int(chain.rng.integers(2, LONGEST + 1))):
        last = chain.made[-1]
        large = len(last.shape) == 4 and np.prod(last.shape) > MOST_CODES
        step = _pool if large else chain.pick(*(IMAGES if len(last.shape) == 4 else ROWS))
        chain.made.append(step(chain, last))
    return chain.net
