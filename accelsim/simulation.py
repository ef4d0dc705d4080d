"""One call from a model and a machine to bits, cycles and picojoules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import DEFAULT_ARCH, Arch, load_arch
from accelsim.builder import build_program, check_layers
from accelsim.energy import check_clock, table_of
from accelsim.errors import AccelsimError, ConfigError, GraphError, InputError, held_in_memory
from accelsim.graph import Graph, Reshape
from accelsim.hardware import passes_of
from accelsim.importers import load_for
from accelsim.mapper import (
    DEFAULT_OBJECTIVE,
    OBJECTIVES,
    MappingFile,
    Objective,
    checked_objective,
    divide_memory,
    map_graph,
    read_mapping_file,
    search_network,
)
from accelsim.program import Mapping as TileMapping
from accelsim.program import Program, check_program
from accelsim.result import Result, ValueSummary, decisions, notes_of, summarize
from accelsim.timing import Timeline, schedule, schedule_simpy

if TYPE_CHECKING:
    from accelsim.execute import Values

DEFAULT, SEARCH = "default", "search"
"""Who cuts layers, where no file does."""
_SAVE = "write one with numpy.savez(FILE, input=ARRAY), inferences along the first axis"
_SNIFFED = 512  # bytes
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")  # bytes that no text has
Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)`` during long work."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """Everything one run made.

    ``tensors`` holds integer tensors by their Graph name, inferences along the leading axis; float host ports stand beside
    them under their own names. It is None when no inputs were given. ``state`` is what the network's variables hold behind the
    last inference, by their names.
    """

    graph: Graph
    arch: Arch
    program: Program
    timeline: Timeline
    result: Result
    tensors: dict[str, NDArray[Any]] | None
    state: dict[str, NDArray[Any]] | None = None


def run(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    inputs: Mapping[str, NDArray[Any]] | NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    arithmetic: str | None = None,
    keep: Literal["outputs", "all"] = "outputs",
    check_inputs: int | None = 1,
    scheduler: Literal["numba", "simpy"] = "numba",
    mapping: str | Path = DEFAULT,
    objective: Objective | None = None,
    progress: Progress | None = None,
    state: Mapping[str, NDArray[Any]] | None = None,
    reset_every: int | None = None,
) -> Simulation:
    """Simulate ``model`` on ``arch``.

    ``model`` is a file, the name of a packaged workload, or a Graph; ``arch`` a preset's name, a YAML file, or an Arch.
    ``inputs`` are arrays by tensor name (``input`` for the only one), inferences along the leading axis; integers are codes,
    floats become codes by the file's own scale and zero point of that input. ``arithmetic`` overrides the machine's own; a
    machine that states none computes in the model file's.

    The values of the first ``check_inputs`` inferences (None: all) are also computed through the Program's tiles and
    buffers, in timeline order, and must agree. ``mapping`` says who cuts the layers into tiles: ``default``; ``search``, of every
    tiling, layer by layer; or a YAML file (:func:`accelsim.mapper.read_mapping_file`), whose gaps the default mapper fills, layer
    by layer. A network with variables (a streaming .tflite file) runs its inferences in order: the first from ``state``, that of
    an earlier run, or what the file says, and every ``reset_every``-th from what the file says. ``objective`` says what tiles minimise:
    ``cycles``, ``energy`` or ``edp``, energy x delay; without it that of the file, or else ``edp``. The Result states both. Raises an
    AccelsimError subclass that names the place.
    """
    machine = arch if isinstance(arch, Arch) else load_arch(arch)
    if arithmetic is not None:
        machine = machine.with_({"arithmetic": arithmetic})
    check_clock(machine)
    graph, machine = _graph(model, machine)
    check_layers(graph, machine)
    with held_in_memory(f"the tile operations of {graph.name!r}", remedy="run it where there is more"):
        mapped = _choose(graph, arch=machine, mapping=mapping, objective=objective)
        program = build_program(graph, arch=mapped.arch, mappings=mapped.mappings)
        check_program(program)
        timeline = schedule(program) if scheduler == "numba" else schedule_simpy(program)
    values = None
    if inputs is not None:
        from accelsim.execute import compute_values

        with held_in_memory(f"the values of {graph.name!r}", remedy=_fewer_values(inputs, keep)):
            values = compute_values(
                timeline, inputs, labels=labels, keep=keep, check_inputs=check_inputs, progress=progress, state=state,
                reset_every=reset_every,
            )  # fmt: skip
    with held_in_memory(f"the result of {graph.name!r}", remedy="run it where there is more"):
        return _simulation(timeline, values, mapped)


def _fewer_values(inputs: Mapping[str, NDArray[Any]] | NDArray[Any], keep: str) -> str:
    """What takes less memory than the values of ``inputs``."""
    arrays = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    count = max((len(array) for array in arrays if np.ndim(array)), default=0)
    fewer = [f"give fewer than {count} inferences at a time"] if count > 1 else []
    fewer += ["keep the outputs alone"] if keep == "all" else []
    return ", or ".join([*fewer, "run it where there is more"])


@dataclass(frozen=True, kw_only=True)
class _Mapped:
    """The machine, divided for the network, the tiles of every layer, and where they come from.

    ``mapper`` is ``default``, ``search`` or the name of a mapping file; ``objective`` is None where a file that says none gives
    all tiles. ``notes`` say what was asked for and changes nothing, and how the memory was divided.
    """

    arch: Arch
    mappings: tuple[TileMapping | None, ...]
    mapper: str
    objective: Objective | None
    notes: tuple[str, ...] = ()


def _choose(graph: Graph, *, arch: Arch, mapping: str | Path = DEFAULT, objective: Objective | None = None) -> _Mapped:
    """A mapping for every layer by ``mapping``: ``default``, ``search``, or a YAML file, whose gaps the default mapper fills.

    Without ``objective`` a file's own counts, else DEFAULT_OBJECTIVE. ConfigError where one of the two is none, and of a file.
    """
    chosen = None if objective is None else checked_objective(objective)
    _check_retired(mapping)
    if mapping not in (DEFAULT, SEARCH):
        return _by_file(graph, arch, Path(mapping), chosen)
    least = chosen or DEFAULT_OBJECTIVE
    machine = divide_memory(graph, arch=arch, objective=least)
    notes = decisions(machine, asked=arch)
    if mapping == DEFAULT:
        mappings = map_graph(graph, arch=machine, objective=least)
        return _Mapped(arch=machine, mappings=mappings, mapper=DEFAULT, objective=least, notes=notes)
    found = search_network(graph, arch=machine, objective=least)
    cut = () if found.stopped is None else (f"mapping search {found.summary}",)
    return _Mapped(arch=machine, mappings=found.mappings, mapper=SEARCH, objective=least, notes=(*notes, *cut))


def _by_file(graph: Graph, asked: Arch, path: Path, chosen: Objective | None) -> _Mapped:
    file = read_mapping_file(path, graph=graph)
    least = chosen or file.objective or DEFAULT_OBJECTIVE
    arch = divide_memory(graph, arch=_as_in_file(asked, file), objective=least)
    notes = decisions(arch, asked=asked)
    behind = {graph.layers[index].name for one in passes_of(graph, arch) for index in one.behind}
    if all(layer.name in file.layers.keys() | behind or isinstance(layer, Reshape) for layer in graph.layers):
        given = tuple(file.layers.get(layer.name) for layer in graph.layers)
        idle = chosen is not None and chosen != file.objective
        notes += (f"objective {chosen} changes nothing: {path.name} gives the tiles of every layer",) if idle else ()
        return _Mapped(arch=arch, mappings=given, mapper=path.name, objective=file.objective, notes=notes)
    filled = map_graph(graph, arch=arch.with_({"activation_buffer.fuse_pairs": False}), objective=least)
    mixed = tuple(file.layers.get(layer.name, other) for layer, other in zip(graph.layers, filled, strict=True))
    return _Mapped(arch=arch, mappings=mixed, mapper=path.name, objective=least, notes=notes)


def _as_in_file(arch: Arch, file: MappingFile) -> Arch:
    """``arch`` with its memory divided as a mapping file says, where the machine leaves that open."""
    if arch.activation_buffer.is_divided or file.resident_bytes is None:
        return arch
    return arch.with_({"activation_buffer.resident_bytes": file.resident_bytes})


def _check_retired(mapping: str | Path) -> None:
    """Refuse the names of before, when one option said both."""
    if mapping == "greedy":
        raise ConfigError("mapping 'greedy': the mapper is called 'default'; give --mapping default, or leave it out")
    if mapping in OBJECTIVES:
        raise ConfigError(
            f"mapping {mapping!r}: that is an objective, not who cuts the layers; give --mapping search --objective {mapping}"
        )


def machine_notes(
    model: str | Path | Graph, *, arch: Arch, mappings: Sequence[TileMapping | None] | None = None
) -> tuple[str, ...]:
    """The notes of the Result of ``model`` on ``arch`` under ``mappings`` (None: the default mapper's), without timing it.

    None where there is no Result: its tile operations are not held, or a layer has no tiling.
    """
    graph, machine = load_for(model, arch)
    try:
        check_layers(graph, machine)
        machine = divide_memory(graph, arch=machine)
        chosen = map_graph(graph, arch=machine) if mappings is None else mappings
        return notes_of(build_program(graph, arch=machine, mappings=chosen))
    except AccelsimError:
        return ()


def simulate(model: str | Path | Graph, *, arch: str | Path | Arch = DEFAULT_ARCH, **options: Any) -> Result:
    """The Result of :func:`run`, which documents the options."""
    return run(model, arch=arch, **options).result


def _graph(model: str | Path | Graph, arch: Arch) -> tuple[Graph, Arch]:
    graph, machine = load_for(model, arch)
    rules = machine.rules().name
    if not graph.shape_only and graph.arithmetic != rules:
        raise GraphError(
            f"graph {graph.name!r} was imported for arithmetic {graph.arithmetic!r}, the machine computes in {rules!r}; "
            f"load the model again with arithmetic={rules!r} or change the machine's"
        )
    return graph, machine


def _simulation(timeline: Timeline, values: Values | None, mapped: _Mapped) -> Simulation:
    program = timeline.program
    summary: ValueSummary | None = values.summary if values else None
    result = summarize(
        timeline, table=table_of(program.arch), values=summary, mapper=mapped.mapper, objective=mapped.objective,
        notes=mapped.notes,
    )  # fmt: skip
    return Simulation(
        program.graph,
        program.arch,
        program,
        timeline,
        result,
        *((values.tensors, values.state) if values else (None, None)),
    )


def _check_archive(path: Path, start: bytes) -> None:
    """InputError that says what a file is that does not begin as a zip archive."""
    if start.startswith(b"PK"):
        return
    if start.startswith(b"\x93NUMPY"):
        what = "a .npy file, whose array has no name"
    else:
        other = f"a file that begins with {start[:4]!r}" if _CONTROL.intersection(start) else "a text file"
        what = other if start else "empty"
    raise InputError(f"{path}: not an .npz file but {what}; {_SAVE}")


def read_labelled(path: str | Path, *, named: str) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """As :func:`read_inputs`; InputError, of what is ``named`` so, where the file has no labels."""
    arrays, labels = read_inputs(path)
    if labels is None:
        raise InputError(f"{named}: it has no 'labels'; accuracy needs one per input")
    return arrays, labels


def read_inputs(path: str | Path) -> tuple[dict[str, NDArray[Any]], NDArray[Any] | None]:
    """The arrays of an .npz file by name, and apart from them the one called ``labels`` if there is one."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an .npz with the key 'input' or the network's tensor names")
    try:
        with path.open("rb") as file:
            _check_archive(path, file.read(_SNIFFED))
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        if raw := [name for name, values in arrays.items() if not isinstance(values, np.ndarray)]:
            raise InputError(f"{path}: {raw[0]!r} is no array; {_SAVE}")  # numpy hands over its bytes
    except InputError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, KeyError) as error:
        raise InputError(
            f"{path}: not an .npz file of plain arrays of numbers: {' '.join(str(error).split())}; {_SAVE}"
        ) from error
    except Exception as error:  # zipfile and zlib raise their own kinds on damaged archives
        raise InputError(f"{path}: damaged .npz file: {' '.join(str(error).split())}") from error
    labels = arrays.pop("labels", None)
    if not arrays:
        raise InputError(f"{path}: holds no input arrays; expected the key 'input' or the network's tensor names")
    return arrays, labels
