"""Edits of a machine by dotted path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from accelsim.arch.model import Arch
from accelsim.errors import ConfigError

OPEN = ("overrides",)
"""Fields whose keys are free: ``overrides.FULLY_CONNECTED`` is a path although no such field is declared."""


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def leaf_paths(arch: Arch) -> tuple[str, ...]:
    """Dotted paths of all fields, in the order of declaration."""
    return tuple(path for path, _ in _leaves(arch))


def value_at(arch: Arch, path: str) -> Any:
    """The value of one field."""
    values = dict(_leaves(arch))
    if path not in values:
        raise ConfigError(unknown_path(path, tuple(values)), path=path)
    return values[path]


def unknown_path(path: str, known: tuple[str, ...]) -> str:
    """One sentence that names the nearest paths."""
    close = get_close_matches(path, known, n=1, cutoff=0.5)
    same_leaf = [k for k in known if k.rsplit(".", 1)[-1] == path.rsplit(".", 1)[-1]]
    near = close or same_leaf[:1]
    hint = f"did you mean {near[0]!r}?" if near else f"known paths: {', '.join(known)}"
    return f"{path}: no such parameter of the machine; {hint}"


def edited(arch: Arch, edits: Mapping[str, object]) -> Arch:
    """A validated copy of ``arch`` with ``edits`` applied."""
    content = arch.model_dump()
    known = leaf_paths(arch)
    for path, value in edits.items():
        head, _, rest = path.partition(".")
        if path not in known and not (head in OPEN and rest):
            raise ConfigError(unknown_path(path, known), path=path)
        *parents, leaf = path.split(".")
        target = content
        for parent in parents:
            target = target[parent]
        target[leaf] = value
    try:
        return Arch.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"machine {arch.name!r}: {problems(error)}", edits=dict(edits)) from error


def problems(error: ValidationError) -> str:
    """All problems of a validation in one line: path, what was expected, what came."""
    return "; ".join(describe(item) for item in error.errors())


def describe(item: Any) -> str:
    """One problem: dotted path, message, and the value that came."""
    path = ".".join(str(part) for part in item["loc"]) or "machine"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{path}: missing"
    if item["type"] in ("value_error", "extra_forbidden"):
        return f"{path}: {message}"
    return f"{path}: {message[0].lower()}{message[1:]}, got {item['input']!r}"
