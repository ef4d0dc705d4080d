"""Models of one vector operator each, in random sizes, scales and forms; and how far its codes are from ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from accelsim.graph import Graph
from accelsim.importers import load_graph
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import run_graph, runtime, save
from tests.tally import tally


@dataclass
class Comparison:
    """Codes compared, how many differ, by how much at most; ``approximations`` of the last Graph."""

    compared: int = 0
    differing: int = 0
    most: int = 0
    graph: Graph | None = None


def compared(nets: Iterable[Net], folder: Path, *, feeds: list[dict[str, NDArray[Any]]] | None = None) -> Comparison:
    """Every model run by both, on its own random inputs unless ``feeds`` are given."""
    result = Comparison()
    for net in nets:
        model = net.model()
        result.graph = graph = load_graph(save(model, folder), arithmetic="onnxruntime")
        session = runtime(model, int8=net.kind == "int8")
        ports = {port.host_name: port.tensor for port in graph.outputs}
        for feed in feeds or net.random_feeds():
            ours = run_graph(graph, feed)
            for name, theirs in zip(ports, session.run(list(ports), feed), strict=True):
                got = ours[ports[name]]
                assert got.shape == theirs.shape, (name, got.shape, theirs.shape)
                tally(graph, ports[name], got, theirs, file=".onnx")
                apart = np.abs(got.astype(np.int64) - theirs.astype(np.int64))
                result.compared += apart.size
                result.differing += int((apart > 0).sum())
                result.most = max(result.most, int(apart.max(initial=0)))
    return result


def net_of(seed: int, kind: str, **options: Any) -> Net:
    """An empty model in the QDQ form at opset 20."""
    return Net(np.random.default_rng(seed), kind=kind, **{"qdq": True, "opset": 20, **options})


def operator(
    net: Net, op: str, x: Act, y: Act, extra: list[str] | None = None, *, ms: bool = False, **given: Any
) -> Net:
    """``op`` on the dequantized ``x`` and ``extra``, quantized to ``y``."""
    net.node(op, [net.real(x), *(extra or [])], f"{y.name}_o", ms=ms, **given)
    net.quantized(f"{y.name}_o", y)
    return net


def softmax(net: Net, shape: tuple[int, ...], axis: int, scale: float, zero: int, *, opset: int = 13) -> Net:
    """Scale and zero point of the output as they come in practice: 1/256 or near, the lowest code or the middle."""
    x = net.input(shape)
    y = Act("t0", shape, float(np.float32(scale)), zero)
    net.made[y.name] = shape
    if net.qdq:
        return operator(net, "Softmax", x, y, axis=axis)
    names = [x.name, *net.params(x), *net.params(y)]
    net.node("QLinearSoftmax", names, y.name, ms=True, opset=opset, axis=axis)
    return net


def normalization(net: Net, shape: tuple[int, ...], axis: int, *, quantized: bool = False, bias: bool = True) -> Net:
    """Gamma near 1, beta near 0, constant rows among the inputs left to chance."""
    x, y = net.input(shape), net.act(shape, scale=float(np.float32(net.rng.uniform(0.01, 0.06))))
    size = shape[axis:]
    gamma = net.const(net.rng.normal(1, 0.3, size), np.float32)
    if quantized:
        codes = [net.const(net.rng.integers(0, 256, size), np.uint8), net.const(0.008, np.float32)]
        gamma = "gamma"
        net.node("DequantizeLinear", [*codes, net.const(3, np.uint8)], gamma)
    extra = [gamma, *([net.const(net.rng.normal(0, 0.3, size), np.float32)] if bias else [])]
    return operator(net, "LayerNormalization", x, y, extra, axis=axis, epsilon=1e-5)


def reduction(net: Net, op: str, shape: tuple[int, ...], axes: list[int] | None, keep: int) -> Net:
    """Axes as an input from opset 18 on (ReduceSum: 13), as an attribute before."""
    x = net.input(shape)
    reduced = range(len(shape)) if axes is None else [axis % len(shape) for axis in axes]
    out = tuple(1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced)
    y = net.act(out, like=x if op in ("ReduceMax", "ReduceMin") else None)
    if op == "ReduceSum":
        y = Act(y.name, out, x.scale * 9, y.zero)
    extra, attributes = [], {"keepdims": keep}
    if axes is not None and (net.opset >= 18 or op == "ReduceSum"):
        extra = [net.const(axes, np.int64)]
    elif axes is not None:
        attributes["axes"] = axes  # type: ignore[assignment]
    return operator(net, op, x, y, extra, **attributes)


def resize(net: Net, place: str, nearest: str, *, sizes: bool) -> Net:
    """Up or down, by scales or to sizes."""
    h, w = (int(i) for i in net.rng.integers(2, 12, 2))
    x = net.input((2, 3, h, w))
    if sizes:
        out = [int(i) for i in net.rng.integers(1, 25, 2)]
        extra = ["", "", net.const([2, 3, *out], np.int64)]
    else:
        scales = np.array([1, 1, *net.rng.choice([0.5, 2, 3, 1, 1.5, 0.7, 2.3], 2)], np.float32)
        out = [int(np.floor(np.float32(n) * s)) for n, s in zip((h, w), scales[2:], strict=True)]
        extra = ["", net.const(scales, np.float32)]
    modes = {"mode": "nearest", "coordinate_transformation_mode": place, "nearest_mode": nearest}
    net.move("Resize", x, (2, 3, out[0], out[1]), extra, **modes)
    return net


def split(net: Net, axis: int, parts: list[int], *, named: bool) -> Net:
    """Pieces of given sizes, or as equal as they can be."""
    shape = [2, 6, 5, 4]
    shape[axis] = sum(parts)
    x = net.input(tuple(shape))
    pieces = [net.act(tuple(part if i == axis else n for i, n in enumerate(shape)), like=x) for part in parts]
    names = [f"{piece.name}_s" if net.qdq else piece.name for piece in pieces]
    inputs = [net.real(x) if net.qdq else x.name, *([net.const(parts, np.int64)] if named else [])]
    count = {"num_outputs": len(parts)} if net.opset >= 18 and not named else {}
    net.nodes.append(helper.make_node("Split", inputs, names, axis=axis, **count))
    if net.qdq:
        for name, piece in zip(names, pieces, strict=True):
            net.quantized(name, piece)
    return net


def average_to_the_ceiling(net: Net, include: int) -> Net:
    """A pool whose last window may reach beyond the padding."""
    x = net.input((2, 5, 9, 8))
    k, s = int(net.rng.integers(2, 4)), int(net.rng.integers(2, 4))
    pads = [int(i) for i in net.rng.integers(0, k, 4)]
    out = []
    for n, a, b in ((9, pads[0], pads[2]), (8, pads[1], pads[3])):
        size = -(-(n + a + b - k) // s) + 1
        out.append(size - ((size - 1) * s >= n + a))
    y = net.act((2, 5, out[0], out[1]))
    window = {"kernel_shape": [k, k], "strides": [s, s], "pads": pads}
    net._pool("AveragePool", x, y, **window, ceil_mode=1, count_include_pad=include)
    return net
