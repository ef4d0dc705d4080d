"""A network as a picture: layers in ranks, columns of them side by side, coloured by any of some figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from accelsim.display import printable
from accelsim.graph import Graph
from accelsim.report.numbers import NONE, short_names
from accelsim.report.pages.colours import EMPTY, Metric, ink_on
from accelsim.report.pages.tables import MOST_ROWS
from accelsim.report.pages.text import shown, shown_lines

WIDTH, HEIGHT, GAP, GUTTER = 140, 32, 14, 30
"""Of a node and between them, in pixels."""
_LETTERS = 20
_CAPITAL, _SMALL = 7.0, 5.8
"""Pixels of a letter at most."""
_ROWS, _WIDER = 10, 0.55
"""Ranks of a column at least, and how much wider than high the picture is to be."""
Edge = tuple[int, int]


class Node(NamedTuple):
    """A layer: its number, name, operator, and what is said over it."""

    number: int
    name: str
    op: str
    tip: str = ""


class Place(NamedTuple):
    """Where a node stands: its left upper corner, in pixels."""

    x: int
    y: int


def edges_of(graph: Graph) -> tuple[Edge, ...]:
    """Pairs of layers, by number, of which the second reads what the first makes; one behind the other where that is not known."""
    if graph.shape_only:
        return tuple((k, k + 1) for k in range(len(graph.layers) - 1))
    maker = {layer.output: k for k, layer in enumerate(graph.layers)}
    pairs = ((maker[name], k) for k, layer in enumerate(graph.layers) for name in layer.inputs if name in maker)
    return tuple(dict.fromkeys(pairs))


def ranks_of(count: int, edges: Sequence[Edge]) -> list[int]:
    """How many layers at least lie before each of ``count``: one more than before any that it reads; ``edges`` go forward."""
    ranks = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    return ranks


def places_of(count: int, edges: Sequence[Edge]) -> list[Place]:
    """A place for each of ``count`` nodes, no two on each other: ranks go down a column, and on at the top of the next."""
    ranks = ranks_of(count, edges)
    rows = max(_ROWS, math.ceil(math.sqrt((max(ranks, default=0) + 1) * WIDTH / HEIGHT * _WIDER)))
    beside = [0] * count
    taken: dict[int, int] = {}
    for k, rank in enumerate(ranks):
        beside[k] = taken.get(rank, 0)
        taken[rank] = beside[k] + 1
    left = _lefts(taken, rows)
    return [
        Place(left[rank // rows] + side * (WIDTH + GAP), GAP + rank % rows * (HEIGHT + GAP))
        for rank, side in zip(ranks, beside, strict=True)
    ]


def _lefts(taken: dict[int, int], rows: int) -> list[int]:
    """Where each column begins; it is as wide as its widest rank."""
    lefts = [GUTTER]
    for column in range(max(taken, default=0) // rows + 1):
        widest = max((taken[r] for r in range(column * rows, (column + 1) * rows) if r in taken), default=1)
        lefts.append(lefts[-1] + widest * (WIDTH + GAP) - GAP + GUTTER)
    return lefts


def network_html(nodes: Sequence[Node], edges: Sequence[Edge], metrics: Sequence[Metric], *, name: str = "by") -> str:
    """The picture with a choice among ``metrics``; of ``nodes`` the first :data:`MOST_ROWS` are drawn."""
    few = nodes[:MOST_ROWS]
    if not few or not metrics:
        return ""
    kept = [edge for edge in edges if max(edge) < len(few)]
    places = places_of(len(few), kept)
    labels = short_names((node.name for node in few), _LETTERS)
    colours = list(zip(*(metric.colours()[: len(few)] for metric in metrics), strict=True))
    paths = "".join(f'<path d="{_path(places[a], places[b])}"/>' for a, b in kept)
    drawn = "".join(
        _node(node, labels[node.name], place, own, metrics)
        for node, place, own in zip(few, places, colours, strict=True)
    )
    width, height = max(p.x for p in places) + WIDTH + GUTTER, max(p.y for p in places) + HEIGHT + GAP
    svg = f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="network">{paths}{drawn}</svg>'
    more = f'<p class="note">the first {len(few):,} of {len(nodes):,} layers</p>' if len(nodes) > len(few) else ""
    choice = "".join(_choice(k, metric, name) for k, metric in enumerate(metrics))
    legends = "".join(_legend(k, metric) for k, metric in enumerate(metrics))
    return f'<div class="network"><style>{_rules(len(metrics))}</style>{choice}{legends}<div class="canvas">{svg}</div>{more}</div>'


def _rules(count: int) -> str:
    """The colour and the legend of the figure that is chosen."""
    return "".join(
        f".network:has(input[value='{k}']:checked) rect{{fill:var(--c{k})}}"
        f".network:has(input[value='{k}']:checked) .node text{{fill:var(--t{k})}}"
        f".network:has(input[value='{k}']:checked) .l{k}{{display:flex}}"
        for k in range(count)
    )


def _choice(k: int, metric: Metric, name: str) -> str:
    checked = " checked" if not k else ""
    return f'<label><input type="radio" name="{name}" value="{k}"{checked}> {shown(metric.title)}</label>'


def _legend(k: int, metric: Metric) -> str:
    low, high = map(shown, metric.ends())
    scale = " (by decades)" if metric.by_decades else ""
    blank = None in metric.values
    absent = f'<i style="width:1rem;background:{EMPTY}"></i>{shown(metric.absent)}' if blank else ""
    strip = (
        f'{low}<i style="background:linear-gradient(90deg,{",".join(metric.stops)})"></i>{high}{scale}' if low else ""
    )
    return f'<div class="legend l{k}">{strip} {absent}</div>'


def _node(node: Node, label: str, place: Place, colours: Sequence[str], metrics: Sequence[Metric]) -> str:
    style = "".join(f"--c{k}:{c};--t{k}:{ink_on(c)};" for k, c in enumerate(colours))
    said = [f"{node.number}: {node.name} ({node.op})"]
    for metric in metrics:
        value = metric.values[node.number]
        said.append(f"{metric.title}: {NONE if value is None else metric.text(value)}")
    tip = shown_lines("\n".join([*map(printable, said), *([node.tip] if node.tip else [])]))
    texts = "".join(
        f'<text x="{place.x + 6}" y="{place.y + y}"{weight}{_squeezed(text)}>{shown(text)}</text>'
        for text, y, weight in ((label, 13, ' font-weight="600"'), (_cut(f"{node.number} {node.op}"), 26, ""))
    )
    return (
        f'<g class="node" style="{style}" tabindex="0" data-tip="{tip}">'
        f'<rect x="{place.x}" y="{place.y}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>{texts}</g>'
    )


def _squeezed(text: str) -> str:
    """What keeps a text within its node, if its letters may be wider than that in whatever font there is."""
    room = WIDTH - 12
    wide = sum(_CAPITAL if letter.isupper() else _SMALL for letter in text) > room
    return f' textLength="{room}" lengthAdjust="spacingAndGlyphs"' if wide else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS + 1 else f"{text[:_LETTERS]}…"


def _path(a: Place, b: Place) -> str:
    """From what makes a tensor to what reads it: down to the next rank, round what lies between, or over to the next column."""
    middle = HEIGHT // 2
    if b.x == a.x and b.y - a.y == HEIGHT + GAP:
        return f"M{a.x + WIDTH // 2},{a.y + HEIGHT}v{GAP}"
    if b.x == a.x:
        side = a.x + WIDTH
        return f"M{side},{a.y + middle}C{side + GUTTER},{a.y + middle} {side + GUTTER},{b.y + middle} {side},{b.y + middle}"
    if b.y > a.y and b.y - a.y <= HEIGHT + GAP:
        x, y, to = a.x + WIDTH // 2, a.y + HEIGHT, b.x + WIDTH // 2
        return f"M{x},{y}C{x},{b.y} {to},{y} {to},{b.y}"
    x, to, turn = (a.x + WIDTH, b.x, GUTTER) if b.x > a.x else (a.x, b.x + WIDTH, -GUTTER)
    return f"M{x},{a.y + middle}C{x + turn},{a.y + middle} {to - turn},{b.y + middle} {to},{b.y + middle}"
