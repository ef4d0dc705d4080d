"""Write ``docs/machine.md``: every entry of a machine description, from its schema.

python docs/make_machine.py             # rewrites the page; every line of it comes from the code
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accelsim.arch import json_schema  # noqa: E402
from docs.make_schemes import code, table  # noqa: E402

PAGE = ROOT / "docs" / "machine.md"

HEAD = """# Every entry of a machine

A machine is a YAML file with the entries below; `--set` and `Arch.with_` change them by their dotted paths. A number with a unit may be
written as text, such as `64 KiB`; a plain number is in the unit that the table names. `accelsim arch show NAME` prints a machine with
every default filled in, and `accelsim arch schema` this page as JSON schema, which editors complete and check YAML by:

```console
$ accelsim arch show edge_16x16 > my_machine.yaml
$ accelsim arch schema > machine.schema.json
$ accelsim run digits_cnn --arch my_machine.yaml --set array.rows=8
```

Entries without a default must be given. This page is written by `docs/make_machine.py` from the code.
"""


def page() -> str:
    """All of it."""
    schema = json_schema()
    sections = {name: _section(schema, entry) for name, entry in schema["properties"].items()}
    own = {name: schema["properties"][name] for name, section in sections.items() if section is None}
    parts = [("The machine", "", {**schema, "properties": own}, "")]
    for name, section in sections.items():
        if section is not None:
            whole = {**section, "properties": dict(_leaves(schema, section))}
            parts.append((code(name), schema["properties"][name].get("description", ""), whole, f"{name}."))
    return HEAD + "".join(_part(*part) for part in parts)


def _leaves(schema: Mapping[str, Any], section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, entry) of a section, those of sections in it included."""
    for name, entry in section["properties"].items():
        inner = _section(schema, entry)
        if inner is None:
            yield prefix + name, entry
        else:
            yield from _leaves(schema, inner, f"{prefix}{name}.")


def _section(schema: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    reference = entry.get("$ref") or next((each["$ref"] for each in entry.get("allOf", ()) if "$ref" in each), None)
    return schema["$defs"][reference.rpartition("/")[2]] if reference else None


def _part(title: str, role: str, section: Mapping[str, Any], prefix: str) -> str:
    told = " ".join(filter(None, (section.get("description", "").split("\n")[0] if prefix else "", _sentence(role))))
    required = section.get("required", ())
    rows = [
        [code(prefix + name), entry.get("description", ""), values(entry), _default(entry, name in required)]
        for name, entry in section["properties"].items()
    ]
    return "\n\n".join(filter(None, (f"\n## {title}", told, table(("path", "what", "values", "default"), rows))))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _default(entry: Mapping[str, Any], required: bool) -> str:
    if required:
        return "—"
    default = entry.get("default", {})  # only `overrides` is made anew for each machine
    return code(default if isinstance(default, str) and default else json.dumps(default))


def values(entry: Mapping[str, Any]) -> str:
    """What may stand there: bounds and unit, words, examples of texts."""
    return "; ".join(_kinds(entry)) or "text"


def _kinds(entry: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in entry:
        for kind in entry["anyOf"]:
            yield from _kinds(kind)
    elif "enum" in entry:
        yield ", ".join(code(str(word)) for word in entry["enum"])
    elif "const" in entry:
        yield code(str(entry["const"]))
    elif entry.get("type") in ("integer", "number"):
        yield _numbers(entry)
    elif "examples" in entry:
        yield ", ".join(code(text) for text in entry["examples"])
    else:
        yield {"boolean": "`true`, `false`", "null": "`null`", "object": "operator: scheme", "array": "a list"}.get(
            entry["type"], "text"
        )


def _numbers(entry: Mapping[str, Any]) -> str:
    """The range, with its unit where the entry is a quantity (what a plain number is in)."""
    low, high = entry.get("minimum", entry.get("exclusiveMinimum")), entry["maximum"]
    more = "more than " if "exclusiveMinimum" in entry else ""
    unit = entry["description"].removeprefix("in ") if entry.get("description", "").startswith("in ") else ""
    return f"{more}{_number(low)} to {_number(high)} {unit}".rstrip()


def _number(value: float) -> str:
    if value >= 1e6 and value == 2 ** (int(value).bit_length() - 1):
        return f"2^{int(value).bit_length() - 1}"
    return f"{value:g}" if value >= 1e6 else f"{value:,g}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
