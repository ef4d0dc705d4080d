"""``accelsim workload``: layer tables of networks by a few parameters."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import WIDE, show
from accelsim.cli.shared.files import STDOUT, OutputFile, write_text
from accelsim.cli.shared.group import Command, main

if TYPE_CHECKING:
    from accelsim.families import Parameter


class _OfFamilies(Command):
    """Has an option for every parameter of some family, made when this command is asked for: the others need no families."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        network, listing, *others = super().get_params(ctx)
        return [network, listing, *self._parameters, *others]

    @cached_property
    def _parameters(self) -> list[click.Parameter]:
        from accelsim.families import PARAMETERS

        return [_option(name, parameter) for name, parameter in PARAMETERS.items()]


def _option(name: str, parameter: Parameter) -> click.Option:
    """The network's own value is the default."""
    kind = click.Choice(parameter.choices) if parameter.choices else parameter.kind
    return click.Option([f"--{name.replace('_', '-')}", name], type=kind, help=parameter.what)


def _list(ctx: click.Context, _: click.Parameter, wanted: bool) -> bool:
    if wanted and not ctx.resilient_parsing:
        from accelsim.families import FAMILIES
        from accelsim.report import list_table

        rows = [(name, member.what, _parameters(member.defaults)) for name, member in FAMILIES.items()]
        titles = "network", "what it is", "parameters, and what they are where nothing is said"
        show(list_table(titles, rows), natural=WIDE)
        ctx.exit()
    return wanted


def _parameters(defaults: dict[str, Any]) -> str:
    from accelsim.families import PARAMETERS

    given = {name: PARAMETERS[name].derived if value is None else value for name, value in defaults.items()}
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in given.items())


@main.command("workload", cls=_OfFamilies)
@click.argument("network")
@click.option(
    "--list", "listing", is_flag=True, is_eager=True, callback=_list, help="List the networks and the parameters of each."
)  # fmt: skip
@click.option(
    "--out", type=OutputFile(stdout=True), default=STDOUT, show_default="stdout", help="Write the table as CSV, for run and the others."
)  # fmt: skip
def workload_command(network: str, out: str, listing: bool, **options: Any) -> None:
    """Write the layer table of NETWORK, at its published size where no option says otherwise (see: --list).

    \b
    Example:
      accelsim workload gpt2_small --context 512 --weight-bits 4 --out gpt2.csv
      accelsim run gpt2.csv
    """
    from accelsim.families import workload, workload_text

    chosen = {name: value for name, value in options.items() if value is not None}
    workload(network, **chosen)  # refuses sizes that no table may have
    text = workload_text(network, **chosen)
    write_text(out, lambda stream: stream.write(text))
