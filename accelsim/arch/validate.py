"""From nested data to a record such as the machine, or to one message that names every wrong entry by its path and place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from accelsim.arch._suggest import did_you_mean, listing
from accelsim.errors import ConfigError
from accelsim.units import MAX_NUMBER

Path = tuple[str, ...]
Record = TypeVar("Record", bound=BaseModel)
_LONGEST_VALUE = 60  # characters of a value in a message
_MOST_PROBLEMS = 10  # in one message
_YAML_WORDS = {None: "null", True: "true", False: "false"}


@dataclass(frozen=True)
class Problem:
    """One wrong entry."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}" if self.path else self.message


def validated(
    kind: type[Record],
    data: Mapping[str, Any],
    *,
    place: Callable[[Path], str] = lambda _: "",
    found: Sequence[Problem] = (),
) -> Record:
    """The record of that ``kind`` in ``data``.

    ``place`` gives the text before a message, from a path (``file.yaml:12: ``); ``found`` are problems known already.
    ConfigError joins the first problems and carries all of them in ``data["problems"]``.
    """
    problems = list(found)
    try:
        record = kind.model_validate(_plain_dicts(data))
    except ValidationError as error:
        problems.extend(_problems(kind, error))
    if problems:
        text = "; ".join(f"{place(problem.path)}{problem}" for problem in problems[:_MOST_PROBLEMS])
        text += f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        listed = [ConfigError(f"{place(problem.path)}{problem}") for problem in problems]
        raise ConfigError(text, problems=[(".".join(p.path), p.message) for p in problems]).listing(listed)
    return record


def short(value: object) -> str:
    """``value`` as it would be written, shortened to fit a message."""
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        return "a number of over 300 digits"
    text = _YAML_WORDS[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _plain_dicts(data: object, depth: int = 0) -> Any:
    """Mappings as dicts, which strict validation asks for; no parameter lies deeper than two of them."""
    if isinstance(data, Mapping) and depth < 3:
        return {str(key): _plain_dicts(value, depth + 1) for key, value in data.items()}
    return data


def _problems(root: type[BaseModel], error: ValidationError) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    unknown = [_unknown_key(root, d["loc"]) for d in details if d["type"] == "extra_forbidden"]
    explained = {meant for _, meant in unknown if meant}
    yield from (problem for problem, _ in unknown)
    for detail in details:
        path = tuple(map(str, detail["loc"]))
        if detail["type"] == "extra_forbidden" or (detail["type"] == "missing" and path in explained):
            continue
        yield Problem(path, _message(root, detail, path))


def _unknown_key(root: type[BaseModel], loc: Sequence[int | str]) -> tuple[Problem, Path | None]:
    """The problem, and the path of the sibling that was probably meant."""
    *parents, key = map(str, loc)
    siblings = _section_at(root, tuple(parents)).model_fields
    near = did_you_mean(key, siblings)
    meant = next(((*parents, name) for name in siblings if near.endswith(f"{name!r}?")), None)
    remedy = near or _elsewhere(root, key) or f"; expected one of {listing(siblings)}"
    return Problem((*parents, key), f"unknown key{remedy}"), meant


def _elsewhere(root: type[BaseModel], key: str) -> str:
    """A suggestion where another section has ``key``."""
    homes = [name for name in root.model_fields if key in _section_at(root, (name,)).model_fields]
    return f"; did you mean {f'{homes[0]}.{key}'!r}?" if homes else ""


def _section_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    for name in path:
        kind = model.model_fields[name].annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return BaseModel
        model = kind
    return model


def _required(section: type[BaseModel]) -> str:
    return listing(name for name, info in section.model_fields.items() if info.is_required())


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "string_unicode": "a text",
    "dict_type": "operators and their schemes, such as ADD: single",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "one line that neither starts nor ends with a space",
    "literal_error": "{expected}",
}


def _message(root: type[BaseModel], detail: Any, path: Path) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return f"missing; expected {_wanted(root, path)}"
    if kind in ("model_type", "model_attributes_type"):
        return f"expected {_wanted(root, path)}, got {short(value)}"
    expected = _EXPECTED[kind].format(**_whole_numbers(context)) if kind in _EXPECTED else detail["msg"]
    hint = ""
    if kind == "literal_error" and isinstance(value, str):
        hint = did_you_mean(
            value, [choice for choice in context["expected"].split("'") if choice.strip(" ,") not in ("", "or")]
        )
    return f"expected {expected}, got {short(value)}{hint}"


def _whole_numbers(context: Mapping[str, Any]) -> dict[str, Any]:
    return {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in context.items()}


def _wanted(root: type[BaseModel], path: Path) -> str:
    """What belongs at ``path``, in words."""
    section = _section_at(root, path)
    if section is not BaseModel:
        return f"a section with {_required(section)}" if path else f"a mapping with {_required(section)}"
    return _section_at(root, path[:-1]).model_fields[path[-1]].description or "a value"
