"""A float result that is moved before it is quantized: it is quantized first, which gives the same codes.

Quantizing works number by number and keeps their order, so that it may change places with operators that move numbers, with maxima
and minima, and with a rectifier between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from accelsim.graph import Lut
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.file.records import OnnxNode
from accelsim.importers.onnx.network import Codes, Pending, Real
from accelsim.importers.registry import Lowering

MOVING = (
    "MaxPool", "GlobalMaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Pad", "Resize", "ReduceMax",
    "ReduceMin", "DepthToSpace", "SpaceToDepth", "Gather", "Tile", "Expand",
)  # fmt: skip
PROPAGATED = ("MaxPool", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice")
"""Those before which ONNX Runtime's optimizer itself puts the quantizer (qdq_propagation.cc)."""
RECTIFIERS = ("Relu", "Clip")
QUANTIZERS = ("QuantizeLinear", "Quant")


def quantize_early(node: NodeContext, lowerings: Mapping[str, Lowering[Callable[[NodeContext], None]]]) -> None:
    """Where ``node`` moves a float result that nothing else reads, the codes of the quantizer behind it in its place."""
    name = node.inputs[0] if node.inputs else ""
    value = node.net.values.get(name)
    if not _moves(node.record) or not isinstance(value, Pending) or not _is_only_reader(node, name):
        return
    path = _path(node)
    if path is None:
        return
    for record in path:
        if not _moves(record):
            name = _replayed(node, record, name, lowerings)
    made = node.net.values[name]
    if isinstance(made, Codes):
        made = Real(made)
    node.net.values[node.inputs[0]] = made
    if not node.rules.is_onnxruntime or all(r.op in PROPAGATED for r in (node.record, *path[:-1])):
        return
    if path[-1].op == "QuantizeLinear" and not isinstance(node.net.layers[-1], Lut):
        node.approximate(
            "quantized before it is moved; ONNX Runtime computes in float32 what stands before it: codes may differ by one at ties "
            "of the rounding",
            layer=node.net.layers[-1].name,
        )


def _moves(record: OnnxNode) -> bool:
    """Whether the operator moves numbers: a Resize does by its nearest mode, which is its default."""
    return record.op in MOVING and (record.op != "Resize" or record.attributes.get("mode", "nearest") == "nearest")


def _is_only_reader(node: NodeContext, name: str) -> bool:
    return len(node.net.model.consumers(name)) == 1 and name not in node.net.model.outputs


def _path(node: NodeContext) -> list[OnnxNode] | None:
    """What stands between ``node`` and the quantizer of its result, and that; None where there is none, or several read it."""
    path: list[OnnxNode] = []
    record = node.record
    while record.op not in QUANTIZERS:
        readers = node.net.model.consumers(record.outputs[0])
        if len(record.outputs) > 1 or len(readers) != 1 or record.outputs[0] in node.net.model.outputs:
            return None
        (record,) = readers
        others = record.inputs[1:]
        if not (_moves(record) or record.op in (*RECTIFIERS, *QUANTIZERS)) or not node.net.values.keys() >= set(
            filter(None, others)
        ):
            return None
        path.append(record)
    return path


def _replayed(
    node: NodeContext, record: OnnxNode, source: str, lowerings: Mapping[str, Lowering[Callable[[NodeContext], None]]]
) -> str:
    """The result of ``record`` on tensor ``source``."""
    name = node.net.fresh(f"{source}/codes")
    moved = replace(record, inputs=(source, *record.inputs[1:]), outputs=(name,))
    lowerings[record.op].function(replace(node, record=moved, asked=set(), read=set()))
    return name
