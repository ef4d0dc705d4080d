"""``accelsim activity``: what the data of an inference makes of a network's energy."""

from __future__ import annotations

from dataclasses import replace

import click

from accelsim.cli.shared.console import note_all, show_page
from accelsim.cli.shared.group import main
from accelsim.cli.shared.inputs import needed_arrays, note_inputs
from accelsim.cli.shared.options import (
    arch_of,
    arithmetic_option,
    input_option,
    machine_options,
    mapping_options,
    model_argument,
)
from accelsim.objective import Objective


@main.command("activity")
@model_argument
@machine_options
@arithmetic_option
@mapping_options
@input_option(": key 'input' or tensor names; the first inference counts.")
@click.option(
    "--sample", type=click.IntRange(min=2), help="Count so many compute tiles per layer and scale up, with an error."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sample.")
@click.option(
    "--gated",
    is_flag=True,
    help="A product with a zero operand costs no multiply, no add and no read of a weight scratchpad, as with array.zero_gating.",
)
def activity_command(
    model: str,
    *,
    machine: str,
    edits: tuple[str, ...],
    arithmetic: str | None,
    mapping: str,
    objective: Objective | None,
    input_path: str | None,
    sample: int | None,
    seed: int,
    gated: bool,
) -> None:
    """Count zero operands and toggled bits of one inference of MODEL, and let its energy follow them."""
    from accelsim.activity import activity_energy, measure_activity
    from accelsim.energy import table_of
    from accelsim.execute import gather_inputs
    from accelsim.report import activity_page, tiles_by
    from accelsim.simulation import run

    arrays, _ = needed_arrays(model, input_path, option="--input")
    done = run(model, arch=arch_of(machine, edits), arithmetic=arithmetic, mapping=mapping, objective=objective)
    note_all(done.result.notes)
    first = {name: values[0] for name, values in gather_inputs(done.graph, arrays).items()}
    note_inputs(done.graph, arrays)
    activities = measure_activity(done.program, first, sample=sample, seed=seed)
    energies = activity_energy(done.program, activities, table_of(done.arch), gated=gated or None)
    page = activity_page(activities, energies, layers=[layer.name for layer in done.graph.layers])
    show_page(replace(page, title=f"{page.title}; tiles by {tiles_by(done.result)}"))
