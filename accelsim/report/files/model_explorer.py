"""What a network costs as node data of Model Explorer, which colours the model file by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO

from accelsim.report.whatif import dram_bytes
from accelsim.result import LayerResult, Result

OVERLAYS = ("cycles", "energy", "dram", "utilization")
"""Figures that a file can hold, one of them."""
_GRADIENT = (
    {"stop": 0, "bgColor": "#fee838"},
    {"stop": 0.5, "bgColor": "#7c7b78"},
    {"stop": 1, "bgColor": "#00224e", "textColor": "#ffffff"},
)


def write_model_explorer(result: Result, stream: IO[str], *, overlay: str = "cycles") -> None:
    """Write one graph's node data: ``results`` by the name of the tensor that a layer makes, which Model Explorer matches with its nodes.

    The format is ``GraphNodeData`` of its ``node_data_builder``; ``overlay`` is one of :data:`OVERLAYS`, energy in picojoules, DRAM
    traffic in bytes. Layers without that figure are left out.
    """
    found = ((layer.output, _figure(layer)[overlay]) for layer in result.layers if layer.tiles)
    results = {name: {"value": value} for name, value in found if value is not None}
    json.dump({"results": results, "gradient": list(_GRADIENT)}, stream, indent=1, ensure_ascii=False)
    stream.write("\n")


def _figure(layer: LayerResult) -> Mapping[str, float | None]:
    figures = layer.cycles, layer.energy_pj, dram_bytes(layer), layer.utilization
    return dict(zip(OVERLAYS, figures, strict=True))
