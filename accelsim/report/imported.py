"""What an importer understood of a model file, operator by operator, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from accelsim.graph import Graph, HostPort, Layer, MacLayer, Outcome, SourceOperator, Tensor
from accelsim.report.lines import GAP, width_of
from accelsim.report.numbers import NONE, count, short_names, size
from accelsim.report.terminal import fact_table, first_rows, text_table

TITLES = ("", "operator", "becomes", "reads", "weights", "gives", "requantization", "MACs", "layer")
DITTO = ""

Row = tuple[str, ...]


def import_table(graph: Graph, *, heading: str) -> RenderableType:
    """One row per operator of the file and per further layer it became, then ports, totals and every approximation."""
    right = [title in ("", "MACs") for title in TITLES]
    rows, more = first_rows(import_rows(graph), _row_count(graph))
    table = text_table(TITLES, rows, right=right, overflow="fold")
    return Group(Text(heading, style="bold"), Text(), table, *more, Text(), fact_table(import_facts(graph)))


def import_width(graph: Graph) -> int:
    """Characters that the whole table takes."""
    rows, _ = first_rows(import_rows(graph), 0)
    return width_of(zip(TITLES, *rows, strict=True)) + GAP


def import_rows(graph: Graph) -> Iterator[Row]:
    """Cells under :data:`TITLES`."""
    short = short_names(layer.name for layer in graph.layers)
    for operator in graph.source or _rows_of_a_table(graph):
        if operator.outcome is not Outcome.LAYER:
            yield (str(operator.index), operator.operator, _outcome(operator, short), *[NONE] * 5, DITTO)
            continue
        head = str(operator.index), operator.operator
        for name in operator.layers:
            yield (*head, *_layer_cells(graph, graph.layer(name)), short[name])
            head = DITTO, DITTO


def _row_count(graph: Graph) -> int:
    if not graph.source:
        return len(graph.layers)
    return sum(len(operator.layers) if operator.outcome is Outcome.LAYER else 1 for operator in graph.source)


def _rows_of_a_table(graph: Graph) -> Iterator[SourceOperator]:
    """A layer table has one row per layer."""
    for i, layer in enumerate(graph.layers):
        yield SourceOperator(
            index=i, operator=layer.operator, output=layer.output, outcome=Outcome.LAYER, layers=(layer.name,)
        )


def _outcome(operator: SourceOperator, short: Mapping[str, str]) -> str:
    inside = f"part of {short[operator.layers[-1]]}" if operator.layers else "part of the layer after it"
    texts = {
        Outcome.FUSED: inside,
        Outcome.HOST: "done by the host",
        Outcome.CONSTANT: "a constant",
        Outcome.STATE: "what is kept from inference to inference",
        Outcome.NOTHING: "nothing: the codes stay",
    }
    return texts[operator.outcome]


def _layer_cells(graph: Graph, layer: Layer) -> Row:
    mark = " ≈" if layer.name in graph.approximations else ""
    reads = ", ".join(_tensor(graph.tensors[name]) for name in layer.inputs)
    return (
        f"{type(layer).__name__}{mark}",
        reads or NONE,
        _weights(layer),
        _tensor(graph.tensors[layer.output]),
        _scheme(layer),
        count(layer.macs) if layer.macs else NONE,
    )


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.format} {'×'.join(map(str, tensor.shape)) or '1'}"


def _weights(layer: Layer) -> str:
    if not isinstance(layer, MacLayer) or len(layer.inputs) > 1:
        return NONE
    return f"{layer.weight_format} {'×'.join(map(str, layer.geometry.weight_shape))}"


def _scheme(layer: Layer) -> str:
    requant = getattr(layer, "requant", None)
    if requant is None:
        return NONE
    return f"{requant.scheme}, per channel" if requant.is_per_channel else str(requant.scheme)


def import_facts(graph: Graph) -> list[tuple[str, str]]:
    """Arithmetic, ports, totals, and what is approximate, as (name, value)."""
    return [
        ("arithmetic", graph.arithmetic),
        *([("converted", graph.converted)] if graph.converted else []),
        *_ports(graph, "input", graph.inputs),
        *(("input", f"{name}: nothing reads it") for name in graph.unread_inputs),
        *_ports(graph, "output", graph.outputs),
        *(("state", _port(graph, variable.read, variable.name, False)) for variable in graph.variables),
        ("MACs", count(graph.macs)),
        ("weights", size(graph.weight_bytes)),
        *_approximations(graph),
    ]


def _ports(graph: Graph, what: str, ports: Sequence[HostPort]) -> Iterator[tuple[str, str]]:
    shown, more = first_rows(ports, len(ports))
    yield from ((what, _port(graph, port.tensor, port.host_name, port.real)) for port in shown)
    yield from ((what, text.plain) for text in more)


def _port(graph: Graph, tensor: str, host_name: str, real: bool) -> str:
    known = graph.tensors[tensor]
    scale = "" if known.scale is None else f", scale {known.scale:.6g}, zero point {known.zero_point}"
    kind = "real numbers on the host, as " if real else ""
    return f"{host_name}: {kind}{known.format} codes {'×'.join(map(str, known.host_shape)) or '1'}{scale}"


def _approximations(graph: Graph) -> list[tuple[str, str]]:
    if not graph.approximations:
        return [("approximate", "nothing")]
    # What is approximate may be no layer of its own: a quantizer whose work a layer does.
    short = short_names(dict.fromkeys([*(layer.name for layer in graph.layers), *graph.approximations]))
    return [
        ("approximate ≈", f"{short[layer]}: {what}") for layer, all_ in graph.approximations.items() for what in all_
    ]
