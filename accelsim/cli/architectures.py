"""``accelsim archs`` and ``accelsim arch``: the machines that ship, one of them in full, and the schema of them all."""

from __future__ import annotations

import json

import click

from accelsim.cli.shared.console import WIDE, say, show
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_of, set_option
from accelsim.resources import DEFAULT_ARCH


@main.command("archs")
def archs() -> None:
    """List the machines that ship with accelsim."""
    from accelsim.arch import load_arch, preset_names
    from accelsim.report import list_table

    rows = [(_name(name), load_arch(name).description) for name in preset_names()]
    show(list_table(("machine", "description"), rows), natural=WIDE)


def _name(preset: str) -> str:
    return f"{preset} (default)" if preset == DEFAULT_ARCH else preset


@main.group("arch")
def arch() -> None:
    """Look at a machine description, or at the schema of all."""


@arch.command("show")
@click.argument("name")
@set_option
def show_arch(name: str, edits: tuple[str, ...]) -> None:
    """Print the machine NAME (a preset or a YAML file) as YAML, every default filled in."""
    say(arch_of(name, edits).to_yaml(), end="")


@arch.command("schema")
def schema() -> None:
    """Print the JSON schema of machine descriptions."""
    from accelsim.arch import json_schema

    say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
