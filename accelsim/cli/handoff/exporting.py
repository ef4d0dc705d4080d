"""``accelsim export``: what hardware people take with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note, note_all, progress_bar, say
from accelsim.cli.shared.group import main
from accelsim.cli.shared.inputs import needed_arrays, note_inputs
from accelsim.cli.shared.options import (
    arch_of,
    arithmetic_option,
    input_option,
    machine_options,
    mapping_options,
    model_argument,
)
from accelsim.errors import InputError
from accelsim.objective import Objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.handoff import FileFormat, VectorPlan

HEX, NPY, C = "hex", "npy", "c"


@main.group("export")
def export_group() -> None:
    """Write what hardware people take with them: golden vectors."""


@export_group.command("vectors")
@model_argument
@machine_options
@arithmetic_option
@mapping_options
@input_option(": key 'input' or tensor names. Without it a packaged workload's own.")
@click.option(
    "--inference", type=click.IntRange(min=0), default=0, show_default=True, help="Which of the inputs, from 0."
)
@click.option("--out", "folder", required=True, metavar="DIR", help="A new directory, or one of an earlier export.")
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="Only this layer; repeatable.")
@click.option(
    "--tiles",
    is_flag=True,
    help="Also what each tile operation takes and makes: weights, activations, sums before and after.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice([HEX, NPY, C]),
    help="$readmemh, NumPy or C headers; repeatable.  [default: all]",
)
def vectors_command(
    model: str,
    *,
    machine: str,
    edits: tuple[str, ...],
    arithmetic: str | None,
    mapping: str,
    objective: Objective | None,
    input_path: str | None,
    inference: int,
    folder: str,
    layers: tuple[str, ...],
    tiles: bool,
    formats: tuple[FileFormat, ...],
) -> None:
    """Write golden vectors of one inference of MODEL, layer by layer as the array runs them, with a manifest and benches that read them."""
    from accelsim.execute import gather_inputs
    from accelsim.handoff import export_vectors, plan_vectors
    from accelsim.simulation import run

    arrays, _ = needed_arrays(model, input_path, option="--input")
    done = run(model, arch=arch_of(machine, edits), arithmetic=arithmetic, mapping=mapping, objective=objective)
    note_all(done.result.notes)
    note_inputs(done.graph, arrays)
    given = {name: _nth(values, inference) for name, values in gather_inputs(done.graph, arrays).items()}
    plan = plan_vectors(done.timeline, layers=layers, tiles=tiles, **({"formats": formats} if formats else {}))
    note(f"{folder}: {_size(plan)} will be written")
    with progress_bar("tile operations") as progress:
        written = export_vectors(plan, given, folder, progress=progress)
    operations = sum(len(one.operations) for one in plan.layers)
    say(
        f"{folder}: vectors of {len(plan.layers)} layers, {operations:,} tile operations, {written:,} bytes; begin with manifest.json"
    )


def _nth(values: NDArray[Any], inference: int) -> NDArray[Any]:
    if inference >= len(values):
        raise InputError(f"--inference {inference}: there are {len(values)}, numbered from 0")
    one: NDArray[Any] = values[inference]
    return one


def _size(plan: VectorPlan) -> str:
    return f"{plan.files:,} files of vectors, about {plan.bytes / 1e6:,.1f} MB,"
