"""A model file becomes a Graph, or an error names the place, the reason and what is accepted."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from accelsim.arch import UNSTATED, Arch, Arithmetic, arithmetic_named
from accelsim.errors import ConfigError, GraphError, ModelError, ModelFileError, held_in_memory
from accelsim.graph import Graph
from accelsim.importers.account import fresh_name
from accelsim.importers.files import FileKind, one_line
from accelsim.importers.refusal import RefusalError
from accelsim.importers.registry import OperatorSupport
from accelsim.importers.shipped import inputs_beside, inputs_file, packaged_models, shipped_calibration, shipped_inputs
from accelsim.importers.sized import as_path, shapes_of, sized


class Format(Protocol):
    """What the folder of a format offers to the others."""

    def load(
        self, path: Path, *, arithmetic: Arithmetic | None = None, overrides: Mapping[str, str] | None = None
    ) -> Graph:
        """The Graph of the file at ``path``; without an ``arithmetic``, under the integer rules of the file's own runtime.

        ``overrides`` change the scheme of single operators of either.
        """

    def supported_operators(self) -> tuple[OperatorSupport, ...]:
        """Every operator that the format may hold."""


def _formats() -> Mapping[str, Format]:
    """By the end of the file name; imported where they are needed."""
    from accelsim.importers import qonnx, tables, tflite

    return {".tflite": tflite, ".onnx": qonnx, ".csv": tables}


def load_graph(
    model: str | Path | Graph,
    *,
    arithmetic: str | Arithmetic | None = None,
    overrides: Mapping[str, str] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Graph:
    """The Graph of a model file or of a packaged workload, by name; a Graph as it is.

    The extension of a file says its format: ``.tflite``, ``.onnx``, or ``.csv`` for a layer table or a SCALE-Sim topology, which
    differ in their header.

    ``arithmetic`` names the runtime whose integer rules are encoded; None stands for the file's own: tflite-micro, onnxruntime,
    or finn for QONNX. ``overrides``, operator to scheme, change single operators of it. A layer table has none. ``shapes`` are those of
    graph inputs, by name, whose sizes an .onnx file leaves open; an open batch is read as 1. Raises ModelFileError for
    a file that cannot be read, UnsupportedOperatorError for an operator that is not accepted, ModelError for every
    other reason, ConfigError for an unknown arithmetic, GraphError for a Graph that was imported for another. Several refusals are
    one error, whose ``exceptions`` are they.
    """
    rules, formats = arithmetic_named(arithmetic) if isinstance(arithmetic, str) else arithmetic, _formats()
    if isinstance(model, Graph):
        return _as_it_is(model, rules, overrides)
    file = sized(model, shapes) if shapes else as_path(model)
    if file.suffix.lower() not in formats and str(model) == file.stem:  # neither an ending nor a folder: a name
        file = resolve_model(file)
    suffix = file.suffix.lower()
    if suffix not in formats:
        raise ModelError(
            f"{file}: unknown model format {suffix!r}; expected a file that ends in {' or '.join(formats)}",
            path=str(file),
        )
    if shapes_of(file) and suffix != ".onnx":
        raise ModelError(
            f"{file}: shapes of inputs are given; expected an .onnx file, in which alone sizes may be open"
        )
    with held_in_memory(f"the model {file}", remedy="load it where there is more"):
        return formats[suffix].load(file, arithmetic=rules, overrides=overrides)


def _as_it_is(graph: Graph, rules: Arithmetic | None, overrides: Mapping[str, str] | None) -> Graph:
    if overrides or (rules is not None and not graph.shape_only and rules.name != graph.arithmetic):
        raise GraphError(
            f"graph {graph.name!r} was imported for arithmetic {graph.arithmetic!r}; for another load its model file again"
        )
    return graph


def load_for(model: str | Path | Graph, arch: Arch) -> tuple[Graph, Arch]:
    """The Graph of a file, of a packaged workload or as it is, and ``arch`` with an arithmetic.

    A machine that states an arithmetic computes in that; one that states none in the file's own, or the Graph's. Raises what
    :func:`load_graph` and :func:`resolve_model` raise.
    """
    if not isinstance(model, Graph):
        model = load_graph(resolve_model(model), arithmetic=arch.arithmetic, overrides=arch.operator_schemes)
    if arch.arithmetic is not None:
        return model, arch
    return model, arch.with_({"arithmetic": UNSTATED if model.shape_only else model.arithmetic.partition("+")[0]})


def resolve_model(name_or_path: str | Path) -> Path:
    """The file that is meant: an existing path, or the name of a packaged workload; ModelFileError lists the names."""
    path = as_path(name_or_path)
    try:
        if path.exists():
            return path
        packaged = packaged_models()
    except (OSError, ValueError, ConfigError) as error:
        raise ModelFileError(
            f"{name_or_path}: expected a model file or the name of a packaged workload: {error}"
        ) from error
    found = packaged.get(str(name_or_path))
    if found is not None:
        return sized(found, shapes_of(path)) if shapes_of(path) else found
    near = difflib.get_close_matches(str(name_or_path), packaged, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ModelFileError(
        f"{name_or_path}: no such file, and no packaged workload; packaged are {', '.join(sorted(packaged))}{hint}",
        path=str(name_or_path),
    )


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operator that is accepted, from the importers' own tables."""
    return tuple(operator for face in _formats().values() for operator in face.supported_operators())
