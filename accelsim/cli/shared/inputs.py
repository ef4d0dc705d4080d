"""Which file of inputs a command reads: the one given, or the one that ships with a packaged workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.cli.shared.console import note
from accelsim.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.graph import Graph

    Arrays = dict[str, NDArray[Any]]


def shipped_inputs(model: str) -> Path | None:
    """The test inputs that ship with the packaged workload called ``model``; None for a file, or where none ship."""
    from accelsim.importers import packaged_models

    if Path(model).exists():
        return None
    found = packaged_models().get(model)
    return None if found is None else inputs_beside(found)


def optional_arrays(model: str, given: str | None, *, option: str) -> tuple[Arrays | None, NDArray[Any] | None]:
    """Arrays and labels of the file given (or of a packaged workload's, by name), else of what ships with ``model``, said on stderr.

    None where neither exists.
    """
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


def inputs_file(given: str) -> str:
    """The file of inputs that is meant: a path, or the name of a packaged workload for the test inputs that ship with it."""
    return str(shipped_inputs(given) or given)


def inputs_beside(path: Path) -> Path | None:
    """The test inputs in the folder of a model: its own, or int8 codes, which mean nothing to models of other widths."""
    own = path.with_name(f"{path.stem}_test.npz")
    if own.is_file():
        return own
    return next(iter(sorted(path.parent.glob("*_test.npz"))), None) if path.stem.endswith("_int8") else None
