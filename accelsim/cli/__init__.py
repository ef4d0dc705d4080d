"""The command line: one file a command, which adds itself to the group where it is imported here."""

from accelsim.cli import (  # noqa: F401
    accumulators,
    activity,
    architectures,
    compare,
    energy,
    importing,
    lists,
    mapping,
    quantizing,
    run,
    verify,
)
from accelsim.cli.shared.group import main

__all__ = ["main"]
