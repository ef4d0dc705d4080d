"""Variants and a sensitivity study as pages."""

from __future__ import annotations

from accelsim.graph import Graph
from accelsim.report.documents.common import cost_of, nodes_of, picture
from accelsim.report.pages import Metric, edges_of, network_html, page, section
from accelsim.report.pictures import svg_of, tornado, variants_plot
from accelsim.report.whatif import Variants, moved_html, points, sensitivity_html, totals_html
from accelsim.result import Sensitivity

_MOST_VARIANTS = 6
"""Variants by which a network is coloured."""


def variants_document(found: Variants, graph: Graph | None = None) -> str:
    """Variants as a page; ``graph`` is the base's network, if it is to be drawn."""
    base = found.base
    network = (
        "" if graph is None else network_html(nodes_of(base, {}), edges_of(graph), [*_moves(found), *cost_of(base)])
    )
    parts = [
        totals_html(found),
        section("Ratios, and what each layer moved", picture(svg_of(variants_plot(found)))),
        section(f"Network of {found.names[0]}", network),
        moved_html(found),
    ]
    return page(f"{base.model}: variants", "".join(parts))


def sensitivity_document(found: Sensitivity) -> str:
    """A sensitivity study as a page."""
    return page(f"{found.model}: sensitivity", f"{sensitivity_html(found)}{picture(svg_of(tornado(found)))}")


def _moves(found: Variants) -> list[Metric]:
    """What each of the first variants moved of the base's latency and energy, by layer of the base."""
    metrics = []
    for name, moves in list(found.moves().items())[:_MOST_VARIANTS]:
        own = [move for move in moves if move.base is not None]
        metrics.append(Metric(f"Δ latency, {name}", [move.latency for move in own], points, signed=True))
        metrics.append(Metric(f"Δ energy, {name}", [move.energy for move in own], points, signed=True))
    return metrics
