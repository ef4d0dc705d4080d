"""What pages of all kinds have: figures by which a network is coloured, its nodes, pictures."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.report.numbers import count, energy, share, size
from accelsim.report.pages import Metric, Node
from accelsim.report.whatif import dram_bytes
from accelsim.result import Result


def picture(svg: str) -> str:
    """A picture on white paper, whatever the page's own."""
    return f'<div class="wide picture">{svg}</div>'


def nodes_of(result: Result, said: Mapping[int, str]) -> list[Node]:
    """The layers of ``result``, each with what is ``said`` of it, by number."""
    return [Node(layer.index, layer.name, layer.op, said.get(layer.index, "")) for layer in result.layers]


def cost_of(result: Result) -> list[Metric]:
    """What each layer costs: cycles, energy, DRAM traffic, and how much of the array it uses."""
    layers, used = result.layers, [layer.utilization for layer in result.layers]
    return [
        Metric("cycles", [x.cycles if x.tiles else None for x in layers], whole, absent="moves nothing"),
        Metric("energy", [x.energy_pj if x.tiles else None for x in layers], energy, absent="moves nothing"),
        Metric("DRAM traffic", [dram_bytes(x) if x.tiles else None for x in layers], _bytes, absent="moves nothing"),
        Metric("utilization", used, share, low_is_bad=True, absent="not on the array"),
    ]


def whole(value: float) -> str:
    """A count."""
    return count(round(value))


def _bytes(value: float) -> str:
    return size(round(value))
