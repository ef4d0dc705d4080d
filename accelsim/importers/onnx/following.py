"""What reads a float result: whether it goes on as a chain of float operators, all the way to its quantizer."""

from __future__ import annotations

from accelsim.importers.onnx.file.records import OnnxModel, OnnxNode
from accelsim.importers.onnx.functions import UNARY

RECTIFIERS = ("Relu", "Clip")
"""Which the layer before them takes in."""
SCALING = ("Add", "Sub", "Mul", "Div")
"""With a constant."""
FUNCTIONS = (*UNARY, "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "HardSwish", "Elu", "Celu", "Selu", "Gelu")
NORM = "BatchNormalization"


def followers(model: OnnxModel, name: str) -> tuple[OnnxNode, ...]:
    """The operators of a chain that each alone read what is before, from tensor ``name`` on."""
    found: list[OnnxNode] = []
    readers = model.consumers(name)
    while len(readers) == 1 and name not in model.outputs and _is_step(model, readers[0], name):
        found.append(readers[0])
        name = readers[0].outputs[0]
        readers = model.consumers(name)
    return tuple(found)


def goes_on(model: OnnxModel, name: str) -> bool:
    """Whether tensor ``name`` is read by a chain of more than rectifiers that ends in a QuantizeLinear."""
    chain = followers(model, name)
    return any(step.op not in RECTIFIERS for step in chain) and _is_quantized(model, chain[-1].outputs[0])


def _is_quantized(model: OnnxModel, name: str) -> bool:
    return [reader.op for reader in model.consumers(name)] == ["QuantizeLinear"] and name not in model.outputs


def _is_step(model: OnnxModel, node: OnnxNode, name: str) -> bool:
    if len(node.outputs) != 1:
        return False
    if node.op in SCALING:
        return set(node.inputs) - {name} <= model.constants.keys() and node.inputs.count(name) == 1
    return node.op in (*RECTIFIERS, *FUNCTIONS, NORM)
