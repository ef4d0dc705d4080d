"""``accelsim activity``: what the data of an inference makes of a network's energy."""

from __future__ import annotations

import click

from accelsim.cli.console import show
from accelsim.cli.options import arithmetic_option, mapping_option, parse_edits, set_option

_WIDE = 200


@click.command("activity")
@click.argument("model")
@click.option("--arch", "machine", required=True, metavar="ARCH", help="A preset (see: accelsim archs) or a YAML file.")
@set_option()
@arithmetic_option()
@mapping_option()
@click.option(
    "--input",
    "input_path",
    metavar="FILE",
    help="Inputs as .npz: key 'input' or tensor names; the first inference counts.",
)
@click.option(
    "--sample", type=click.IntRange(min=2), help="Count so many compute tiles per layer and scale up, with an error."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sample.")
@click.option("--gated", is_flag=True, help="A MAC with a zero operand holds its inputs and costs nothing.")
def activity_command(
    model: str,
    machine: str,
    edits: tuple[str, ...],
    arithmetic: str | None,
    mapping: str,
    input_path: str | None,
    sample: int | None,
    seed: int,
    gated: bool,
) -> None:
    """Count zero operands and toggled bits of one inference of MODEL, and let its energy follow them."""
    from accelsim.activity import activity_energy, measure_activity
    from accelsim.arch import load_arch
    from accelsim.cli.inputs import needed_inputs
    from accelsim.energy import table_of
    from accelsim.execute import gather_inputs
    from accelsim.report import activity_page, list_table
    from accelsim.simulation import read_inputs, run

    source = needed_inputs(model, input_path, option="--input")
    done = run(model, arch=load_arch(machine, edits=parse_edits(edits)), arithmetic=arithmetic, mapping=mapping)
    batches = gather_inputs(done.graph, read_inputs(source)[0])
    first = {name: values[0] for name, values in batches.items()}
    activities = measure_activity(done.program, first, sample=sample, seed=seed)
    energies = activity_energy(done.program, activities, table_of(done.arch), gated=gated)
    page = activity_page(activities, energies)
    click.echo(page.title)
    show(list_table(page.columns, page.rows), natural=_WIDE)
