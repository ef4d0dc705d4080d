"""What the manifest says of a network, a layer, and how its numbers follow from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.graph import Graph, MacLayer
from accelsim.handoff.vectors.layer import ExportedLayer
from accelsim.handoff.vectors.streams import FileFormat, Stream
from accelsim.numerics import FUNCTIONS, PRIMITIVES, Overflow, Requant, StagedScheme, lowest
from accelsim.timing import Timeline

FORMAT, VERSION = "accelsim vectors", 1
MANIFEST, SCHEMA = "manifest.json", "manifest.schema.json"
SUM = (
    "sum over ky, kx, c of weights[o, ky, kx, c] * (activations[n, y * stride[0] + ky * dilation[0], x * stride[1] + kx * dilation[1], "
    "o // outputs_per_group * channels_per_group + c] - input_zero_point)"
)
STEP = (
    "tile_after[n, y, x, o] = tile_before[n, y, x, o] + the sum over ky, kx, c of tile_weights[o, ky, kx, c] * (tile_activations[n, "
    "y * stride[0] + ky * dilation[0], x * stride[1] + kx * dilation[1], first_channel(o) + c] - input_zero_point), with stride and "
    "dilation of the operation's window; first_channel(o) = (box[0][3] + o) // outputs_per_group * channels_per_group + "
    "first.weight_channel - first.activation_channel"
)
FORM = (
    "v = x * form_factor",
    "x = (v + form_offset - (form_negative if v < 0 else 0)) >> form_shift",
    "code = saturate(x + zero_point, clamp_min, clamp_max)",
)
THRESHOLDS = ("code = start + step * reached(x, levels)",)
POLICIES = {Overflow.WRAP: 0, Overflow.TRAP: 0, Overflow.SATURATE: 1, Overflow.SATURATE_SYMMETRIC: 2}


def sum_record(exported: ExportedLayer) -> dict[str, Any]:
    """How accumulators come about."""
    layer, arch, fmt = exported.layer, exported.program.arch, exported.accumulator
    overflow, g = Overflow(arch.accumulator.overflow), layer.geometry
    low = lowest(fmt, overflow)
    wraps = overflow in (Overflow.WRAP, Overflow.TRAP)
    return {
        "products": SUM, "step": STEP, "input_zero_point": layer.input_zero_point,
        "padding": [g.pad_top, g.pad_left], "spread": [g.upsample_h, g.upsample_w], "input_view": list(g.input_shape),
        "stride": [g.stride_h, g.stride_w], "dilation": [g.dilation_h, g.dilation_w],
        "outputs_per_group": g.oc_per_group, "channels_per_group": g.ic_per_group,
        "accumulator": {"bits": fmt.bits, "overflow": overflow.value, "low": low, "high": fmt.max},
        "fit": f"acc = wrap(acc, {fmt.bits}, 1)" if wraps else f"acc = saturate(acc, {low}, {fmt.max})",
        "products_per_add": arch.accumulator.products_per_add,
        "order": (
            "A tile's sum begins with fit of its start: the bias, or the sum of the tile before. Products come by kernel row, kernel "
            "column, input channel; products_per_add of them at a time (all of a tile: 'tile'), counted from the tile's first, padding "
            "included, are added exactly and then fitted. Where nothing leaves the accumulator, or where it wraps, any order gives the same."
        ),
    }  # fmt: skip


def requantization_record(exported: ExportedLayer) -> dict[str, Any]:
    """How output codes follow from accumulators."""
    requant, names = exported.layer.requant, list(exported.parameters)
    assert requant is not None
    if not isinstance(requant, Requant):
        return {"scheme": requant.scheme, "parameters": names, "steps": list(THRESHOLDS), "form": None}
    rule = requant.rule
    staged = isinstance(rule, StagedScheme)
    return {
        "scheme": requant.scheme, "description": rule.description, "parameters": names, "steps": list(rule.steps),
        "zero_point": requant.zero_point, "clamp_min": requant.clamp_min, "clamp_max": requant.clamp_max,
        "table": list(requant.table),
        "registers": {"multiplier": requant.multiplier.tolist(), "shift": requant.shift.tolist()} if staged else None,
        "form": None if exported.form is None else list(FORM),
    }  # fmt: skip


def layer_record(
    exported: ExportedLayer, timeline: Timeline, streams: Sequence[Stream], formats: tuple[FileFormat, ...]
) -> dict[str, Any]:
    """The entry of one layer."""
    layer, graph, own = exported.layer, exported.program.graph, exported.program.of_layer(exported.index)
    source, target = graph.tensors[layer.inputs[0]], graph.tensors[layer.output]
    return {
        "index": exported.index, "name": layer.name, "operator": layer.operator, "folder": exported.folder,
        "input": _tensor(source), "output": _tensor(target),
        "cycles": {"start": int(timeline.start[own].min()), "finish": int(timeline.finish[own].max())},
        "sum": sum_record(exported), "requantization": requantization_record(exported),
        "operations": f"{exported.folder}/operations.json",
        "streams": {stream.name: stream.description(exported.folder, formats) for stream in streams},
    }  # fmt: skip


def _tensor(tensor: Any) -> dict[str, Any]:
    return {
        "tensor": tensor.name, "format": str(tensor.format), "zero_point": tensor.zero_point,
        "scale": None if tensor.scale is None else float(tensor.scale),
    }  # fmt: skip


def manifest_record(
    timeline: Timeline,
    layers: Sequence[dict[str, Any]],
    *,
    formats: tuple[FileFormat, ...],
    tiles: bool,
    digests: dict[str, str],
    version: str,
) -> dict[str, Any]:
    """The whole manifest."""
    graph, arch = timeline.program.graph, timeline.program.arch
    taken = {entry["name"] for entry in layers}
    return {
        "format": FORMAT, "version": VERSION, "made_by": f"accelsim {version}",
        "network": graph.name, "arithmetic": graph.arithmetic, "machine": arch.model_dump(mode="json"),
        "total_cycles": timeline.total_cycles, "formats": list(formats), "tiles": tiles,
        "encoding": {
            "hex": "$readmemh: one element a line, its low bits in two's complement (floats: IEEE 754), ceil(bits / 4) digits, row-major",
            "npy": "NumPy 1.0 files, little-endian, row-major, the narrowest type that holds the width",
            "c": "static const arrays of the narrowest type, row-major (floats: IEEE 754 bits); NAME_COUNT is the number of elements",
            "elements_per_word": 1,
        },
        "notation": {
            "language": "Python's operators on integers without a bound; x is the accumulator, code the output",
            "functions": dict(FUNCTIONS), "primitives": dict(PRIMITIVES),
            "parameters": "streams of the layer, at the output channel, or at 0 where they hold one number",
        },
        "layers": list(layers),
        "left_out": [
            {"name": layer.name, "operator": layer.operator, "reason": why_not(graph, layer.name) or "not asked for"}
            for layer in graph.layers if layer.name not in taken
        ],
        "sha256": dict(sorted(digests.items())),
    }  # fmt: skip


def why_not(graph: Graph, name: str) -> str | None:
    """Why a layer has no vectors; None where the array runs it."""
    layer = next(layer for layer in graph.layers if layer.name == name)
    return None if isinstance(layer, MacLayer) else f"the array does not run it: {layer.operator} is the vector unit's"
