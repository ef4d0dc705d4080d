"""``accelsim verify``: does the integer machine compute what someone else's program computes, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note, note_all, progress_bar, say
from accelsim.cli.shared.files import STDOUT, OutputFile, write_bytes, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.inputs import optional_arrays
from accelsim.cli.shared.options import (
    InputCount,
    arch_of,
    arithmetic_option,
    input_option,
    machine_options,
    model_argument,
    note_arithmetic,
)
from accelsim.errors import AccelsimError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.arch import Arch
    from accelsim.verification import VerificationReport

MISMATCH = 1
CANNOT_RUN = 2


@main.command("verify", failure=CANNOT_RUN)
@model_argument
@machine_options
@input_option(", as for: accelsim run; without any, random codes.")
@click.option(
    "--count", type=InputCount(), metavar="N|all", default="all", help="Take only the first N inputs, or draw N."
)
@click.option("--seed", type=click.IntRange(min=0), show_default="0", help="Of random inputs.")
@arithmetic_option
@click.option(
    "--oracle",
    metavar="NAME",
    default="fake-quant",
    show_default=True,
    help="litert-ref, litert-xnnpack, litert-optimized, tflite-micro, onnxruntime, onnx-ref, fake-quant or fake-quant-float64.",
)
@click.option(
    "--reference", metavar="FILE", help="What the oracle runs, where that is not MODEL: the file before export."
)
@click.option(
    "--tolerance", metavar="T", default="exact", show_default=True, help="exact, tosa, or N lsb such as 1lsb."
)
@click.option(
    "--json", type=OutputFile(stdout=True), help="Write the report as JSON ('-': to stdout, instead of the table)."
)
@click.option("--html", type=OutputFile(), help="Write the report as a page.")
@click.option(
    "--plot", type=OutputFile(picture=True), help="Draw causes by layer, and accumulator widths, as .png, .svg or .pdf."
)
@click.pass_context
def verify_command(ctx: click.Context, /, model: str, machine: str, **options: Any) -> None:
    """Compare MODEL on a machine with an oracle, layer by layer, and name the cause of every difference.

    Exit code 0: no code outside the tolerance; 1: some; 2: it could not be compared, or not all of it.
    """
    report = _verified(model, machine, **options)
    if options["json"] != STDOUT:
        say(str(report))
    if not report.matches:
        ctx.exit(MISMATCH)
    if not report.complete:
        raise AccelsimError(
            f"{len(report.unmatched)} layers could not be compared, {report.unmatched[0]!r} the first: "
            f"oracle {report.oracle!r} shows no codes of them; choose another --oracle"
        )


def _verified(
    model: str,
    machine: str,
    *,
    edits: tuple[str, ...],
    input_path: str | None,
    count: int | None,
    seed: int | None,
    json: str | None,
    html: str | None,
    plot: str | None,
    **choices: Any,
) -> VerificationReport:
    if seed is not None and input_path is not None:
        raise InputError(
            f"--seed {seed}: of random inputs, but --input {input_path} gives others; leave out one of them"
        )
    arrays, labels = _inputs(model, input_path, count)
    if seed is not None and arrays is not None:
        note(f"--seed {seed} draws nothing: the workload has inputs of its own")
    from accelsim.simulation import machine_notes
    from accelsim.verification import RANDOM_INPUTS, verify

    choices |= {"random_count": RANDOM_INPUTS if count is None else count, "seed": seed or 0}
    arch = arch_of(machine, edits)
    with progress_bar("verifying") as progress:
        report = verify(model, arch=arch, inputs=arrays, labels=labels, progress=progress, **choices)
    for number, sentence in enumerate(report.notes):
        is_drawn = arrays is None and number == 0  # what was drawn is told first
        note(f"{sentence}; --input for real ones" if is_drawn else sentence)
    note_arithmetic(report.arithmetic, arch, choices["arithmetic"])
    machine_in_use = arch_of(machine, edits, choices["arithmetic"])
    note_all(machine_notes(model, arch=machine_in_use))
    _write(report, json=json, plot=plot)
    if html is not None:
        _write_html(report, html, model, machine_in_use)
    return report


def _inputs(
    model: str, path: str | None, count: int | None
) -> tuple[dict[str, NDArray[Any]] | None, NDArray[Any] | None]:
    """Arrays and labels of ``path``, or those that ship with a packaged workload; None without any."""
    if count == 0:
        raise InputError("--count 0: there is nothing to compare; give 1 or more")
    arrays, labels = optional_arrays(model, path, option="--input")
    if count is None or arrays is None:
        return arrays, labels
    taken = {name: _first(values, count) for name, values in arrays.items()}
    return taken, None if labels is None else _first(labels, count)


def _first(values: NDArray[Any], count: int) -> NDArray[Any]:
    """``values`` of the first ``count`` inputs; a single number, which is refused later by name, as it is."""
    return values[:count] if values.ndim else values


def _write(report: VerificationReport, *, json: str | None, plot: str | None) -> None:
    if json is not None:
        write_text(json, lambda stream: stream.write(report.to_json()))
    if plot is not None:
        from accelsim.report.pictures import plot_format, write_verification_plot

        write_bytes(plot, lambda stream: write_verification_plot(report, stream, format=plot_format(plot)))


def _write_html(report: VerificationReport, path: str, model: str, arch: Arch) -> None:
    """The page, with the network coloured by SQNR, and by what it costs where the machine can be timed."""
    from accelsim.importers import load_for
    from accelsim.report.documents import verification_document
    from accelsim.simulation import simulate

    graph, machine = load_for(model, arch)
    try:
        result = simulate(graph, arch=machine)
    except AccelsimError:
        result = None
    write_text(path, lambda stream: stream.write(verification_document(report, graph, result)))
