"""Quantized ONNX models with random weights, built node by node: the QOperator form and the QDQ form of the same steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Rng = np.random.Generator
KINDS = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}


@dataclass(frozen=True)
class Act:
    """An activation: the name of its codes, shape, scale and zero point."""

    name: str
    shape: tuple[int, ...]
    scale: float
    zero: int


@dataclass
class Net:
    """A model under construction; ``qdq`` chooses the form, ``pot`` power-of-two scales (many ties)."""

    rng: Rng
    kind: str = "uint8"
    weight_kind: str = "int8"
    qdq: bool = False
    pot: bool = False
    narrow_weights: bool = False
    opset: int = 19
    nodes: list[Any] = field(default_factory=list)
    inits: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    made: dict[str, tuple[int, ...]] = field(default_factory=dict)
    feeds: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    real_outputs: list[str] = field(default_factory=list)
    indices: set[str] = field(default_factory=set)

    def const(self, values: Any, dtype: Any, name: str | None = None) -> str:
        """An initializer."""
        name = name or f"c{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def scale(self, low: float = -6, high: float = -1) -> float:
        """A float32 scale."""
        exponent = float(self.rng.integers(int(low), int(high) + 1)) if self.pot else self.rng.uniform(low, high)
        return float(np.float32(2.0**exponent))

    def zero(self) -> int:
        """A zero point."""
        info = np.iinfo(self.kind)
        return int(self.rng.integers(info.min, info.max + 1))

    def params(self, act: Act) -> list[str]:
        """Names of scale and zero point."""
        return [self.const(act.scale, np.float32), self.const(act.zero, self.kind)]

    def node(self, op: str, inputs: list[str], output: str, *, ms: bool = False, **attributes: Any) -> None:
        """One node."""
        self.nodes.append(
            helper.make_node(
                op, inputs, [output], domain="com.microsoft" if ms else "", name=f"n{len(self.nodes)}", **attributes
            )
        )

    def act(self, shape: tuple[int, ...], *, like: Act | None = None, scale: float | None = None) -> Act:
        """A new activation."""
        name = f"t{len(self.made)}"
        self.made[name] = shape
        if like is not None:
            return Act(name, shape, like.scale, like.zero)
        return Act(name, shape, self.scale() if scale is None else scale, self.zero())

    def input(self, shape: tuple[int, ...], *, real: bool = False) -> Act:
        """A graph input, of codes or of real numbers."""
        name, kind = f"x{len(self.inputs)}", "float32" if real else self.kind
        self.inputs.append(helper.make_tensor_value_info(name, KINDS[kind], shape))
        self.feeds[name] = shape, kind
        scale, zero = self.scale(), self.zero()
        if not real:
            return Act(name, shape, scale, zero)
        codes = self.act(shape)
        self.node("QuantizeLinear", [name, *self.params(codes)], codes.name)
        return codes

    def real(self, act: Act) -> str:
        """The dequantized tensor."""
        name = f"{act.name}_f{len(self.nodes)}"
        self.node("DequantizeLinear", [act.name, *self.params(act)], name)
        return name

    def quantized(self, source: str, act: Act) -> Act:
        """A QuantizeLinear at the end of a pattern."""
        self.node("QuantizeLinear", [source, *self.params(act)], act.name)
        return act

    def weights(
        self, shape: tuple[int, ...], axis: int, per_channel: bool
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Codes, scales, zero points; a zero point other than 0 only where the codes are unsigned."""
        info = np.iinfo(self.weight_kind)
        count = shape[axis] if per_channel else 1
        scales = np.array([self.scale(-9, -6) for _ in range(count)], np.float32)
        zeros = np.full(count, 0 if self.weight_kind == "int8" else int(self.rng.integers(90, 166)), self.weight_kind)
        reach = (-64, 64) if self.narrow_weights else (info.min, info.max + 1)
        return self.rng.integers(*reach, shape).astype(self.weight_kind), scales, zeros

    def out_scale(self, x: Act, scales: NDArray[Any], reduction: int) -> float:
        """A scale that neither saturates nor empties most outputs."""
        wanted = x.scale * float(np.median(scales)) * 74 * 74 * np.sqrt(reduction) / 60
        return float(np.float32(2.0 ** round(np.log2(wanted)) if self.pot else wanted))

    def conv(
        self, x: Act, oc: int, k: int = 3, *, groups: int = 1, per_channel: bool = True, bias: bool = True,
        relu: str = "", **attributes: Any,
    ) -> Act:  # fmt: skip
        """A convolution."""
        _, ic, h, w = x.shape
        codes, scales, zeros = self.weights((oc, ic // groups, k, k), 0, per_channel)
        shape = self._conv_shape((h, w), k, attributes)
        y = self.act((x.shape[0], oc, *shape), scale=self.out_scale(x, scales, k * k * ic // groups))
        values = self.rng.integers(-3000, 3000, oc).astype(np.int32)
        names = [self.const(codes, codes.dtype)]
        parameters = [scales, zeros] if per_channel else [scales[0], zeros[0]]
        names += [self.const(parameters[0], np.float32), self.const(parameters[1], self.weight_kind)]
        if not self.qdq:
            tail = [self.const(values, np.int32)] if bias else []
            self.node(
                "QLinearConv",
                [x.name, *self.params(x), *names, *self.params(y), *tail],
                y.name,
                group=groups,
                **attributes,
            )
            return y
        weight = f"{y.name}_w"
        self.node("DequantizeLinear", names, weight, **({"axis": 0} if per_channel else {}))
        inputs = [self.real(x), weight, *([self.real_bias(x, scales, values, y, per_channel)] if bias else [])]
        self.node("Conv", inputs, f"{y.name}_c", group=groups, **attributes)
        return self.quantized(self._rectified(f"{y.name}_c", y, relu), y)

    def _rectified(self, name: str, y: Act, relu: str) -> str:
        if relu == "Relu":
            self.node("Relu", [name], f"{y.name}_r")
        elif relu == "Clip":
            self.node("Clip", [name, self.const(0.0, np.float32), self.const(6.0, np.float32)], f"{y.name}_r")
        return f"{y.name}_r" if relu else name

    @staticmethod
    def _conv_shape(image: tuple[int, int], k: int, attributes: dict[str, Any]) -> tuple[int, ...]:
        pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
        dilations = attributes.get("dilations", [1, 1])
        if attributes.get("auto_pad", "").startswith("SAME"):
            return tuple(-(-image[i] // strides[i]) for i in (0, 1))
        return tuple((image[i] + pads[i] + pads[i + 2] - (k - 1) * dilations[i] - 1) // strides[i] + 1 for i in (0, 1))

    def real_bias(self, x: Act, scales: NDArray[Any], values: NDArray[Any], y: Act, per_channel: bool) -> str:
        """An int32 bias behind a DequantizeLinear."""
        real = (np.float32(x.scale) * scales).astype(np.float32)
        name = f"{y.name}_b"
        parameters = [real, np.zeros(len(real), np.int32)] if per_channel else [real[0], np.int32(0)]
        names = [
            self.const(values, np.int32),
            self.const(parameters[0], np.float32),
            self.const(parameters[1], np.int32),
        ]
        self.node("DequantizeLinear", names, name, **({"axis": 0} if per_channel else {}))
        return name

    def dense(self, x: Act, units: int, *, per_channel: bool = False, op: str = "QGemm", bias: bool = True) -> Act:
        """QGemm or Gemm, or a matrix product without bias."""
        k, product = x.shape[-1], op == "MatMul"
        shape = (k, units) if product else (units, k)
        codes, scales, zeros = self.weights(shape, 1 if product else 0, per_channel)
        y = self.act((*x.shape[:-1], units), scale=self.out_scale(x, scales, k))
        values = self.rng.integers(-3000, 3000, units).astype(np.int32)
        parameters = [scales, zeros] if per_channel else [scales[0], zeros[0]]
        names = [
            self.const(codes, codes.dtype),
            self.const(parameters[0], np.float32),
            self.const(parameters[1], self.weight_kind),
        ]
        if self.qdq:
            weight = f"{y.name}_w"
            self.node("DequantizeLinear", names, weight, **({"axis": 1 if product else 0} if per_channel else {}))
            if product:
                self.node("MatMul", [self.real(x), weight], f"{y.name}_m")
            else:
                tail = [self.real_bias(x, scales, values, y, per_channel)] if bias else []
                self.node("Gemm", [self.real(x), weight, *tail], f"{y.name}_m", transB=1)
            return self.quantized(f"{y.name}_m", y)
        if product:
            self.node("QLinearMatMul", [x.name, *self.params(x), *names, *self.params(y)], y.name)
        else:
            tail = self.const(values, np.int32) if bias else ""
            self.node("QGemm", [x.name, *self.params(x), *names, tail, *self.params(y)], y.name, ms=True, transB=1)
        return y

    def binary(self, op: str, a: Act, b: Act, relu: str = "") -> Act:
        """Add or Mul."""
        y = self.act(np.broadcast_shapes(a.shape, b.shape))
        if self.qdq:
            self.node(op, [self.real(a), self.real(b)], f"{y.name}_o")
            return self.quantized(self._rectified(f"{y.name}_o", y, relu), y)
        self.node(f"QLinear{op}", [a.name, *self.params(a), b.name, *self.params(b), *self.params(y)], y.name, ms=True)
        return y

    def with_number(self, op: str, a: Act, *, first: bool = False, shape: tuple[int, ...] = ()) -> Act:
        """Add or Mul with constant codes, one unless ``shape`` says otherwise."""
        y = self.act(a.shape)
        info = np.iinfo(self.kind)
        code = self.const(self.rng.integers(info.min, info.max + 1, shape), self.kind)
        number = [code, self.const(self.scale(), np.float32), self.const(self.zero(), self.kind)]
        if self.qdq:
            self.node("DequantizeLinear", number, f"{y.name}_k")
            pair = [self.real(a), f"{y.name}_k"]
            self.node(op, pair[::-1] if first else pair, f"{y.name}_o")
            return self.quantized(f"{y.name}_o", y)
        sides = [[a.name, *self.params(a)], number]
        left, right = sides[::-1] if first else sides
        self.node(f"QLinear{op}", [*left, *right, *self.params(y)], y.name, ms=True)
        return y

    def unary(self, op: str, x: Act, **attributes: Any) -> Act:
        """A function of one code."""
        y = self.act(x.shape)
        if self.qdq:
            self.node(op, [self.real(x)], f"{y.name}_u", **attributes)
            return self.quantized(f"{y.name}_u", y)
        self.node(f"QLinear{op}", [x.name, *self.params(x), *self.params(y)], y.name, ms=True, **attributes)
        return y

    def global_pool(self, x: Act) -> Act:
        """Mean over the image."""
        y = self.act((*x.shape[:2], 1, 1), scale=x.scale if self.pot else x.scale * float(self.rng.uniform(0.3, 1.1)))
        return self._pool("GlobalAveragePool", x, y)

    def average_pool(self, x: Act, k: int = 3, **attributes: Any) -> Act:
        """Mean over windows."""
        y = self.act((*x.shape[:2], *self._conv_shape(x.shape[2:], k, attributes)))  # type: ignore[arg-type]
        return self._pool("AveragePool", x, y, kernel_shape=[k, k], **attributes)

    def _pool(self, op: str, x: Act, y: Act, **attributes: Any) -> Act:
        if self.qdq:
            self.node(op, [self.real(x)], f"{y.name}_p", **attributes)
            return self.quantized(f"{y.name}_p", y)
        self.node(f"QLinear{op}", [x.name, *self.params(x), *self.params(y)], y.name, ms=True, **attributes)
        return y

    def move(self, op: str, x: Act, shape: tuple[int, ...], extra: list[str] | None = None, **attributes: Any) -> Act:
        """An operator that moves codes; ``extra`` names its further inputs."""
        y = self.act(shape, like=x)
        if self.qdq:
            self.node(op, [self.real(x), *(extra or [])], f"{y.name}_v", **attributes)
            return self.quantized(f"{y.name}_v", y)
        self.node(op, [x.name, *(extra or [])], y.name, **attributes)
        return y

    def place(self, op: str, x: Act, axis: int, *, keep: int = 1, last: int = 0) -> str:
        """ArgMax or ArgMin along an axis: the name of its int64 indices."""
        name = f"t{len(self.made)}"
        at = axis % len(x.shape)
        self.made[name] = tuple(1 if i == at else size for i, size in enumerate(x.shape) if keep or i != at)
        self.indices.add(name)
        source = self.real(x) if self.qdq else x.name
        self.node(op, [source], name, axis=axis, keepdims=keep, select_last_index=last)
        return name

    def concat(self, parts: list[Act], axis: int) -> Act:
        """Operands side by side, each rescaled to the output."""
        total = sum(p.shape[axis] for p in parts)
        y = self.act((*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :]))
        if self.qdq:
            self.node("Concat", [self.real(p) for p in parts], f"{y.name}_v", axis=axis)
            return self.quantized(f"{y.name}_v", y)
        triples = [name for p in parts for name in (p.name, *self.params(p))]
        self.node("QLinearConcat", [*self.params(y), *triples], y.name, ms=True, axis=axis)
        return y

    def model(self) -> onnx.ModelProto:
        """The finished model, every tensor of codes an output."""
        kinds = {name: TensorProto.INT64 if name in self.indices else KINDS[self.kind] for name in self.made}
        outputs = [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in self.made.items()]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.real_outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, outputs, self.inits)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports)
        model.ir_version = 9
        return model

    def random_feeds(self, count: int = 1) -> list[dict[str, NDArray[Any]]]:
        """Random inputs; real ones reach beyond the range of their codes."""
        return [{name: self._feed(*entry) for name, entry in self.feeds.items()} for _ in range(count)]

    def _feed(self, shape: tuple[int, ...], kind: str) -> NDArray[Any]:
        if kind == "float32":
            return self.rng.normal(0, 8, shape).astype(np.float32)
        info = np.iinfo(kind)
        return self.rng.integers(info.min, info.max + 1, shape).astype(kind)
