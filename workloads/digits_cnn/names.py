"""Name the tensors of a converted digits CNN after its layers, in place: ``python workloads/digits_cnn/names.py FILE.tflite ...``.

The converter names a tensor after every Keras operation that it folded into the layer. Each name here is shorter than that, so
that it takes its place in the file and no other byte changes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tflite
from flatbuffers import number_types

INPUT = "image"
LAYERS = ("conv1", "depthwise", "pointwise", "pool", "conv2", "add", "mean", "logits", "probabilities")
"""Operators in the order of the file, by what they make."""
CONSTANTS = {"mean": ("axes",)}
WEIGHTS = ("weights", "bias")
NAME_SLOT = 10  # of the field `name` in the vtable of Tensor, schema.fbs of TensorFlow Lite


def named(model: bytes) -> bytes:
    """The same network with names of its own; ValueError where it is another one."""
    made, graph = bytearray(model), tflite.Model.GetRootAs(model, 0).Subgraphs(0)
    for index, name in _names(graph).items():
        _rename(made, graph.Tensors(index), name)
    return bytes(made)


def _names(graph: tflite.SubGraph) -> dict[int, str]:
    """Tensor index -> name."""
    if graph.OperatorsLength() != len(LAYERS):
        raise ValueError(f"{graph.OperatorsLength()} operators, expected those of {', '.join(LAYERS)}")
    names = {int(graph.Inputs(0)): INPUT}
    for i, layer in enumerate(LAYERS):
        operator = graph.Operators(i)
        names[int(operator.Outputs(0))] = layer
        constants = [int(index) for index in operator.InputsAsNumpy() if int(index) not in names]
        names |= {
            index: f"{layer}/{part}" for index, part in zip(constants, CONSTANTS.get(layer, WEIGHTS), strict=False)
        }
    return names


def _rename(made: bytearray, tensor: tflite.Tensor, name: str) -> None:
    """Overwrite the string: its length in four bytes, the characters, zeros to its old end."""
    table, old, new = tensor._tab, tensor.Name(), name.encode()
    if len(new) > len(old):
        raise ValueError(f"{name!r} does not fit in the place of {old!r}")
    field = table.Pos + table.Offset(NAME_SLOT)
    start = field + table.Get(number_types.UOffsetTFlags, field)
    made[start : start + 4 + len(old)] = len(new).to_bytes(4, "little") + new.ljust(len(old), b"\0")


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_bytes(named(path.read_bytes()))
