"""``accelsim sweep``: every point of a space, into a folder."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note, rate_bar, say
from accelsim.cli.shared.files import OutputFile, write_text
from accelsim.cli.shared.group import main
from accelsim.errors import SweepError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from accelsim.explore import Swept

MOST_JOBS = 1024
_SHOWN = 3
"""Reasons of failed points that are printed."""


class _Shard(click.ParamType):  # type: ignore[type-arg]  # takes none at run time before click 8.4
    """``i/n``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        part, slash, parts = str(value).partition("/")
        if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
            self.fail(f"{value!r} is not i/n with 1 <= i <= n, such as 3/8", param, ctx)
        return int(part), int(parts)


@main.command("sweep")
@click.argument("space")
@click.option("--out", metavar="DIR", required=True, help="Folder of the results; what it holds is not computed again.")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    default=1,
    show_default=True,
    help="Processes that compute.",
)
@click.option("--shard", type=_Shard(), help="Only the i-th of n parts, for n commands that share DIR (job arrays).")
@click.option(
    "--rerun",
    is_flag=True,
    help="Where DIR holds rows of other code, models, tables or another space: begin anew beside them.",
)
@click.option(
    "--html", type=OutputFile(), help="Write what DIR then holds as a page: figures, effects of axes, best points."
)
def sweep_command(
    space: str, *, out: str, jobs: int, shard: tuple[int, int] | None, rerun: bool, html: str | None
) -> None:
    """Evaluate every point of SPACE, a YAML file of workloads, a machine, and axes (see docs/sweep.md).

    Ended by whatever, the same command goes on where it stood.
    """
    from accelsim.explore import read_space, sweep

    if html is not None and find_spec("pandas") is None:
        raise SweepError("--html reads the table with pandas: pip install 'accelsim[explore]'")
    known = read_space(space)
    with _executor(jobs) as executor, rate_bar() as progress:
        done = sweep(known, out=out, executor=executor, shard=shard, progress=progress, rerun=rerun)
    _show(done)
    if html is not None:
        _write_page(html, done)


def _write_page(html: str, done: Swept) -> None:
    from accelsim.explore import overview, read_sweep
    from accelsim.report.documents import sweep_document

    found = overview(read_sweep(done.folder))
    write_text(html, lambda stream: stream.write(sweep_document(found)))


def _executor(jobs: int) -> AbstractContextManager[Executor | None]:
    if jobs == 1:
        return nullcontext()
    from accelsim.explore import ProcessPool

    return ProcessPool(jobs)


def _show(done: Swept) -> None:
    for reason, count in list(done.errors.items())[:_SHOWN]:
        note(f"{count:,} {'point' if count == 1 else 'points'}: {reason}")
    if len(done.errors) > _SHOWN:
        note(f"and {len(done.errors) - _SHOWN:,} other reasons")
    if not done.feasible:
        for constraint, count in done.broken.items():
            note(f"{count:,} of {done.rows - done.failed:,} rows without error do not keep {constraint}")
    before = f", {done.found:,} of them before" if done.found else ""
    left = f", {done.points - done.rows:,} left out" if done.rows < done.points else ""
    part = f" of shard {done.shard}" if done.shard.parts > 1 else ""
    say(
        f"{done.points:,} points{part}{before}{left}: {done.feasible:,} feasible, {done.failed:,} failed; {os.fspath(done.folder)}"
    )
