"""Which file of inputs a command reads: the one given, or the one that ships with a packaged workload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelsim.cli.shared.console import note
from accelsim.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.graph import Graph

    Arrays = dict[str, NDArray[Any]]


def optional_arrays(model: str, given: str | None, *, option: str) -> tuple[Arrays | None, NDArray[Any] | None]:
    """Arrays and labels of the file given (or of a packaged workload's, by name), else of what ships with ``model``, said on stderr.

    None where neither exists.
    """
    from accelsim.importers import inputs_file, shipped_inputs
    from accelsim.simulation import read_inputs

    if given is not None:
        return read_inputs(inputs_file(given))
    shipped = shipped_inputs(model)
    if shipped is None:
        return None, None
    note(f"inputs are the workload's own {shipped.name}; choose others with {option}")
    return read_inputs(shipped)


def needed_arrays(model: str, given: str | None, *, option: str) -> tuple[Arrays, NDArray[Any] | None]:
    """As :func:`optional_arrays`; ModelFileError where there is no such model, InputError where it has no inputs."""
    from accelsim.importers import resolve_model

    resolve_model(model)
    arrays, labels = optional_arrays(model, given, option=option)
    if arrays is None:
        raise InputError(f"{model}: no inputs; give {option} FILE, an .npz with the key 'input' or tensor names")
    return arrays, labels


def note_inputs(graph: Graph, arrays: Arrays) -> None:
    """Say on stderr which of the real numbers given became codes of an integer input."""
    from accelsim.execute import input_notes

    for sentence in input_notes(graph, arrays):
        note(sentence)


def note_state(graph: Graph) -> None:
    """Say on stderr what a network carries from one input to the next."""
    count = len(graph.variables)
    if count:
        size = sum(graph.tensors[variable.read].bytes for variable in graph.variables)
        many = "variable" if count == 1 else "variables"
        note(f"the inputs ran in order: {count} {many}, {size:,} bytes, kept in DRAM from each to the next")
