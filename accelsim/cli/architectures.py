"""``accelsim archs`` and ``accelsim arch``: the machines that ship, one of them in full, and the schema of them all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from accelsim.cli.shared.console import WIDE, say, show
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_of, set_option
from accelsim.resources import DEFAULT_ARCH

if TYPE_CHECKING:
    from accelsim.arch import Arch


@main.command("archs")
def archs() -> None:
    """List the machines that ship with accelsim."""
    from accelsim.arch import checked, load_arch, preset_names
    from accelsim.report import list_table

    against = checked()
    rows = [(_name(name), load_arch(name).description, str(against.get(name, ""))) for name in preset_names()]
    show(list_table(("machine", "description", "cycles checked against"), rows), natural=WIDE)


def _name(preset: str) -> str:
    return f"{preset} (default)" if preset == DEFAULT_ARCH else preset


@main.group("arch")
def arch() -> None:
    """Look at a machine description, or at the schema of all."""


@arch.command("show")
@click.argument("name")
@set_option
def show_arch(name: str, edits: tuple[str, ...]) -> None:
    """Print the machine NAME (a preset or a YAML file) as YAML, every default filled in.

    A requantizer with stages of its own follows as formulas, in comments, with the range that is proved behind each stage.
    """
    machine = arch_of(name, edits)
    say(machine.to_yaml(), end="")
    for line in _formulas(machine):
        say(f"# {line}")


def _formulas(machine: Arch) -> Iterator[str]:
    """The requantizer's own stages as formulas, with the widths that are proved; nothing where it has none."""
    scheme = machine.scheme
    if scheme is None:
        return
    yield f"requantizer.stages, from accumulators x of {scheme.wide} bits:"
    formulas = scheme.stages.formulas
    wide = max(map(len, formulas))
    for number, (formula, ends) in enumerate(zip(formulas, scheme.intervals, strict=True), start=1):
        yield f"{number:3}  x = {formula:{wide}}   {ends[0]:,} to {ends[1]:,}"
    yield "then the layer's own clamp"


@arch.command("schema")
def schema() -> None:
    """Print the JSON schema of machine descriptions."""
    from accelsim.arch import json_schema

    say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
