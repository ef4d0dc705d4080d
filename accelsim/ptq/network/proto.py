"""Records of a network back to a ModelProto."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from accelsim.importers import fresh_name
from accelsim.importers.onnx.file import OnnxModel, OnnxNode

IR_VERSION = 10
"""Version of the file format: the first with 4-bit integers (onnx.proto), and one that ONNX Runtime 1.20 reads."""
PRODUCER = "accelsim quantize"


class Names:
    """Names that neither the network nor this factory has used."""

    def __init__(self, model: OnnxModel) -> None:
        tensors = (name for node in model.nodes for name in (*node.inputs, *node.outputs))
        self.taken = {*tensors, *model.constants, *model.outputs, *(value.name for value in model.inputs)}

    def fresh(self, base: str) -> str:
        """``base``, or ``base`` with the first number that makes it new."""
        return fresh_name(base, self.taken)


def make_node(
    op: str,
    inputs: Iterable[str],
    output: str | Sequence[str],
    attributes: Mapping[str, Any] | None = None,
    *,
    domain: str = "",
    name: str = "",
) -> Any:
    """A NodeProto, named after operator and first output where no ``name`` is given; arrays among the attributes become tensors."""
    from onnx import helper, numpy_helper

    held = {k: numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for k, v in (attributes or {}).items()}
    outputs = [output] if isinstance(output, str) else list(output)
    return helper.make_node(op, list(inputs), outputs, name=name or f"{outputs[0]}/{op}", domain=domain, **held)


def nodes_of(node: OnnxNode, name: str, inputs: Iterable[str], outputs: Sequence[str]) -> list[Any]:
    """``node``, called ``name``, on tensors of other names; the bias that a MatMul took over becomes an Add again."""
    names = list(inputs)
    while names and not names[-1]:
        names.pop()
    if node.op == "MatMul" and len(names) == 3:
        product = f"{outputs[0]}/product"
        matmul = make_node("MatMul", names[:2], product, name=name)
        return [matmul, make_node("Add", [product, names[2]], outputs)]
    return [make_node(node.op, names, outputs, node.attributes, domain=node.domain, name=name)]


def make_model(
    model: OnnxModel, nodes: Iterable[Any], constants: Mapping[str, Any], *, domains: Sequence[tuple[str, int]]
) -> Any:
    """The ModelProto of ``nodes`` with the ports of ``model``; ``constants`` are arrays or TensorProtos, those read are kept."""
    from onnx import TensorProto, helper

    listed = list(nodes)
    read = {name for node in listed for name in node.input}
    kept = [_tensor(name, values) for name, values in constants.items() if name in read]
    inputs = [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, v.shape) for v in model.inputs]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in model.outputs]
    own = {domain for domain, _ in domains}
    others = sorted({node.domain for node in listed} - {"ai.onnx", *own})
    graph = helper.make_graph(listed, "quantized", inputs, outputs, kept)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*domain) for domain in (*domains, *((name, 1) for name in others))]
    )
    made.ir_version, made.producer_name = IR_VERSION, PRODUCER
    return made


def _tensor(name: str, values: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values), name) if isinstance(values, np.ndarray | np.generic) else values


def float_proto(model: OnnxModel) -> Any:
    """The float network itself."""
    nodes = [made for n in model.nodes for made in nodes_of(n, model.layer_name(n), n.inputs, n.outputs)]
    return make_model(model, nodes, model.constants, domains=[("", model.opset)])
