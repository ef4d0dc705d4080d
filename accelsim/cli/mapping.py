"""``accelsim map``: search for the best tiles of every layer, and write them down."""

from __future__ import annotations

import click

from accelsim.cli.shared.console import show
from accelsim.cli.shared.files import OutputFile, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_of, arithmetic_option, machine_options


@main.command("map")
@click.argument("model")
@machine_options
@arithmetic_option
@click.option(
    "--objective",
    type=click.Choice(["cycles", "energy", "edp"]),
    default="cycles",
    show_default=True,
    help="What to minimise, layer by layer.",
)
@click.option("--out", type=OutputFile(), help="Write the mappings as YAML, for accelsim run --mapping FILE.")
def map_command(
    model: str, machine: str, edits: tuple[str, ...], arithmetic: str | None, objective: str, out: str | None
) -> None:
    """Search every tiling of every MAC layer of MODEL for the best one, and say how far it is from a bound."""
    from accelsim.energy import check_clock
    from accelsim.importers import load_for
    from accelsim.mapper import OBJECTIVES, search_layers, write_mappings
    from accelsim.report import found_table

    arch = arch_of(machine, edits, arithmetic)
    check_clock(arch)
    graph, arch = load_for(model, arch)
    chosen = OBJECTIVES[OBJECTIVES.index(objective)]
    mappings, found = search_layers(graph, arch=arch, objective=chosen)
    if out is not None:
        write_text(out, lambda stream: stream.write(write_mappings(mappings, graph=graph)))
    names = [layer.name for layer in graph.layers]
    heading = f"{graph.name} on {arch.name}, tiles for the least {objective}"
    show(found_table(found, layers=names, heading=heading), natural=150)
