"""``docs/machine.md`` names every entry of a machine, as the schema has it now."""

from __future__ import annotations

import json

from accelsim import load_arch
from docs import make_machine


def test_the_page_is_what_the_schema_gives() -> None:
    assert make_machine.PAGE.read_text(encoding="utf-8") == make_machine.page(), (
        "stale: run python docs/make_machine.py"
    )


def test_every_path_stands_there_once_with_its_default() -> None:
    """Also where a row could be lost: of nested sections, of entries that are null."""
    rows = [line.split(" | ") for line in make_machine.page().splitlines() if line.startswith("| `")]
    told = {row[0].strip("| `"): row[-1].strip("| `") for row in rows}
    assert len(told) == len(rows)
    machine = load_arch("edge_16x16")
    assert list(told) == list(machine.paths())
    either = [f"{name}.size_bytes" for name in ("weight_buffer", "activation_buffer")]  # or one memory for both
    smallest = machine.from_dict(given(machine.model_dump(mode="json"), told | dict.fromkeys(either, "—")))
    taken = {path: default for path, default in told.items() if default != "—" and path not in either}
    assert {path: shown(smallest.get(path)) for path in taken} == taken


def shown(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def given(entries: dict[str, object], told: dict[str, str], prefix: str = "") -> dict[str, object]:
    """The entries that the page says must be given."""
    kept: dict[str, object] = {}
    for name, value in entries.items():
        if isinstance(value, dict) and told.get(prefix + name) is None:
            kept[name] = given(value, told, f"{prefix}{name}.")
        elif told[prefix + name] == "—":
            kept[name] = value
    return kept
