"""A run as a page: totals, the network in colours, bars, layers with what would relieve each, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from accelsim.report.documents.common import cost_of, nodes_of, picture, whole
from accelsim.report.documents.relief import changes_html, sentence
from accelsim.report.numbers import count, energy, share
from accelsim.report.pages import Bar, bars_html, edges_of, network_html, page, section, shown
from accelsim.report.pictures import plot, svg_of
from accelsim.report.result.cells import heading
from accelsim.report.result.html import closing_html, facts_html, layers_html
from accelsim.result import BOUNDS, Reliefs, Result

if TYPE_CHECKING:
    from accelsim.simulation import Simulation

_BLUE = "#0072b2"
_OKABE_ITO = (_BLUE, "#56b4e9", "#e69f00", "#f0e442", "#d55e00", "#cc79a7", "#009e73", "#999999", "#000000")
_BOUND_COLOURS = dict(zip(BOUNDS, (*_OKABE_ITO, "#cccccc"), strict=True))


def run_document(simulation: Simulation, reliefs: Reliefs) -> str:
    """A run as a page; each layer says what bounds it and which of ``reliefs`` takes most off it."""
    result, graph = simulation.result, simulation.graph
    said = {layer.index: sentence(layer, reliefs) for layer in result.layers}
    network = network_html(nodes_of(result, said), edges_of(graph), cost_of(result))
    parts = [
        f"<p><b>{shown(heading(result))}</b></p>{facts_html(result)}",
        section("Network", network),
        section("Cycles by layer, coloured by what bounds it", _cycles_chart(result, said)),
        section("Energy by layer", _energy_chart(result)),
        section("Layers", layers_html(result, said)),
        section("Changes that were tried", changes_html(reliefs)),
        section("Roofline, energy and timeline", picture(svg_of(plot(simulation)))),
        section("How it was made", closing_html(result)),
    ]
    return page(f"{result.model} on {result.arch.get('name')}", "".join(parts))


def _cycles_chart(result: Result, said: Mapping[int, str]) -> str:
    bars = [
        Bar(x.cycles, _BOUND_COLOURS[x.bound], f"{x.index}: {x.name}\n{count(x.cycles)} cycles\n{said[x.index]}")
        for x in result.layers
    ]
    used: dict[str, str] = {
        bound: colour for bound, colour in _BOUND_COLOURS.items() if any(x.bound == bound for x in result.layers)
    }
    return bars_html(bars, whole, used)


def _energy_chart(result: Result) -> str:
    bars = [Bar(x.energy_pj, _BLUE, _energy_tip(x.name, x.energy_split_pj)) for x in result.layers]
    return bars_html(bars, energy, {})


def _energy_tip(name: str, split: Mapping[str, float]) -> str:
    whole = sum(split.values())
    parts = sorted(((pj, part) for part, pj in split.items() if pj), reverse=True)
    lines = (f"{part.replace('_', ' ')}: {energy(pj)} ({share(pj / whole)})" for pj, part in parts)
    return "\n".join([name, energy(whole), *lines])
