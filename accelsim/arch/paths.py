"""Dotted paths: the one name of each parameter, for reading, editing and sweeping."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import copy
from functools import lru_cache
from os import PathLike, fspath
from typing import Any

import numpy as np
from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from accelsim.arch._suggest import did_you_mean
from accelsim.arch.arithmetic import checked_scheme
from accelsim.arch.validate import Record, validated
from accelsim.errors import ConfigError

_WHOLE = re.compile(r"[+-]?[0-9][0-9_]*")
_REAL = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "none": None, "null": None}
_OVERRIDES = "overrides"
_LONGEST_NUMBER = 64  # characters


def _section(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        section = _section(info)
        if section is None:
            yield prefix + name, info
        else:
            yield from _leaves(section, f"{prefix}{name}.")


@lru_cache(maxsize=1)
def leaves(root: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Field of every dotted path of the machine, in the order of the schema."""
    return dict(_leaves(root))


def value_at(machine: BaseModel, path: str) -> Any:
    """The value at ``path`` of a machine, None for an operator that is not overridden; ConfigError for unknown paths."""
    _check_path(path, leaves(type(machine)))
    head, _, rest = path.partition(".")
    if head == _OVERRIDES and rest:
        return getattr(machine, _OVERRIDES).get(rest)
    value: Any = machine
    for part in path.split("."):
        value = getattr(value, part)
    return value


def edited(machine: Record, edits: Mapping[str, object]) -> Record:
    """``machine`` with the values of ``edits`` at its dotted paths."""
    data, known = machine.model_dump(), leaves(type(machine))
    for path, value in edits.items():
        _check_path(path, known)
        *sections, last = path.split(".")
        section = data
        for name in sections:
            section = section[name]
        section[last] = _plain(path, value, known)
        if sections == [_OVERRIDES] and section[last] is None:
            del section[last]  # taken back
    return validated(type(machine), data)


def parameter(kind: type[Record], path: str, value: object) -> Any:
    """``value`` as a machine reads it at ``path``, units as numbers; ConfigError for an unknown path, or a value that none can have there.

    What depends on other parameters is asked of a whole machine.
    """
    known = leaves(kind)
    _check_path(path, known)
    if path not in known:
        return value if value is None else _scheme(path, str(value))
    return getattr(validated(_alone(kind, path), {path: _plain(path, value, known)}), path)


def _scheme(path: str, scheme: str) -> str:
    try:
        return checked_scheme(path.partition(".")[2], scheme)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", path=path) from error


@lru_cache(maxsize=256)
def _alone(kind: type[BaseModel], path: str) -> type[BaseModel]:
    """A record of one parameter, called by its path."""
    info = copy(leaves(kind)[path])
    fields: Any = {path: (info.annotation, info)}
    made: type[BaseModel] = create_model("Parameter", __config__=kind.model_config, **fields)
    return made


def _check_path(path: str, known: Mapping[str, FieldInfo]) -> None:
    """Raise ConfigError unless ``path`` leads to one parameter."""
    head, _, operator = str(path).partition(".")
    if path in known:
        return
    if head == _OVERRIDES and operator:
        _check_operator(path, operator)
        return
    inside = [leaf for leaf in known if leaf.startswith(f"{path}.")]
    if inside:
        raise ConfigError(f"{path}: is a section; expected one of its entries: {', '.join(inside)}", path=path)
    hint = _nearest_path(str(path), known)
    remedy = hint or f"; expected one of {', '.join(known)}"
    raise ConfigError(f"{path or repr(path)}: unknown path{remedy}", path=path)


def _check_operator(path: str, operator: str) -> None:
    try:
        checked_scheme(operator, "single")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", path=path) from error


def _nearest_path(path: str, known: Mapping[str, FieldInfo]) -> str:
    tail = path.rpartition(".")[2]
    same_name = [leaf for leaf in known if leaf.rpartition(".")[2] == tail]
    near = did_you_mean(path, same_name) if path != tail else ""
    if same_name and not near:
        return f"; did you mean {' or '.join(map(repr, same_name))}?"
    return near or did_you_mean(path, known)


def _plain(path: str, value: object, known: Mapping[str, FieldInfo]) -> object:
    """``value`` as YAML would have given it: numbers of numpy unwrapped, texts read unless the parameter is a text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PathLike):
        return fspath(value)
    if not isinstance(value, str) or (path in known and known[path].annotation is str):
        return value
    text = value.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _WHOLE.fullmatch(text):
        return int(text.replace("_", ""))
    return float(text) if _REAL.fullmatch(text) else text
