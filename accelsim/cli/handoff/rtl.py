"""``accelsim export rtl``: SystemVerilog of a machine."""

from __future__ import annotations

from pathlib import Path

import click

from accelsim.cli.handoff.exporting import export_group, nth
from accelsim.cli.shared.console import note, note_all, say
from accelsim.cli.shared.inputs import needed_arrays, note_inputs
from accelsim.cli.shared.options import arch_of, arithmetic_option, input_option, machine_options, mapping_options
from accelsim.objective import Objective

DEFAULT_MODEL = "digits_cnn"


@export_group.command("rtl")
@click.argument("model", default=DEFAULT_MODEL)
@machine_options
@arithmetic_option
@mapping_options
@input_option(": key 'input' or tensor names. Without it a packaged workload's own.")
@click.option(
    "--inference", type=click.IntRange(min=0), default=0, show_default=True, help="Which of the inputs, from 0."
)
@click.option("--out", "folder", required=True, metavar="DIR", help="A new directory, or one of an earlier export.")
@click.option("--layer", "layer", metavar="NAME", help="The layer to play.  [default: the first on the array]")
@click.option(
    "--network", "whole", is_flag=True, help="All layers instead; those of the vector unit come from the bench."
)
@click.option(
    "--synth", is_flag=True, help="Gates of each part by yosys, beside the area that the energy table gives it."
)
def rtl_command(
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
    layer: str | None,
    whole: bool,
    synth: bool,
) -> None:
    """Write synthesizable SystemVerilog of the machine, memory images of a layer of MODEL (digits_cnn without one), and a bench that passes."""
    from accelsim.execute import gather_inputs
    from accelsim.handoff import (
        areas_text,
        check_machine,
        export_rtl,
        first_layer,
        one_layer,
        plan_rtl,
        rtl_areas,
        synthesizer,
    )
    from accelsim.simulation import run

    if whole and layer is not None:
        raise click.UsageError("--layer and --network: give one of them")
    arch = arch_of(machine, edits)
    check_machine(arch)
    yosys = synthesizer(arch) if synth else None
    arrays, _ = needed_arrays(model, input_path, option="--input")
    options = {"arithmetic": arithmetic, "mapping": mapping, "objective": objective}
    done = run(model, arch=arch, **options)  # type: ignore[arg-type]
    note_inputs(done.graph, arrays)
    given = {name: nth(values, inference) for name, values in gather_inputs(done.graph, arrays).items()}
    if not whole:
        cut = one_layer(done.graph, layer or first_layer(done.graph))
        batches = {name: values[None] for name, values in given.items()}
        found = run(done.graph, arch=done.arch, inputs=batches, keep="all", check_inputs=0, **options).tensors  # type: ignore[arg-type]
        assert found is not None
        given = {name: found[name][0] for name in cut.entries}
        done = run(cut, arch=done.arch, **options)  # type: ignore[arg-type]
    note_all(done.result.notes)
    plan = plan_rtl(done.timeline, given)
    written = export_rtl(plan, folder)
    note(f"play it: make -C {folder} lint run")
    cycles = done.timeline.total_cycles
    say(
        f"{folder}: RTL of {done.arch.name}, {len(done.program):,} tile operations of {cycles:,} cycles, {written:,} bytes"
    )
    if yosys is not None:
        say(areas_text(rtl_areas(Path(folder), done.arch, yosys), done.arch))
