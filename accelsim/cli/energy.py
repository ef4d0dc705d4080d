"""``accelsim energy``: the tables that ship, one of them in full, a check of your own, and a run's energy in full."""

from __future__ import annotations

from typing import Any

import click

from accelsim.cli.shared.console import WIDE, note_all, say, show, show_page
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_of, arithmetic_option, machine_options, mapping_options, model_argument
from accelsim.errors import ConfigError


@main.group("energy")
def energy() -> None:
    """Look at energy tables, check your own, split a run's energy in full."""


@energy.command("list")
def list_tables() -> None:
    """List the energy tables that ship with accelsim."""
    from accelsim.energy import load_table, table_names
    from accelsim.report import list_rows, list_table

    rows = list_rows([load_table(name) for name in table_names()])
    show(list_table(("table", "node", "voltage", "entries", "source"), rows), natural=WIDE)


@energy.command("show")
@click.argument("table")
def show_table(table: str) -> None:
    """Print every entry of TABLE (a name or a YAML file): value, size law, range, source; and what fills its gaps."""
    from accelsim.energy import load_table
    from accelsim.report import table_notes, table_page

    found = load_table(table)
    show_page(table_page(found))
    for line in table_notes(found):
        say(line)


@energy.command("check")
@click.argument("file")
def check_table(file: str) -> None:
    """Check the energy table in FILE: units, actions, laws, ranges, one technology; says what a machine would still lack."""
    from accelsim.arch import load_arch
    from accelsim.energy import CHARGES, Costs, area_um2, load_table, part_sizes

    table = load_table(file)
    costs = Costs(table)
    arch = load_arch()
    asked = [(charge.component, charge.action) for charge in CHARGES.values() if not charge.optional]
    for component, action in asked:
        costs.maybe(component, action, _SIZES)
    costs.maybe("clock", "tick", part_sizes("array", arch))
    area_um2(arch, costs)
    say(f"{file}: {len(table.entries)} entries, all well formed")
    lacking = sorted(key for key in costs.missing)
    needed = [f"{c}.{a}" for c, a in asked if f"{c}.{a}" in costs.missing]
    say(f"needed and not held: {', '.join(needed) or 'nothing'}")
    say(f"not modelled without: {', '.join(key for key in lacking if key not in needed) or 'nothing'}")


_SIZES: dict[str, float] = {
    "left_bits": 8, "right_bits": 8, "sum_bits": 32, "register_bits": 48, "hop_bits": 40, "length_um": 20, "bits": 8,
    "capacity_bytes": 65_536, "multiplier_bits": 32, "output_bits": 8,
}  # fmt: skip


@energy.command("import")
@click.argument("file")
@click.option("--node-nm", type=float, required=True, help="Process node of the figures, nm; the file does not say.")
@click.option("--voltage-v", type=float, required=True, help="Supply of the figures, V; the file does not say.")
@click.option("--source", required=True, help="Where the figures come from; the file does not say.")
@click.option(
    "--word-bits", "words", multiple=True, metavar="COMPONENT=BITS", help="Width of a component's word; repeatable."
)
def import_ert(file: str, node_nm: float, voltage_v: float, source: str, words: tuple[str, ...]) -> None:
    """Turn Accelergy's energy reference table FILE into an energy table, on stdout."""
    from accelsim.arch import short
    from accelsim.energy import read_ert, to_yaml

    widths = {}
    for text in words:
        name, equals, bits = text.partition("=")
        if not (equals and name and bits.isdecimal() and len(bits) < 10 and int(bits) > 0):
            raise ConfigError(f"--word-bits {short(text)}: expected COMPONENT=BITS, for example --word-bits sram=64")
        widths[name] = int(bits)
    say(to_yaml(read_ert(file, node_nm=node_nm, voltage_v=voltage_v, source=source, word_bits=widths)), end="")


@energy.command("report")
@model_argument
@machine_options
@arithmetic_option
@mapping_options
def report(model: str, machine: str, edits: tuple[str, ...], **options: Any) -> None:
    """Energy of MODEL in full: by layer and component, layer and tensor, entry of the table with its range; areas."""
    from accelsim.report import closing, energy_facts, energy_pages, fact_table, tiles_by
    from accelsim.simulation import simulate

    result = simulate(model, arch=arch_of(machine, edits), **options)
    note_all(result.notes)
    for page in energy_pages(result):
        show_page(page)
        say("")
    show(fact_table([("tiles by", tiles_by(result)), *energy_facts(result)]), natural=WIDE)
    for line in closing(result):
        say(line)
