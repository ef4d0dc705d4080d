"""Where text goes: stdout as a page, stderr for notes and progress."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import click

from accelsim.display import printable_lines
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

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
        console.print(_Printable(renderable))
        return
    with console.capture() as text:
        console.print(renderable)
    say("\n".join(line.rstrip() for line in text.get().rstrip().split("\n")))


@dataclass(frozen=True)
class _Printable:
    """A renderable whose texts hold no control characters; the console's own stand apart from them."""

    of: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.of, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))


def say(text: str, *, end: str = "\n", err: bool = False) -> None:
    """Print ``text`` on stdout, or stderr; names in it come from files, so control characters other than line ends do not pass."""
    click.echo(printable_lines(text) + end, nl=False, err=err)


def show_page(page: Page) -> None:
    """Print one table of a report under its title, which stays on one line."""
    from accelsim.report import list_table

    say(page.title)
    show(list_table(page.columns, page.rows), natural=WIDE)


def _columns() -> int | None:
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def note(message: str) -> None:
    """One line for people, on stderr."""
    with suppress(OSError):  # a closed stderr is no reason to fail
        say(f"accelsim: {' '.join(message.split())}", err=True)


def note_all(messages: Iterable[str], about: str = "") -> None:
    """The notes of a Result, a line each; ``about`` names which of several it is."""
    for message in messages:
        note(f"note: {f'{about}: ' if about else ''}{message}")


def complain(message: str) -> None:
    """An error as one line on stderr."""
    note(f"error: {message}")


def complain_of(error: AccelsimError) -> None:
    """A deliberate error on stderr: one line, and one more for each of several things that it lists."""
    first, *others = str(error).split("\n") if len(error.exceptions) > 1 else [str(error)]
    complain(first)
    for line in others:
        with suppress(OSError):
            say(line, err=True)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Streams that were closed are open, warnings and the library's log are notes, and what a stream did not take is not tried again at exit.

    A closed number would go to the next file that is opened, which then takes what libraries print. Writing to stdout that was
    closed fails; stderr swallows.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number, which is this one
    sys.stdout, sys.stderr = sys.stdout or _stream(1), sys.stderr or _stream(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a page without "—" or "µ" gets "?" instead of a traceback
    try:
        with warnings.catch_warnings(), _noted_log():
            warnings.showwarning = _note_warning
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)


def _stream(number: int) -> IO[str]:
    return os.fdopen(number, "w", encoding="utf-8", closefd=False)


def _note_warning(message: Warning | str, *_: object, **__: object) -> None:
    note(f"warning: {message}")


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


@contextmanager
def _noted_log() -> Iterator[None]:
    """What the library says in its log is a note."""
    log, notes = logging.getLogger("accelsim"), _Notes()
    before = log.level
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(notes)
        log.setLevel(before)


def _settle(stream: IO[str]) -> None:
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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


@contextmanager
def rate_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A callback ``(unit, done, total)`` that shows how many were done a second, and the time left: a bar on a terminal, else a line a
    minute. What was done at the first call does not count for the rate."""
    if not sys.stderr.isatty():
        yield _Lines().advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.completed:,.0f} of {task.total:,.0f} {task.description} {task.fields[rate]}")
    columns = (SpinnerColumn(), BarColumn(), text, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("points", visible=False, rate="")

        def advance(unit: str, done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = _rate(speed) if speed else ""
            bar.update(task, description=unit, completed=done, total=total, visible=True, rate=rate)

        yield advance


def _rate(number: float) -> str:
    """So many a second, or a minute where they are few."""
    return f"{number:,.0f}/s" if number >= 2 else f"{60 * number:,.3g}/min"


LINE_SECONDS = 60.0
"""Between lines of progress where there is no terminal."""


class _Lines:
    """Progress as notes, one a minute."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._said = time.monotonic()

    def advance(self, unit: str, done: int, total: int) -> None:
        now = time.monotonic()
        begin, before = self._first = self._first or (now, done)
        if now - self._said < LINE_SECONDS or done == before:
            return
        self._said, rate = now, (done - before) / max(now - begin, 1e-9)
        left = (total - done) / rate
        note(f"{done:,} of {total:,} {unit}, {_rate(rate)}, {left // 60:,.0f} min {left % 60:02.0f} s left")
