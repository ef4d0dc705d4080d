"""``accelsim guided``: points of a space that an optimiser chooses by what it has learnt of those before."""

from __future__ import annotations

import click

from accelsim.cli.pareto import show_fronts, write_fronts
from accelsim.cli.shared.console import rate_bar
from accelsim.cli.shared.files import OutputFile
from accelsim.cli.shared.group import main
from accelsim.cli.shared.outputs import Outputs

_SAMPLERS = "nsga2", "nsga3", "tpe", "random"


@main.command("guided")
@click.argument("space")
@click.option("--trials", type=click.IntRange(1), required=True, help="Points that are tried, all told.")
@click.option("--sampler", type=click.Choice(_SAMPLERS), default="nsga2", show_default=True, help="Who chooses them.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the sampler.")
@click.option(
    "--minimise", multiple=True, metavar="COLUMN", help="An objective; repeatable. Default: latency_s and energy_pj."
)
@click.option("--maximise", multiple=True, metavar="COLUMN", help="An objective of which more is better; repeatable.")
@click.option(
    "--storage", metavar="URL", help="Where the study is kept, such as sqlite:///study.db; it goes on where it stood."
)
@click.option("--name", default="accelsim", show_default=True, help="Of the study in --storage.")
@click.option("--commands", is_flag=True, help="Print for each row of the front the command that runs it again.")
@click.option("--json", type=OutputFile(stdout=True), help="Write the front as JSON ('-': to stdout).")
@click.option("--csv", type=OutputFile(stdout=True), help="Write the front as CSV ('-': to stdout).")
@click.option("--html", type=OutputFile(), help="Write tables and picture as a page.")
@click.option("--plot", type=OutputFile(picture=True), help="Draw the points and the front as .png, .svg or .pdf.")
def guided_command(
    space: str, *, trials: int, sampler: str, seed: int, minimise: tuple[str, ...], maximise: tuple[str, ...],
    storage: str | None, name: str, commands: bool, **files: str | None,
) -> None:  # fmt: skip
    """Let Optuna choose points of SPACE, a YAML file as of `accelsim sweep`, and print the front of what it found.

    The space has one workload; its constraints steer the search.
    """
    from accelsim.explore import DEFAULT_OBJECTIVES, guided_search, pareto

    objectives = (*minimise, *maximise) if minimise or maximise else DEFAULT_OBJECTIVES
    with rate_bar() as progress:
        found = guided_search(
            space, trials=trials, objectives=objectives, maximise=maximise, sampler=sampler, seed=seed,  # type: ignore[arg-type]
            storage=storage, name=name, progress=progress,
        )  # fmt: skip
    fronts, outputs = pareto(found.table, objectives, maximise=maximise), Outputs(**files)
    write_fronts(fronts, outputs)
    if not outputs.to_stdout:
        show_fronts(fronts, commands=commands)
