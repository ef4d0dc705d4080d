"""``accelsim map``: search for the best tiles of every layer, and write them down."""

from __future__ import annotations

import click

from accelsim.cli.shared.console import note_all, show
from accelsim.cli.shared.files import OutputFile, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_of, arithmetic_option, machine_options, model_argument, objective_option
from accelsim.objective import DEFAULT_OBJECTIVE, Objective


@main.command("map")
@model_argument
@machine_options
@arithmetic_option
@objective_option()
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    show_default="10",
    help="Stop after so long; the best until then is shown, and how far from the least it may be.",
)
@click.option("--out", type=OutputFile(), help="Write the mappings as YAML, for accelsim run --mapping FILE.")
def map_command(
    model: str,
    machine: str,
    edits: tuple[str, ...],
    arithmetic: str | None,
    objective: Objective | None,
    seconds: float | None,
    out: str | None,
) -> None:
    """Search every tiling of every MAC layer of MODEL for those that are best together, and say how far they are from a bound."""
    from accelsim.builder import weight_banks
    from accelsim.energy import check_clock
    from accelsim.importers import load_for
    from accelsim.mapper import SECONDS, divide_memory, search_network, write_mappings
    from accelsim.report import found_table
    from accelsim.simulation import machine_notes

    asked = arch_of(machine, edits, arithmetic)
    check_clock(asked)
    graph, asked = load_for(model, asked)
    chosen = objective or DEFAULT_OBJECTIVE
    arch = divide_memory(graph, arch=asked, objective=chosen)
    kept = None if asked.activation_buffer.is_divided else arch.activation_buffer.kept_bytes
    limit = SECONDS if seconds is None else seconds
    found = search_network(graph, arch=arch, objective=chosen, seconds=limit)
    if out is not None:
        text = write_mappings(found.mappings, graph=graph, objective=chosen, resident_bytes=kept)
        write_text(out, lambda stream: stream.write(text))
    note_all(machine_notes(graph, arch=arch, mappings=found.mappings))
    names = [layer.name for layer in graph.layers]
    heading = f"{graph.name} on {arch.name}, tiles for the least {chosen}" + (
        "" if kept is None else f", {kept:,} bytes for tensors on chip"
    )
    banks = weight_banks(graph, arch=arch, mappings=found.mappings)
    show(found_table(found, layers=names, heading=heading, weight_banks=banks), natural=150)
