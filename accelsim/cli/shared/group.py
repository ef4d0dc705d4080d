"""The group of all commands.

A deliberate error is one line on stderr, or one for each thing that a file holds wrong, and exit code 1; click's usage errors
are 2; ^C is 130.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from accelsim.cli.shared.console import complain, complain_of, note, say, standard_streams
from accelsim.cli.shared.files import check_parameters, record_reads
from accelsim.errors import AccelsimError

USAGE = 2
INTERRUPTED = 130
LONGEST_USAGE = 400
"""Characters of a usage error."""


class Command(click.Command):
    """A command that checks its output files first, and turns errors into such lines and the exit code ``failure``."""

    def __init__(self, *arguments: Any, failure: int = 1, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.failure = failure

    def invoke(self, ctx: click.Context) -> None:
        try:
            check_parameters(self.params, ctx.params)
            super().invoke(ctx)
            return
        except AccelsimError as error:
            complain_of(error)
        except KeyboardInterrupt:
            note("interrupted")
            ctx.exit(INTERRUPTED)
        except MemoryError:
            complain("not enough memory; run the command where there is more")
        except OSError as error:
            if error.errno != errno.EPIPE:  # who reads on takes as much as they want, without a word
                complain(_reason(error))
        ctx.exit(self.failure)


def _reason(error: OSError) -> str:
    return f"{error.filename or 'standard output'}: {error.strerror or error}"


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Usage errors as click shows them, but short, and with their exit code whether stderr takes them or not."""
    try:
        yield
    except click.UsageError as error:
        if len(error.message) > LONGEST_USAGE:
            short = f"{error.message[: LONGEST_USAGE // 2]} … {error.message[-LONGEST_USAGE // 2 :]}"
            error.message = short  # type: ignore[misc]  # final for who reads it
        with suppress(OSError):
            error.show()
        sys.exit(error.exit_code)


class _Group(click.Group):
    """Commands of that kind, and groups of them."""

    command_class = Command
    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """No command is a usage error, which it is not for click before 8.2."""
        if not args and not ctx.resilient_parsing:
            say(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """As click's."""
        with _usage_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which finds the command and reads its parameters."""
        with _usage_errors():
            return super().invoke(ctx)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run one command line, by streams that are open."""
        record_reads()
        with standard_streams():
            try:
                return super().main(*arguments, **options)
            except OSError as error:  # of help, which is no command's
                complain(_reason(error))
                sys.exit(1)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import accelsim

        say(f"accelsim {accelsim.__version__}")
        ctx.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Simulate a quantized neural network on a MAC-array accelerator: bits, cycles, traffic and energy, layer by layer.

    \b
    Examples:
      accelsim run digits_cnn --arch edge_16x16
      accelsim run model.tflite --arch edge_16x16 --set array.rows=32 --json result.json --trace trace.json
    """
