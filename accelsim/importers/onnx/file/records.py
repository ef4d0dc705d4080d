"""Plain frozen records of what an .onnx file says, free of the file format's library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from accelsim.importers.account import FileName, layer_names

QONNX_DOMAIN = "qonnx.custom_op.general"
QONNX_OPERATORS = ("Quant", "BipolarQuant", "Trunc")
"""Operators that only QONNX has (Pappalardo et al. 2206.07527)."""

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxNode:
    """One operator: ``op`` without its domain, tensor names ("" where an optional input is absent), ``name`` where it has one."""

    index: int
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    name: str = ""
    domain: str = ""


@dataclass(frozen=True, kw_only=True)
class OnnxInput:
    """A graph input: ``type`` as ONNX spells it (``FLOAT``, ``UINT8`` ...), an unknown leading dimension read as 1."""

    name: str
    shape: tuple[int, ...]
    type: str


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxModel:
    """The main graph; nodes stand in an order in which tensors are made before they are read.

    ``constants`` holds the initializers; names of ``inputs`` are not among them. ``converted`` says what was
    done to the file before it was read.
    """

    path: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]
    converted: str = ""

    @property
    def is_qonnx(self) -> bool:
        """Whether the file is in the QONNX dialect: fake quantization by operators of its own."""
        return any(node.op in QONNX_OPERATORS for node in self.nodes)

    def layer_name(self, node: OnnxNode) -> str:
        """What the layers of ``node`` are called."""
        return self._layer_names[node.index, node.outputs]

    @cached_property
    def _layer_names(self) -> dict[tuple[int, tuple[str, ...]], str]:
        files = (FileName(node.name, next(filter(None, node.outputs), ""), node.op, node.index) for node in self.nodes)
        keys = ((node.index, node.outputs) for node in self.nodes)
        return dict(zip(keys, layer_names(files), strict=True))

    def producer(self, name: str) -> OnnxNode | None:
        """The node that makes tensor ``name``; None for constants and graph inputs."""
        return self._producers.get(name)

    @cached_property
    def _producers(self) -> dict[str, OnnxNode]:
        return {name: node for node in self.nodes for name in node.outputs}

    def consumers(self, name: str) -> tuple[OnnxNode, ...]:
        """Nodes that read tensor ``name``."""
        return tuple(node for node in self.nodes if name in node.inputs)


FORMAT_TYPES = tuple(f"{sign}INT{bits}" for bits in (2, 4, 8, 16) for sign in ("", "U"))
"""Types of activations and weights, as ONNX spells them."""


def type_name(code: int) -> str:
    """How ONNX spells element type ``code``: ``FLOAT``, ``UINT4`` ..."""
    import onnx

    types: Any = onnx.TensorProto.DataType
    return str(types.Name(code)) if code in types.values() else f"type {code}"
