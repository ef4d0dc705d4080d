"""A verification as a page: the network by SQNR, layers, differing codes, causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from accelsim.display import printable
from accelsim.graph import Graph
from accelsim.report.documents.common import cost_of
from accelsim.report.pages import Bar, Metric, Node, bars_html, edges_of, network_html, page, section, shown
from accelsim.report.verification import page as verified
from accelsim.report.verification.text import heading, output_line, verdict
from accelsim.result import Result

if TYPE_CHECKING:
    from accelsim.verification import Comparison, VerificationReport


_COLOURS = {"forced": "#0072b2", "end_to_end": "#e69f00"}


def verification_document(report: VerificationReport, graph: Graph | None = None, result: Result | None = None) -> str:
    """A verification as a page; ``graph`` is the network, if it is to be drawn, ``result`` what it costs on the machine."""
    network = "" if graph is None else _verified_network(report, graph, result)
    parts = [
        f"<p><b>{shown(heading(report))}</b><br>{shown(verdict(report))}</p>",
        f"<p>{shown(output_line(report))}</p>",
        section("Network", network),
        section("Layers", verified.layers_html(report)),
        section("Differing codes of each layer, fed with the oracle's inputs", _differing_chart(report, "forced")),
        section("Differing codes of each layer, end to end", _differing_chart(report, "end_to_end")),
        *verified.findings_html(report),
    ]
    return page(f"{report.model}: verification", "".join(parts))


def _verified_network(report: VerificationReport, graph: Graph, result: Result | None) -> str:
    known = {layer.layer: layer for layer in report.layers}
    found = [known.get(layer.name) for layer in graph.layers]
    sqnr = [x.forced.sqnr_db if x else None for x in found]
    chained = [x.end_to_end.sqnr_db if x else None for x in found]
    differ = [x.forced.differing / max(x.forced.elements, 1) if x else None for x in found]
    exact = "no code differs, or not compared"
    metrics = [
        Metric("SQNR", sqnr, _decibels, low_is_bad=True, absent=exact),
        Metric("SQNR end to end", chained, _decibels, low_is_bad=True, absent=exact),
        Metric("differing codes", differ, _percent, absent="not compared"),
        *(cost_of(result)[:2] if result else []),
    ]
    causes = ["; ".join(str(cause) for cause in x.causes) if x else "" for x in found]
    nodes = [Node(k, layer.name, layer.operator, causes[k]) for k, layer in enumerate(graph.layers)]
    return network_html(nodes, edges_of(graph), _useful(metrics))


def _differing_chart(report: VerificationReport, which: Literal["forced", "end_to_end"]) -> str:
    """The share of every layer's codes that differ; its causes stand over its bar, where it was fed with the oracle's inputs."""
    known = {layer.layer: layer for layer in report.layers}
    bars = []
    for k, name in enumerate(report.network or known):
        layer = known.get(name)
        if layer is None:
            bars.append(Bar(0.0, _COLOURS[which], f"{k}: {printable(name)}\nnot compared"))
            continue
        found: Comparison = getattr(layer, which)
        causes = [f"{cause.count:,}: {cause.text}" for cause in layer.causes] if which == "forced" else []
        said = [f"{k}: {name}", f"{found.differing:,} of {found.elements:,} codes", *causes]
        bars.append(Bar(found.differing / max(found.elements, 1), _COLOURS[which], "\n".join(map(printable, said))))
    return bars_html(bars, _percent, {})


def _useful(metrics: Sequence[Metric]) -> list[Metric]:
    """Those that some layer has, the first where none has any."""
    return [metric for metric in metrics if metric.known] or list(metrics[:1])


def _decibels(value: float) -> str:
    return f"{value:.1f} dB"


def _percent(value: float) -> str:
    return f"{value * 100:.4g} %"
