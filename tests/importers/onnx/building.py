"""Quantized ONNX models of any nodes, in both forms, and how many of their codes are not ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from accelsim.importers import load_graph
from tests.importers.onnx.runtime import run_graph, runtime, save
from tests.tally import tally


@dataclass
class Building:
    """A model under construction: ``kind`` of its codes, tensors by name, real numbers unless a method says codes."""

    rng: np.random.Generator
    kind: str = "uint8"
    opset: int = 21
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def constant(self, values: Any) -> str:
        """A constant of the type that ``values`` have."""
        self.constants.append(numpy_helper.from_array(np.asarray(values), f"k{len(self.constants)}"))
        name: str = self.constants[-1].name
        return name

    def node(self, op: str, *inputs: str, ms: bool = False, **attributes: Any) -> str:
        """The first output of a new node."""
        name = f"t{len(self.nodes)}"
        domain = "com.microsoft" if ms else ""
        self.nodes.append(helper.make_node(op, inputs, [name], domain=domain, **attributes))
        return name

    def parameters(self, scale: float | None = None, zero: int | None = None) -> tuple[str, str]:
        """A scale and a zero point of the model's type of codes, drawn where they are not given."""
        info = np.iinfo(self.kind)
        drawn = float(self.rng.uniform(0.02, 0.08)) * 256 / (int(info.max) - int(info.min) + 1)
        at = int(self.rng.integers(int(info.min) * 0.5 + info.max * 0.25, info.max * 0.5 + 1)) if zero is None else zero
        return self.constant(np.float32(scale or drawn)), self.constant(np.asarray(at, self.kind))

    def input(self, *shape: int) -> tuple[str, tuple[str, str]]:
        """Codes of a float graph input, and their parameters."""
        name, parameters = f"x{len(self.inputs)}", self.parameters()
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return self.node("QuantizeLinear", name, *parameters), parameters

    def real(self, *shape: int) -> str:
        """A dequantized graph input."""
        codes, parameters = self.input(*shape)
        return self.node("DequantizeLinear", codes, *parameters)

    def codes(self, *shape: int) -> NDArray[Any]:
        """Random int8 weights."""
        return self.rng.integers(-127, 128, shape).astype(np.int8)

    def weights(self, *shape: int, axis: int | None = None) -> str:
        """Dequantized weights, per tensor or along ``axis``."""
        scales = np.asarray(self.rng.uniform(0.002, 0.01, () if axis is None else (shape[axis],)), np.float32)
        given = {} if axis is None else {"axis": axis}
        zeros = self.constant(np.zeros(scales.shape, np.int8))
        return self.node("DequantizeLinear", self.constant(self.codes(*shape)), self.constant(scales), zeros, **given)

    def requantized(self, real: str, scale: float | None = None) -> str:
        """``real`` through codes, which are an output."""
        parameters = self.parameters(scale)
        self.outputs.append(self.node("QuantizeLinear", real, *parameters))
        return self.node("DequantizeLinear", self.outputs[-1], *parameters)

    def model(self) -> onnx.ModelProto:
        """The model, with its outputs as they were named."""
        ends = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, ends, self.constants)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def differing(
    model: onnx.ModelProto, folder: Path, *, count: int = 3, seed: int = 0, arithmetic: str = "onnxruntime"
) -> tuple[int, int]:
    """Codes that are not ONNX Runtime's over ``count`` random inputs, and the largest distance."""
    graph, session = load_graph(save(model, folder), arithmetic=arithmetic), runtime(model, int8=True)
    rng, wrong, worst = np.random.default_rng(seed), 0, 0
    names: Sequence[str] = [value.name for value in session.get_outputs()]
    ports = {port.host_name: port.tensor for port in graph.outputs}
    for _ in range(count):
        feeds = {value.name: rng.normal(0, 3, value.shape).astype(np.float32) for value in session.get_inputs()}
        ours = run_graph(graph, feeds)
        for name, theirs in zip(names, session.run(names, feeds), strict=True):
            got = ours[ports[name]]
            assert got.shape == theirs.shape, (name, got.shape, theirs.shape)
            tally(graph, ports[name], got, theirs, file=".onnx")
            off = np.abs(got.astype(np.int64) - theirs.astype(np.int64))
            wrong, worst = wrong + int((off > 0).sum()), max(worst, int(off.max()))
    return wrong, worst
