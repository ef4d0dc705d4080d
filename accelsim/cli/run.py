"""``accelsim run``: one network on one machine."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import click

from accelsim.cli.shared.console import note, note_all, page_width, progress_bar, show
from accelsim.cli.shared.files import STDOUT, OutputFile, write_bytes, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.inputs import note_inputs, note_state, optional_arrays
from accelsim.cli.shared.options import (
    InputCount,
    arch_of,
    arithmetic_option,
    input_option,
    machine_options,
    mapping_options,
    model_argument,
    network_edits,
    note_arithmetic,
)
from accelsim.errors import ConfigError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.arch import Arch
    from accelsim.graph import Graph
    from accelsim.simulation import Simulation


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Files to write, each None where not asked for; ``-`` is stdout."""

    tensors: str | None
    dump_state: str | None
    json: str | None
    csv: str | None
    html: str | None
    trace: str | None
    plot: str | None
    model_explorer: str | None

    @property
    def to_stdout(self) -> bool:
        """Whether a file format takes the place of the table on stdout."""
        return STDOUT in (self.json, self.csv)


@main.command("run")
@model_argument
@machine_options
@input_option(": key 'input' or tensor names; 'labels' for accuracy. Or a packaged workload, for its own.")
@arithmetic_option
@mapping_options
@click.option(
    "--tensors", type=OutputFile(), help="Write every tensor of every inference as .npz, by its name in the model."
)
@click.option(
    "--state",
    "state_path",
    metavar="FILE",
    help="Begin a streaming model with what an earlier run kept (--dump-state), not with what its file says.",
)
@click.option(
    "--dump-state", type=OutputFile(), help="Write what a streaming model keeps behind the last input, as .npz."
)
@click.option(
    "--reset-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Inputs of a streaming model after which its state is reset, such as the frames of a clip.  [default: never]",
)
@click.option(
    "--json", type=OutputFile(stdout=True), help="Write the Result as JSON ('-': to stdout, instead of the table)."
)
@click.option(
    "--csv",
    type=OutputFile(stdout=True),
    help="Write one line per layer as CSV ('-': to stdout, instead of the table).",
)
@click.option(
    "--html",
    type=OutputFile(),
    help="Write a page: network, layers, pictures, and which change would relieve each layer, by simulating a few.",
)
@click.option("--trace", type=OutputFile(), help="Write Chrome trace-event JSON; open it in https://ui.perfetto.dev.")
@click.option("--plot", type=OutputFile(picture=True), help="Draw roofline, energy and timeline as .png, .svg or .pdf.")
@click.option(
    "--model-explorer",
    type=OutputFile(),
    help="Write node data for Model Explorer, which colours the model file by it.",
)
@click.option(
    "--overlay",
    type=click.Choice(["cycles", "energy", "dram", "utilization"]),
    help="With --model-explorer: by what.  [default: cycles]",
)
@click.option(
    "--scheduler",
    type=click.Choice(["numba", "simpy"]),
    default="numba",
    show_default=True,
    help="Both give the same cycles.",
)
@click.option(
    "--program-inputs",
    "check_inputs",
    type=InputCount(),
    metavar="N|all",
    default="1",
    show_default=True,
    help="Inputs that also run through the Program's buffers.",
)
def run_command(
    model: str,
    *,
    machine: str,
    edits: tuple[str, ...],
    input_path: str | None,
    overlay: str | None,
    state_path: str | None,
    **options: Any,
) -> None:
    """Simulate MODEL: a .tflite or .onnx file, a .csv layer table, or a packaged workload (see: accelsim models).

    --set takes batch, weights.bits and layers.NAME.weights.bits as well: such a network is timed and priced, not executed.
    """
    outputs = Outputs(**{field.name: options.pop(field.name) for field in fields(Outputs)})
    edits, network = network_edits(edits)
    if network and input_path is not None:
        what = next(iter(network))
        raise InputError(
            f"--input {input_path}: a network with --set {what} is timed and priced, not executed; leave one of them out"
        )
    arrays, labels = (None, None) if network else optional_arrays(model, input_path, option="--input")
    if outputs.tensors is not None and arrays is None:
        raise InputError(f"--tensors {outputs.tensors}: there are no values without inputs; give --input FILE")
    state = _state(outputs, state_path, options["reset_every"], has_inputs=arrays is not None)
    if overlay is not None and outputs.model_explorer is None:
        raise ConfigError(f"--overlay {overlay}: there is nothing to colour; give --model-explorer FILE too")
    from accelsim.simulation import run

    arch = arch_of(machine, edits)
    with progress_bar("mapping and scheduling") as progress:
        keep: Literal["outputs", "all"] = "outputs" if outputs.tensors is None else "all"
        source = _edited(model, arch, network, options["arithmetic"]) if network else model
        simulation = run(
            source, arch=arch, inputs=arrays, labels=labels, keep=keep, progress=progress, state=state, **options
        )
    if not simulation.graph.shape_only:
        note_arithmetic(simulation.graph.arithmetic, arch, options["arithmetic"])
    if arrays is not None:
        note_inputs(simulation.graph, arrays)
        note_state(simulation.graph)
    note_all(simulation.result.notes)
    write_outputs(simulation, outputs, overlay=overlay or "cycles")
    if outputs.html is not None:
        asked = arch_of(machine, edits, options["arithmetic"])
        _write_html(simulation, outputs.html, arch=asked, mapping=options["mapping"], objective=options["objective"])
    if not outputs.to_stdout:
        show_result(simulation)


def _state(
    outputs: Outputs, given: str | None, reset_every: int | None, *, has_inputs: bool
) -> dict[str, NDArray[Any]] | None:
    """The arrays of the file of state; InputError where there are no inputs that any option about state could mean."""
    asked = {"--state": given, "--dump-state": outputs.dump_state, "--reset-every": reset_every}
    idle = [f"{option} {value}" for option, value in asked.items() if value is not None]
    if idle and not has_inputs:
        raise InputError(f"{idle[0]}: nothing is kept where nothing is computed; give --input FILE")
    if given is None:
        return None
    from accelsim.simulation import read_inputs

    return read_inputs(given)[0]


def _edited(model: str, arch: Arch, edits: dict[str, str], arithmetic: str | None) -> Graph:
    """The network as ``edits`` want it."""
    from accelsim.explore import edited
    from accelsim.importers import load_for

    return edited(load_for(model, arch if arithmetic is None else arch.with_({"arithmetic": arithmetic}))[0], edits)


def show_result(simulation: Simulation) -> None:
    """Print the table."""
    from accelsim.report import natural_width, result_table

    show(result_table(simulation.result, width=page_width()), natural=natural_width(simulation.result))


def write_outputs(simulation: Simulation, outputs: Outputs, *, overlay: str = "cycles") -> None:
    """Write every file that was asked for, each whole or not at all."""
    result = simulation.result
    if outputs.json is not None:
        write_text(outputs.json, lambda stream: stream.write(result.to_json()))
    if outputs.csv is not None:
        from accelsim.report.files import write_csv

        write_text(outputs.csv, lambda stream: write_csv(result, stream))
    if outputs.tensors is not None:
        from accelsim.report.files import write_tensors

        tensors = simulation.tensors or {}
        write_bytes(outputs.tensors, lambda stream: write_tensors(tensors, stream))
    if outputs.dump_state is not None:
        from accelsim.report.files import write_tensors

        state = simulation.state
        if not state:
            raise InputError(
                f"--dump-state {outputs.dump_state}: {simulation.graph.name!r} keeps nothing between inferences"
            )
        write_bytes(outputs.dump_state, lambda stream: write_tensors(state, stream))
    if outputs.trace is not None:
        _write_trace(simulation, outputs.trace)
    if outputs.model_explorer is not None:
        from accelsim.report.files import write_model_explorer

        write_text(
            outputs.model_explorer, lambda stream: write_model_explorer(simulation.result, stream, overlay=overlay)
        )
    if outputs.plot is not None:
        from accelsim.report.pictures import plot_format, write_plot

        picture = outputs.plot
        write_bytes(picture, lambda stream: write_plot(simulation, stream, format=plot_format(picture)))


def _write_html(simulation: Simulation, path: str, *, arch: Arch, mapping: str, objective: Any) -> None:
    """The page, behind the runs that tell what would relieve each layer."""
    from accelsim.explore import reliefs
    from accelsim.report.documents import run_document

    with progress_bar("changed machines") as progress:
        found = reliefs(
            simulation.graph, arch=arch, mapping=mapping, objective=objective, base=simulation.result, progress=progress
        )
    write_text(path, lambda stream: stream.write(run_document(simulation, found)))


def _write_trace(simulation: Simulation, path: str) -> None:
    from accelsim.report.files import write_trace

    shown: list[int] = []
    write_text(path, lambda stream: shown.append(write_trace(simulation.timeline, stream)))
    if shown[0] < len(simulation.program):
        note(f"{path} shows the first {shown[0]:,} of {len(simulation.program):,} tile operations")
