"""A machine as YAML, quantities with units wherever that loses nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

from accelsim.arch.fields import AUTO
from accelsim.units import BANDWIDTH, BYTES, HERTZ, exact_text

_WRITERS: Mapping[str, Callable[[Any], object]] = {
    "clock_hz": lambda value: exact_text(value, HERTZ),
    "resident_bytes": lambda value: value if value == AUTO else exact_text(value, BYTES),
    "size_bytes": lambda value: exact_text(value, BYTES),
    "bandwidth_bytes_per_s": lambda value: exact_text(value, BANDWIDTH),
}
_LINE_WIDTH = 120
_UNFOLDED = 1_000_000


def yaml_text(machine: BaseModel) -> str:
    """YAML of ``machine`` that reads back to an equal one."""
    data = machine.model_dump()
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    # YAML folds Unicode's own line breaks (U+0085, U+2028, U+2029); escapes keep them.
    yaml.allow_unicode = all(text.isprintable() for text in data.values() if isinstance(text, str))
    # Folding a text of escapes beyond the Basic Multilingual Plane puts a space into it (ruamel.yaml 0.18).
    yaml.width = _LINE_WIDTH if yaml.allow_unicode else _UNFOLDED
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel annotates None
    yaml.dump(_written(data), stream)
    return stream.getvalue()


def _written(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _written(v) if isinstance(v, Mapping) else _value(key, v) for key, v in data.items()}


def _value(key: str, value: object) -> object:
    return value if value is None or key not in _WRITERS else _WRITERS[key](value)
