"""``accelsim compare``: one network on several machines."""

from __future__ import annotations

import click

from accelsim.cli.shared.console import WIDE, note_all, progress_bar, show
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_of, arch_option, arithmetic_option, set_option


@main.command("compare")
@click.argument("model")
@arch_option("machines", multiple=True, help=" Give it for each machine.")
@set_option
@arithmetic_option
def compare_command(model: str, machines: tuple[str, ...], edits: tuple[str, ...], arithmetic: str | None) -> None:
    """Totals of MODEL on several machines side by side; --set edits all of them."""
    from accelsim.report import compare, comparison_table
    from accelsim.simulation import simulate

    loaded = [arch_of(machine, edits) for machine in machines]
    results = []
    with progress_bar("machines") as progress:
        for done, arch in enumerate(loaded, start=1):
            results.append(simulate(model, arch=arch, arithmetic=arithmetic))
            if progress is not None:
                progress("machines", done, len(loaded))
    for arch, result in zip(loaded, results, strict=True):
        note_all(result.notes, about=arch.name)
    show(comparison_table(compare(results)), natural=WIDE)
