"""``accelsim accumulators``: how wide the accumulators of a network must be, and what is proved about a machine's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import page_width, show
from accelsim.cli.shared.group import main
from accelsim.cli.shared.inputs import note_inputs, optional_arrays
from accelsim.cli.shared.options import arch_of, arithmetic_option, input_option, model_argument, set_option
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.arch import Arch
    from accelsim.graph import Graph


@main.command("accumulators")
@model_argument
@click.option(
    "--arch",
    "machine",
    metavar="ARCH",
    help="A preset or a YAML file; without it, the source arithmetic's accumulators.",
)
@set_option
@input_option(", to observe partial sums: key 'input' or tensor names.")
@arithmetic_option
def accumulators_command(
    model: str, machine: str | None, edits: tuple[str, ...], input_path: str | None, arithmetic: str | None
) -> None:
    """Bound the partial sums of MODEL layer by layer, and print the smallest safe accumulators."""
    from accelsim.execute import accumulator_report
    from accelsim.report import NATURAL_WIDTH, accumulator_table

    graph, arch = _loaded(model, _machine(machine, edits, arithmetic), arithmetic)
    report = accumulator_report(graph, arch=arch, inputs=_inputs(model, graph, input_path))
    where = f"the source arithmetic {graph.arithmetic}" if arch is None else arch.name
    names = [layer.name for layer in graph.layers]
    heading = f"accumulators of {graph.name} on {where}"
    table = accumulator_table(report, heading=heading, layers=names, width=page_width())
    show(table, natural=NATURAL_WIDTH)


def _machine(machine: str | None, edits: tuple[str, ...], arithmetic: str | None) -> Arch | None:
    if machine is None:
        if edits:
            raise ConfigError("--set edits a machine; give --arch ARCH as well")
        return None
    return arch_of(machine, edits, arithmetic)


def _loaded(model: str, arch: Arch | None, arithmetic: str | None) -> tuple[Graph, Arch | None]:
    from accelsim.importers import load_for, load_graph, resolve_model

    return (load_graph(resolve_model(model), arithmetic=arithmetic), None) if arch is None else load_for(model, arch)


def _inputs(model: str, graph: Graph, path: str | None) -> Mapping[str, NDArray[Any]] | None:
    """Batches of codes by tensor, from ``path`` or from the inputs that ship with a packaged workload; None without any."""
    from accelsim.execute import gather_inputs

    arrays, _ = optional_arrays(model, path, option="--input")
    if arrays is None:
        return None
    batches = gather_inputs(graph, arrays)
    note_inputs(graph, arrays)
    return batches
