"""The group of all commands. A deliberate error is one line on stderr and exit code 1; click's usage errors are 2; ^C is 130."""

from __future__ import annotations

import errno
import sys
from typing import Any

import click

from accelsim.errors import AccelsimError

INTERRUPTED = 130


class _Group(click.Group):
    """A group that turns deliberate errors into one line."""

    def invoke(self, ctx: click.Context) -> Any:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a page without "—" or "µ" gets "?" instead of a traceback
        try:
            return super().invoke(ctx)
        except AccelsimError as error:
            fail(ctx, str(error))
        except KeyboardInterrupt:
            click.echo("accelsim: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except MemoryError:
            fail(ctx, "not enough memory; give fewer inputs at a time or drop --tensors")
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            fail(ctx, f"{error.filename or 'system'}: {error.strerror or error}")


def fail(ctx: click.Context, message: str) -> None:
    """One line on stderr, exit code 1."""
    click.echo(f"accelsim: error: {' '.join(message.split())}", err=True)
    ctx.exit(1)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import accelsim

        click.echo(f"accelsim {accelsim.__version__}")
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
