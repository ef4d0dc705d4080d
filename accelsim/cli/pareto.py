"""``accelsim pareto``: what is best in two to four objectives at once of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from accelsim.cli.shared.console import WIDE, note, say, show
from accelsim.cli.shared.files import OutputFile
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import parse_edits
from accelsim.cli.shared.outputs import Outputs
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.result import Front


@main.command("pareto")
@click.argument("folder", metavar="DIR")
@click.option("--x", default="latency_s", show_default=True, metavar="COLUMN", help="First objective.")
@click.option("--y", default="energy_pj", show_default=True, metavar="COLUMN", help="Second objective.")
@click.option("--z", metavar="COLUMN", help="Third objective.")
@click.option("--w", metavar="COLUMN", help="Fourth objective.")
@click.option(
    "--maximise", multiple=True, metavar="COLUMN", help="An objective of which more is better; repeatable. Less is, of others."
)  # fmt: skip
@click.option(
    "--reference", multiple=True, metavar="COLUMN=VALUE", help="Corner of the hypervolume; repeatable. Default: the worst of all points."
)  # fmt: skip
@click.option(
    "--commands", is_flag=True, help="Print for each row the command that runs it again, not for the knee alone."
)
@click.option(
    "--json", type=OutputFile(stdout=True), help="Write all of it as JSON ('-': to stdout, instead of the table)."
)
@click.option(
    "--csv", type=OutputFile(stdout=True), help="Write each row of the front as a line of CSV ('-': to stdout, instead of the table)."
)  # fmt: skip
@click.option("--html", type=OutputFile(), help="Write tables and picture as a page.")
@click.option("--plot", type=OutputFile(picture=True), help="Draw the points and the front as .png, .svg or .pdf.")
def pareto_command(
    folder: str,
    *,
    x: str,
    y: str,
    z: str | None,
    w: str | None,
    maximise: tuple[str, ...],
    reference: tuple[str, ...],
    commands: bool,
    **files: str | None,
) -> None:
    """Rows of the sweep in DIR that no other row of their workload beats in all objectives: the front, its knee, its hypervolume.

    COLUMN is any column of numbers of the sweep's table, axes included. Rows that failed, are infeasible or lack an objective are left out.
    """
    if w is not None and z is None:
        raise ConfigError(f"--w {w}: is a fourth objective, but there is no third; give it as --z")
    import accelsim
    from accelsim.explore import pareto

    objectives = [name for name in (x, y, z, w) if name is not None]
    fronts = pareto(accelsim.read_sweep(folder), objectives, maximise=maximise, reference=corner(reference))
    outputs = Outputs(**files)
    write_fronts(fronts, outputs)
    if not outputs.to_stdout:
        show_fronts(fronts, commands=commands)


def corner(texts: Sequence[str]) -> dict[str, float]:
    """The numbers of ``--reference``, by name."""
    found = {}
    for name, text in parse_edits(texts, option="--reference", example="--reference latency_s=0.01").items():
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise ConfigError(f"--reference {name}={text}: expected a number")
    return found


def show_fronts(fronts: Sequence[Front], *, commands: bool) -> None:
    from accelsim.report import front_table, front_width

    for place, front in enumerate(x for x in fronts if x.rows):
        if place:
            say("")
        show(front_table(front), natural=max(WIDE, front_width(front)))
        for row in front.rows:
            if row["command"] and (commands or row["knee"]):
                say(f"point {row['point']}: {row['command']}")


def write_fronts(fronts: Sequence[Front], outputs: Outputs) -> None:
    for front in fronts:
        if not front.rows:
            note(f"{front.workload}: none of its {front.counts['rows']:,} rows is a point")
    from accelsim.report import front_rows
    from accelsim.report.documents import fronts_document
    from accelsim.report.pictures import fronts_plot
    from accelsim.result import fronts_json

    outputs.write(
        text=lambda: fronts_json(fronts),
        rows=lambda: front_rows(fronts),
        document=lambda: fronts_document(fronts),
        draw=lambda: fronts_plot(fronts),
    )
