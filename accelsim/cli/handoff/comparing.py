"""``accelsim compare-vectors``: what an RTL made against the golden vectors."""

from __future__ import annotations

import json as json_module

import click

from accelsim.cli.shared.console import progress_bar, say
from accelsim.cli.shared.files import STDOUT, OutputFile, write_text
from accelsim.cli.shared.group import main

MISMATCH = 1
CANNOT_RUN = 2


@main.command("compare-vectors", failure=CANNOT_RUN)
@click.argument("folder", metavar="DIR")
@click.argument("theirs", metavar="THEIR_OUTPUT")
@click.option("--layer", metavar="NAME", help="Compare this layer alone; says which a lone file is of.")
@click.option(
    "--stream", metavar="NAME", help="Compare this stream alone, such as accumulators; of a lone file: output."
)
@click.option(
    "--json", type=OutputFile(stdout=True), help="Write the comparison as JSON ('-': to stdout, instead of the text)."
)
@click.pass_context
def compare_vectors_command(
    ctx: click.Context, /, folder: str, theirs: str, layer: str | None, stream: str | None, json: str | None
) -> None:
    """Compare THEIR_OUTPUT, a file or a directory of .hex or .npy, with the vectors in DIR: where it differs first, and why, most likely.

    A directory is laid out as DIR is: FOLDER/output.hex, FOLDER/accumulators.npy, any stream of the manifest. Exit code 0: all numbers
    are golden; 1: some are not; 2: they could not be compared.
    """
    from accelsim.handoff import compare_vectors, comparison_text

    with progress_bar("comparing") as progress:
        found = compare_vectors(folder, theirs, layer=layer, stream=stream, progress=progress)
    if json is not None:
        write_text(json, lambda out: out.write(json_module.dumps(found.to_data(), indent=1) + "\n"))
    if json != STDOUT:
        say(comparison_text(found))
    if not found.matches:
        ctx.exit(MISMATCH)
