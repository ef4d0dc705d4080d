"""Where text goes: stdout as a page, stderr for notes and progress."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.report import Page

PLAIN_WIDTH = 120
WIDE = 200
"""Characters that a list may take where the page has no width of its own."""


def page_width() -> int | None:
    """Characters per line on stdout: the terminal's, or what COLUMNS says; None where nothing limits it."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return _columns()


def show(renderable: RenderableType, *, natural: int = PLAIN_WIDTH) -> None:
    """Print one renderable on stdout; where nothing limits the width, ``natural`` characters or 120 if that is more."""
    from rich.console import Console

    console = Console(highlight=False, width=page_width() or max(PLAIN_WIDTH, natural))
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as text:
        console.print(renderable)
    click.echo("\n".join(line.rstrip() for line in text.get().rstrip().split("\n")))


def show_page(page: Page) -> None:
    """Print one table of a report under its title, which stays on one line."""
    from accelsim.report import list_table

    click.echo(page.title)
    show(list_table(page.columns, page.rows), natural=WIDE)


def _columns() -> int | None:
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def note(message: str) -> None:
    """One line for people, on stderr."""
    click.echo(f"accelsim: {message}", err=True)


@contextmanager
def progress_bar(first_stage: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """A callback ``(stage, done, total)`` that moves a bar on stderr; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description} {task.fields[count]}")
    columns = (SpinnerColumn(), text, BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(first_stage, total=None, count="")

        def advance(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total, count=f"{done} of {total}")

        yield advance
