"""Mappings given by hand: a YAML file with the tiles of some layers, or what a search found written as one."""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from accelsim.arch import Document, read_document
from accelsim.errors import ConfigError, MappingError, Refusals
from accelsim.graph import Graph, Layer, MacLayer, Reshape
from accelsim.names import LayerNames
from accelsim.objective import Objective, checked_objective
from accelsim.program import LOOP_ORDERS, MacMapping, Mapping, VectorMapping, check_mapping, fuse, tile_limits

EXPECTED = "a mapping file: layer names and their tiles under the key layers"
LARGEST_FILE = 16 * 1024 * 1024
"""Bytes; a network of 1,000 layers takes 100 KiB."""
RESIDENT = "resident_bytes"
MAC_KEYS = tuple(field.name for field in fields(MacMapping))


@dataclass(frozen=True, kw_only=True)
class MappingFile:
    """Mappings by layer name, what the file says they minimise, and the bytes that keep tensors on chip beside their tiles, where the
    machine had left those to the mapper (None: it does not say)."""

    layers: dict[str, Mapping]
    objective: Objective | None
    resident_bytes: int | None


def read_mappings(path: Path, *, graph: Graph) -> dict[str, Mapping]:
    """The mappings alone of :func:`read_mapping_file`."""
    return read_mapping_file(path, graph=graph).layers


def read_mapping_file(path: Path, *, graph: Graph) -> MappingFile:
    """The YAML file at ``path``; ConfigError names file, line, entry and remedy, of every wrong one.

    ``layers: {conv1: {oh: 8, oc: 16, order: weights_outer, band: 4}, 8: {tile: [1, 10]}}``, each layer by any form that
    :meth:`accelsim.names.LayerNames.find` takes, and ``objective: edp`` where the tiles minimise something. Axes that are left
    out are not cut, and layers without a ``band`` not fused with the one before; layers that are left out are the caller's to map.
    """
    document = read_document(_text(path), name=str(path), expected=EXPECTED)
    refusals = Refusals(path)
    for problem in document.problems:
        refusals.add(_wrong(path, document, problem.path, problem.message))
    for key in (key for key in document.data if key not in ("layers", "objective", RESIDENT)):
        refusals.add(_wrong(path, document, (key,), f"unknown key; expected {EXPECTED}, and objective"))
    objective, resident = _objective(path, document, refusals), _resident(path, document, refusals)
    layers = document.data.get("layers")
    if not isinstance(layers, dict):
        refusals.check()
        raise _wrong(path, document, ("layers",), f"missing; expected {EXPECTED}")
    known = LayerNames(layer.name for layer in graph.layers)
    made: dict[str, Mapping] = {}
    for key, entry in layers.items():
        try:
            at = known.find(key)
            if known.names[at] in made:
                raise MappingError(f"this is layer {known.names[at]!r}, which was given before; give each layer once")
            made[known.names[at]] = _checked(graph, at, entry)
        except (MappingError, ConfigError) as error:
            refusals.add(_wrong(path, document, ("layers", key), str(error)))
    refusals.check()
    return MappingFile(layers=made, objective=objective, resident_bytes=resident)


def _resident(path: Path, document: Document, refusals: Refusals) -> int | None:
    """What the file says of the division of the memory."""
    value = document.data.get(RESIDENT)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    refusals.add(_wrong(path, document, (RESIDENT,), f"expected a whole number of bytes, got {value!r}"))
    return None


def _objective(path: Path, document: Document, refusals: Refusals) -> Objective | None:
    """What the file says is minimised."""
    if "objective" not in document.data:
        return None
    try:
        return checked_objective(document.data["objective"])
    except ConfigError as error:
        line = document.line(("objective",))
        refusals.add(ConfigError(f"{path}:{line}: {error}", file=str(path), line=line))
        return None


def _checked(graph: Graph, at: int, entry: Any) -> Mapping:
    """The mapping of layer ``at``; MappingError where it is none."""
    layer = graph.layers[at]
    mapping = _mapping(layer, entry)
    check_mapping(layer, mapping)
    if mapping.band:
        fuse(graph, at, mapping.band)
    return mapping


def write_mappings(
    mappings: Sequence[Mapping | None],
    *,
    graph: Graph,
    objective: Objective | None = None,
    resident_bytes: int | None = None,
) -> str:
    """YAML that :func:`read_mapping_file` reads back; ``objective`` is what the mappings minimise, where that is known, and
    ``resident_bytes`` what a machine had left to the mapper."""
    from ruamel.yaml import YAML

    layers = {layer.name: _entry(m) for layer, m in zip(graph.layers, mappings, strict=True) if m is not None}
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = None, 10_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel annotates None
    stream = io.StringIO()
    header = {"objective": objective, RESIDENT: resident_bytes}
    yaml.dump({**{key: value for key, value in header.items() if value is not None}, "layers": layers}, stream)
    return stream.getvalue()


def _entry(mapping: Mapping) -> dict[str, Any]:
    entry = asdict(mapping) if isinstance(mapping, MacMapping) else {"tile": list(mapping.tile), "band": mapping.band}
    return {key: value for key, value in entry.items() if key != "band" or value}


def _mapping(layer: Layer, entry: Any) -> Mapping:
    """The mapping that ``entry`` describes; MappingError where it describes none."""
    if isinstance(layer, Reshape):
        raise MappingError("a reshaped tensor is not tiled; leave the layer out")
    allowed = MAC_KEYS if isinstance(layer, MacLayer) else ("tile", "band")
    if not isinstance(entry, dict):
        raise MappingError(f"expected a mapping with {', '.join(allowed)}, got {entry!r}")
    for key in entry:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            raise MappingError(
                f"unknown key {key!r}; expected {', '.join(allowed)}" + (f", {near[0]}?" if near else "")
            )
    band = _size("band", entry.get("band", 0))
    if not isinstance(layer, MacLayer):
        return VectorMapping(tile=tuple(_size("tile", n) for n in _listed(entry.get("tile"))), band=band)
    order = entry.get("order", LOOP_ORDERS[0])
    if order not in LOOP_ORDERS:
        raise MappingError(f"order: expected {' or '.join(LOOP_ORDERS)}, got {order!r}")
    limits = tile_limits(layer.geometry) | {"groups": 1, "n": 1}
    sizes = {key: _size(key, entry.get(key, limit)) for key, limit in limits.items()}
    return MacMapping(**sizes, order=order, band=band)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise MappingError(f"tile: expected a list of sizes, got {value!r}")
    return value


def _size(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise MappingError(f"{key}: expected a whole number, got {value!r}")
    return value


def _wrong(path: Path, document: Document, where: tuple[str, ...], message: str) -> ConfigError:
    line = document.line(where)
    return ConfigError(f"{path}:{line}: {'.'.join(where)}: {message}", file=str(path), line=line)


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if path.is_file() and size <= LARGEST_FILE:
            return path.read_text(encoding="utf-8-sig")
        reason = f"is {size} bytes long" if path.is_file() else "is no file"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ConfigError(f"{path}: {reason}; expected {EXPECTED}, or one of default, search", file=str(path))
