"""A model file becomes a Graph, or an error names the place, the reason and what is accepted."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from accelsim.arch import Arithmetic, arithmetic_named
from accelsim.errors import ConfigError, ModelError, ModelFileError
from accelsim.graph import Graph
from accelsim.importers.account import layer_base
from accelsim.importers.files import one_line
from accelsim.resources import resource_path

EXTENSIONS = (".tflite", ".onnx", ".csv")
"""Formats by file extension."""
DEFAULT_ARITHMETIC = "tflite-micro"
"""Arithmetic of a .tflite file where none is named."""


@dataclass(frozen=True)
class OperatorSupport:
    """One operator that a format may hold: where it comes from, which formats of numbers, which layers it becomes."""

    operator: str
    source: str
    formats: str
    layer: str
    notes: str


def load_graph(path: str | Path, *, arithmetic: str | Arithmetic | None = None) -> Graph:
    """The Graph of a model file, by its extension: ``.tflite``, ``.onnx``, or ``.csv`` for a layer table or a
    SCALE-Sim topology, which differ in their header.

    ``arithmetic`` names the runtime whose integer rules are encoded; None stands for the file's own: tflite-micro, onnxruntime,
    or finn for QONNX. A layer table has none. Raises ModelFileError for
    a file that cannot be read, UnsupportedOperatorError for an operator that is not accepted, ModelError for every
    other reason, ConfigError for an unknown arithmetic.
    """
    file = Path(path)
    rules = arithmetic_named(arithmetic) if isinstance(arithmetic, str) else arithmetic
    suffix = file.suffix.lower()
    if suffix == ".tflite":
        from accelsim.importers.tflite import load_tflite

        return load_tflite(file, arithmetic=rules or arithmetic_named(DEFAULT_ARITHMETIC))
    if suffix == ".onnx":
        from accelsim.importers.onnx import load_onnx

        return load_onnx(file, arithmetic=rules)
    if suffix == ".csv":
        from accelsim.importers.tables.scalesim import is_topology, load_topology
        from accelsim.importers.tables.table import load_table

        return load_topology(file) if is_topology(file) else load_table(file)
    raise ModelError(
        f"{file}: unknown model format {suffix!r}; expected a file that ends in {' or '.join(EXTENSIONS)}",
        path=str(file),
    )


def packaged_models() -> dict[str, Path]:
    """Workloads that come with the package, by name: ``resnet50``, ``digits_cnn`` ..."""
    root = resource_path("workloads")
    tables = {path.stem: path for path in sorted(root.glob("*.csv"))}
    models = {path.stem: path for path in sorted((*root.glob("*/*.tflite"), *root.glob("*/*.onnx")))}
    short = {stem.removesuffix("_int8"): path for stem, path in models.items() if stem.endswith("_int8")}
    return {**tables, **short, **models}


def resolve_model(name_or_path: str | Path) -> Path:
    """The file that is meant: an existing path, or the name of a packaged workload; ModelFileError lists the names."""
    path = Path(name_or_path)
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
        return found
    near = difflib.get_close_matches(str(name_or_path), packaged, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ModelFileError(
        f"{name_or_path}: no such file, and no packaged workload; packaged are {', '.join(sorted(packaged))}{hint}",
        path=str(name_or_path),
    )


def supported_operators() -> tuple[OperatorSupport, ...]:
    """Every operator that is accepted, from the importers' own tables."""
    from accelsim.importers.onnx.registry import LOWERINGS as ONNX_LOWERINGS
    from accelsim.importers.qonnx.registry import QONNX_LOWERINGS
    from accelsim.importers.tables.table import OPERATIONS
    from accelsim.importers.tflite.registry import BOUNDARY, LOWERINGS

    tflite = [
        OperatorSupport(name, ".tflite", rule.formats, " or ".join(layer.__name__ for layer in rule.layers), rule.notes)
        for name, rule in LOWERINGS.items()
    ]
    boundary = [OperatorSupport(name, ".tflite", formats, "host", notes) for name, (formats, notes) in BOUNDARY.items()]
    onnx = [
        OperatorSupport(
            name, source, rule.formats, " or ".join(layer.__name__ for layer in rule.layers) or "host", rule.notes
        )
        for source, lowerings in ((".onnx", ONNX_LOWERINGS), (".onnx (QONNX)", QONNX_LOWERINGS))
        for name, rule in lowerings.items()
    ]
    table = [
        OperatorSupport(name, ".csv", "2 to 32 bits", layer.__name__, "shapes only: timing and energy, no values")
        for name, (layer, _) in OPERATIONS.items()
    ]
    return (*tflite, *boundary, *onnx, *table)


__all__ = [
    "DEFAULT_ARITHMETIC",
    "EXTENSIONS",
    "OperatorSupport",
    "layer_base",
    "load_graph",
    "one_line",
    "packaged_models",
    "resolve_model",
    "supported_operators",
]
