"""Accelergy's energy reference tables (Wu et al., ICCAD 2019) as energy tables of ours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from accelsim.arch import Document, listing, read_document
from accelsim.energy.table.components import ACTIONS, is_known
from accelsim.energy.table.entries import EnergyEntry, EnergyTable
from accelsim.energy.table.laws import Term
from accelsim.errors import ConfigError

_EXPECTED = "an Accelergy energy reference table: ERT: {version: ..., tables: [{name: ..., actions: [...]}]}"
_ACTIONS: Mapping[str, str] = {
    "mac_random": "mac",
    "compute": "mac",
    "mult_random": "multiply",
    "add_random": "add",
    "access": "read",
    "update": "write",
    "transfer_random": "transfer",
}
"""Accelergy's names of actions that ours have others for; its 'leak' is an energy per cycle, not a power."""
_UNUSED = ("leak", "idle")


def read_ert(
    path: str | Path, *, node_nm: float, voltage_v: float, source: str, word_bits: Mapping[str, int] | None = None
) -> EnergyTable:
    """The energy reference table at ``path``, with what such files do not hold: node, voltage, source, word widths.

    Components keep the last part of their name (``chip.PE[0..7].mac``: ``mac``). Energies are picojoules, Accelergy's unit.
    Reads and writes are per word: ``word_bits`` gives the width of each component's. Laws are constant and ranges unknown, since the
    file holds neither. ConfigError names file and line.
    """
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read: {error}; expected {_EXPECTED}", file=name) from error
    document = read_document(text, name=name, expected=_EXPECTED)
    left_out: list[str] = []
    entries = tuple(_entries(document, name, dict(word_bits or {}), left_out, (node_nm, voltage_v, source)))
    if not entries:
        _refuse(
            document, name, ("ERT",), f"no action that is known here; expected one of {listing((*ACTIONS, *_ACTIONS))}"
        )
    return EnergyTable(
        name=re.sub(r"\W+", "_", Path(path).stem), version=1, source=source, node_nm=node_nm, voltage_v=voltage_v,
        entries=entries, not_modelled=tuple(dict.fromkeys(left_out)),
    )  # fmt: skip


def _entries(
    document: Document, name: str, words: dict[str, int], left_out: list[str], technology: tuple[float, float, str]
) -> Iterator[EnergyEntry]:
    seen: set[str] = set()
    for i, table in enumerate(_tables(document, name)):
        path = ("ERT", "tables", str(i))
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            _refuse(document, name, path, "expected a component with name and actions")
        component = re.sub(r"\[.*?\]", "", table["name"]).rpartition(".")[2].lower()
        actions = table.get("actions")
        if not isinstance(actions, list):
            _refuse(document, name, path, f"component {component!r} has no list of actions")
        for j, action in enumerate(actions):
            where = (*path, "actions", str(j))
            entry = _entry(document, name, where, component, action, words, technology)
            if entry is None:
                left_out.append(f"{component}.{action.get('name')}")
            elif entry.key not in seen:
                seen.add(entry.key)
                yield entry


def _tables(document: Document, name: str) -> list[Any]:
    root = document.data.get("ERT")
    if not isinstance(root, dict) or not isinstance(root.get("tables"), list):
        _refuse(document, name, ("ERT",), f"expected {_EXPECTED}")
    return list(root["tables"])


def _entry(
    document: Document, name: str, path: tuple[str, ...], component: str, action: Any, words: dict[str, int],
    technology: tuple[float, float, str],
) -> EnergyEntry | None:  # fmt: skip
    if not isinstance(action, dict) or not isinstance(action.get("name"), str):
        _refuse(document, name, path, "expected an action with name and energy")
    energy = action.get("energy")
    if isinstance(energy, bool) or not isinstance(energy, int | float) or not energy >= 0:
        _refuse(document, name, (*path, "energy"), f"expected picojoules of 0 or more, got {energy!r}")
    ours = _ACTIONS.get(action["name"], action["name"])
    if ours in _UNUSED or ours not in ACTIONS:
        return None
    at: dict[str, float] = {}
    if ours in ("read", "write"):
        if component not in words:
            _refuse(
                document, name, path,
                f"{component}.{ours} is per word, and the file does not say how wide a word is; give --word-bits {component}=64",
            )  # fmt: skip
        at = {"bits": float(words[component])}
    term = Term(float(energy), tuple((key, 1.0) for key in at), tuple(at.items()))
    node, voltage, source = technology
    return EnergyEntry(
        component=component, action=ours, law="linear" if at else "constant", terms=(term,), source=source,
        node_nm=node, voltage_v=voltage,
    )  # fmt: skip


def _refuse(document: Document, name: str, path: tuple[str, ...], message: str) -> NoReturn:
    line = document.line(path)
    raise ConfigError(f"{name}:{line}: {message}", file=name, line=line)


def to_yaml(table: EnergyTable) -> str:
    """YAML of a table of constant and linear entries that :func:`accelsim.energy.load_table` reads back."""
    from ruamel.yaml import YAML

    entries = [
        {
            "component": entry.component,
            "action": entry.action,
            "value": f"{entry.terms[0].coefficient!r} pJ",
            "law": entry.law,
            **({"at": {key: int(size) for key, size in entry.terms[0].at}} if entry.terms[0].at else {}),
            "uncertainty": None,
            "source": entry.source,
        }
        for entry in table.entries
    ]
    head = {key: getattr(table, key) for key in ("name", "version", "source", "node_nm", "voltage_v")}
    own = dict.fromkeys(entry.component for entry in table.entries if not is_known(entry.component, entry.action))
    head |= {"components": list(own)} if own else {}
    stream = io.StringIO()
    yaml = YAML()
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    yaml.dump(head | {"entries": entries, "not_modelled": list(table.not_modelled)}, stream)
    return stream.getvalue()
