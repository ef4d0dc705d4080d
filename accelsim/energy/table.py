"""Energy tables: YAML files in which every figure has a size, a node and a source."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accelsim.errors import ConfigError

Law = Literal["product", "linear", "per_bit_sqrt_capacity"]
_KEYS: dict[str, set[str]] = {
    "product": {"left_bits", "right_bits"},
    "linear": {"bits"},
    "per_bit_sqrt_capacity": {"bits", "capacity_bytes"},
}


class EnergyEntry(BaseModel):
    """Energy of one action of one component: ``value_pj`` at the ``reference`` size, and the law to other sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    component: str
    action: str
    value_pj: float = Field(ge=0)
    reference: dict[str, int]
    law: Law
    source: str = Field(min_length=1)

    def energy_pj(self, **size: float) -> float:
        """Picojoules at ``size``, which has the same keys as ``reference``.

        ``product``: ratio of left_bits * right_bits; ``linear``: of bits; ``per_bit_sqrt_capacity``: of bits times the
        square root of the ratio of capacities.
        """
        ratio = {key: size[key] / self.reference[key] for key in self.reference}
        if self.law == "per_bit_sqrt_capacity":
            return self.value_pj * ratio["bits"] * math.sqrt(ratio["capacity_bytes"])
        return self.value_pj * math.prod(ratio.values())


class EnergyTable(BaseModel):
    """All entries of one technology, and what it does not cover."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    version: int
    node_nm: int = Field(gt=0)
    voltage_v: float = Field(gt=0)
    entries: tuple[EnergyEntry, ...]
    not_modelled: tuple[str, ...] = ()

    def entry(self, component: str, action: str) -> EnergyEntry:
        """The entry of ``component`` and ``action``; ConfigError where the table has none."""
        for entry in self.entries:
            if (entry.component, entry.action) == (component, action):
                return entry
        raise ConfigError(
            f"energy table {self.name!r} has no entry {component}.{action}; add one with value, reference, law and source"
        )


def tables_dir() -> Path:
    """Folder of the tables that ship with the package."""
    return Path(__file__).parent / "tables"


@lru_cache(maxsize=16)
def load_table(name_or_path: str) -> EnergyTable:
    """The packaged table of that name, or the table in a YAML file; ConfigError says what is wrong and where."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = tables_dir() / f"{name_or_path}.yaml"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        names = sorted(p.stem for p in tables_dir().glob("*.yaml"))
        raise ConfigError(
            f"tech.energy_table: no table {name_or_path!r}; packaged tables are {names}, or give a YAML file"
        )
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        table = EnergyTable.model_validate(_tuples(content))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first(error)}") from error
    _check_entries(table, path)
    return table


def _tuples(content: object) -> object:
    """YAML lists as tuples, which strict validation asks for."""
    if isinstance(content, list):
        return tuple(_tuples(item) for item in content)
    if isinstance(content, dict):
        return {key: _tuples(value) for key, value in content.items()}
    return content


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _check_entries(table: EnergyTable, path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for entry in table.entries:
        key = (entry.component, entry.action)
        if key in seen:
            raise ConfigError(f"{path}: entry {entry.component}.{entry.action} stands twice")
        seen.add(key)
        if set(entry.reference) != _KEYS[entry.law] or min(entry.reference.values()) < 1:
            expected = ", ".join(sorted(_KEYS[entry.law]))
            raise ConfigError(
                f"{path}: entry {entry.component}.{entry.action}: law {entry.law} needs a positive reference of {expected}"
            )
