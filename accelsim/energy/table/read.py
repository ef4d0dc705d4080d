"""Energy tables from YAML files; every wrong entry is named by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from accelsim.arch import Document, did_you_mean, listing, read_document, read_text, short
from accelsim.energy.table.components import ACTIONS, BY_NAME, SIZES, is_known
from accelsim.energy.table.entries import Compound, EnergyEntry, EnergyTable, Part, quantity_of
from accelsim.energy.table.laws import Term, is_size, plain_size, terms_of
from accelsim.energy.table.scaling import filled
from accelsim.energy.table.schema import (
    CompoundFile,
    EntryFile,
    FillFile,
    PartFile,
    TableFile,
    TermFile,
    UncertaintyFile,
)
from accelsim.errors import ConfigError, QuantityError, Refusals
from accelsim.units import HERTZ, Quantity, parse_quantity

_LARGEST_FILE = 1024 * 1024  # bytes; the longest packaged table has 10 KiB
_EXPECTED = "an energy table: a mapping of name, version, source, node_nm, voltage_v, entries, ..."
_PLAIN = re.compile(r"[+-]?[0-9._]+([eE][+-]?[0-9]+)?")
_MOST_FILLS = 4
"""Tables that may fill one another's gaps in a row."""
_ERT_ONLY = (
    "is an Accelergy energy reference table, which holds no unit, node, voltage, width, source or uncertainty; "
    "add them with: accelsim energy import"
)


def tables_dir() -> Path:
    """Folder of the tables that ship with the package."""
    return Path(__file__).parent.parent / "tables"


@lru_cache(maxsize=1)
def table_names() -> tuple[str, ...]:
    """Names of the tables that ship with the package, sorted."""
    return tuple(sorted(path.stem for path in tables_dir().glob("*.yaml")))


def load_table(name_or_path: str, *, depth: int = 0) -> EnergyTable:
    """The packaged table of that name, or the table in a YAML file, its gaps filled by its own rules.

    ``depth`` counts the fill rules that led here. ConfigError says file, line, what was expected and what came.
    """
    path = tables_dir() / f"{name_or_path}.yaml"
    if name_or_path not in table_names():
        path = Path(name_or_path)
    if not path.is_file():
        names = table_names()
        near = did_you_mean(name_or_path, names)
        raise ConfigError(
            f"tech.energy_table: no table {name_or_path!r}; packaged tables are {listing(names)}, or give a YAML file{near}"
        )
    return _loaded(path, path.stat().st_mtime_ns, depth)


@lru_cache(maxsize=32)
def _loaded(path: Path, _changed_ns: int, depth: int) -> EnergyTable:
    """The table in ``path``, read again when the file has changed."""
    shown = path.name if path.parent == tables_dir() else str(path)
    return _reader(path, shown).table(depth)


def machine_compounds() -> tuple[Compound, ...]:
    """How the machine's components are made of those that tables hold, where a table does not say otherwise."""
    return _machine().compounds


@lru_cache(maxsize=1)
def _machine() -> EnergyTable:
    path = Path(__file__).parent.parent / "machine.yaml"
    return _reader(path, path.name).table(0)


def _reader(path: Path, name: str) -> _Reader:
    """Of the table in ``path``, which messages call ``name``."""
    text = read_text(path, largest=_LARGEST_FILE, expected=_EXPECTED)
    return _Reader(read_document(text, name=name, expected=_EXPECTED), name, Refusals(name))


@dataclass(frozen=True)
class _Reader:
    """Turns a document into a table; errors carry the line of the path where they arise, and those of all entries are told at once."""

    document: Document
    name: str
    refusals: Refusals

    def table(self, depth: int) -> EnergyTable:
        if "ERT" in self.document.data:
            self.refuse(("ERT",), _ERT_ONLY)
        file = self.file()
        frequency = file.frequency
        made = EnergyTable(
            name=file.name, version=file.version, source=file.source, node_nm=file.node_nm, voltage_v=file.voltage_v,
            entries=self.entries(file), compounds=tuple(self.compounds(file)), not_modelled=tuple(file.not_modelled),
            notes=tuple(file.notes), alpha=float(frequency.alpha) if frequency else None,
            threshold_v=float(frequency.threshold_v) if frequency else None,
            clock_hz=self.clock(file),
        )  # fmt: skip
        for i, rule in enumerate(file.fill):
            with self.refusals.gathering():
                made = self.filled(made, rule, ("fill", str(i)), depth)
                self.check_component(rule.component, None, file, ("fill", str(i)))
        self.refusals.check()
        return made

    def file(self) -> TableFile:
        """The document under its schema."""
        problems = [(problem.path, problem.message) for problem in self.document.problems]
        try:
            file = TableFile.model_validate(self.document.data)
        except ValidationError as error:
            problems += _problems(error, self.document)
        for path, message in problems:
            self.refusals.add(self.wrong(path, message))
        self.refusals.check()
        return file

    def clock(self, file: TableFile) -> float | None:
        if file.frequency is not None and file.frequency.clock is not None:
            with self.refusals.gathering():
                return self.quantity(file.frequency.clock, HERTZ, ("frequency", "clock"))
        return None

    def filled(self, table: EnergyTable, rule: FillFile, path: tuple[str, ...], depth: int) -> EnergyTable:
        if depth >= _MOST_FILLS:
            self.refuse(path, "tables fill one another in a circle; name a table that holds the entry itself")
        try:
            lender = load_table(rule.from_, depth=depth + 1)
            return filled(table, lender, component=rule.component, entry=rule.entry, rule=rule.rule)
        except ConfigError as error:
            self.refuse(path, str(error))

    def entries(self, file: TableFile) -> tuple[EnergyEntry, ...]:
        found: dict[str, EnergyEntry] = {}
        for i, entry in enumerate(file.entries):
            path = ("entries", str(i))
            with self.refusals.gathering():
                made = self.entry(entry, file, path)
                if made.key in found:
                    self.refuse(path, f"entry {made.key} stands twice; keep one of them")
                found[made.key] = made.centred()
        return tuple(found.values())

    def entry(self, entry: EntryFile, file: TableFile, path: tuple[str, ...]) -> EnergyEntry:
        self.check_action(entry, path)
        self.check_component(entry.component, entry.action, file, path)
        self.check_place(entry, file, path)
        low, high = self.factors(entry, path)
        made = EnergyEntry(
            component=entry.component, action=entry.action, law=entry.law, terms=self.terms(entry, path),
            source=entry.source, node_nm=file.node_nm, voltage_v=file.voltage_v, low=low, high=high,
        )  # fmt: skip
        self.check_law(made, file, path)
        return made

    def check_action(self, use: EntryFile | CompoundFile | PartFile, path: tuple[str, ...]) -> None:
        if use.action not in ACTIONS:
            near = did_you_mean(use.action, ACTIONS) or f"; expected one of {listing(ACTIONS)}"
            self.refuse((*path, "action"), f"unknown action {use.action!r}{near}")

    def check_component(self, name: str, action: str | None, file: TableFile, path: tuple[str, ...]) -> None:
        """Refuse a component, or an ``action`` of it, that neither the machine nor a compound of the file asks for."""
        asked = {(part.component, part.action) for compound in file.compounds for part in compound.parts}
        self.check_name(name, {*file.components, *(component for component, _ in asked)}, path)
        if action is None or name in file.components or is_known(name, action) or (name, action) in asked:
            return
        actions = BY_NAME[name].known if name in BY_NAME else sorted(a for component, a in asked if component == name)
        self.refuse((*path, "action"), f"{name} has no action {action!r}; expected one of {listing(actions)}")

    def check_law(self, entry: EnergyEntry, file: TableFile, path: tuple[str, ...]) -> None:
        """Refuse an entry whose law goes by a size at which nothing asks for it."""
        uses = [
            p for c in file.compounds for p in c.parts if (p.component, p.action) == (entry.component, entry.action)
        ]
        if uses or entry.component not in BY_NAME or entry.component in file.components:
            return
        sizes = BY_NAME[entry.component].sizes
        for name in (plain_size(name) for term in entry.terms for name, _ in term.exponents):
            if name not in sizes:
                wanted = f"expected {listing(sizes)}" if sizes else "expected the law constant"
                self.refuse((*path, "law"), f"{entry.key} is asked for at no {name}; {wanted}")

    def check_place(self, entry: EntryFile, file: TableFile, path: tuple[str, ...]) -> None:
        """Refuse an entry that was measured at another node or voltage than the file says."""
        for key, unit in (("node_nm", "nm"), ("voltage_v", "V")):
            mine, whole = getattr(entry, key), getattr(file, key)
            if mine is not None and mine != whole:
                self.refuse(
                    (*path, key),
                    f"{mine} {unit} in a table of {short(whole)} {unit}; a file holds one technology, put the entry into "
                    "another and fill the gap by a rule",
                )

    def terms(self, entry: EntryFile, path: tuple[str, ...]) -> tuple[Term, ...]:
        for name, key in [(n, "at") for n in entry.at] + [(n, "exponents") for n in entry.exponents]:
            self.check_size(name, (*path, key, name))
        if entry.law == "polynomial":
            return self.polynomial(entry, path)
        if entry.terms:
            self.refuse((*path, "terms"), f"terms belong to the law polynomial, this is {entry.law}")
        value = self.quantity(entry.value, quantity_of(entry.action), (*path, "value"))
        try:
            return terms_of(entry.law, value, _floats(entry.at), _floats(entry.exponents))
        except ConfigError as error:
            self.refuse((*path, "law"), str(error))

    def polynomial(self, entry: EntryFile, path: tuple[str, ...]) -> tuple[Term, ...]:
        if not entry.terms or entry.value is not None or entry.at:
            self.refuse(
                (*path, "law"), "law polynomial needs terms, each with value and powers, and neither value nor at"
            )
        return tuple(
            self.term(term, quantity_of(entry.action), (*path, "terms", str(i))) for i, term in enumerate(entry.terms)
        )

    def term(self, term: TermFile, quantity: Quantity, path: tuple[str, ...]) -> Term:
        for name in term.powers:
            self.check_size(name, (*path, "powers", name))
        text = str(term.value).strip()
        sign = -1.0 if text.startswith("-") else 1.0  # of a coefficient; the sum of all terms may not be negative
        value = sign * self.quantity(text.removeprefix("-"), quantity, (*path, "value"))
        return Term(value, tuple(_floats(term.powers).items()))

    def check_size(self, name: str, path: tuple[str, ...]) -> None:
        if not is_size(name):
            self.refuse(
                path,
                f"unknown size {name!r}; expected {listing(SIZES)}, or log2_ of one",
            )

    def quantity(self, value: object, quantity: Quantity, path: tuple[str, ...]) -> float:
        text = value.strip() if isinstance(value, str) else ""
        if not text or _PLAIN.fullmatch(text):
            got = "nothing" if value is None else short(value)
            self.refuse(path, f"missing unit: expected {quantity.article} such as {quantity.examples[0]!r}, got {got}")
        try:
            return parse_quantity(text, quantity)
        except QuantityError as error:
            self.refuse(path, str(error))

    def factors(self, entry: EntryFile, path: tuple[str, ...]) -> tuple[float | None, float | None]:
        given = entry.uncertainty
        if given is None:
            return None, None
        low, high = self.limits(given, entry, (*path, "uncertainty"))
        if not 0 < low <= 1 <= high:
            self.refuse(
                (*path, "uncertainty"), f"the value must lie inside its range, got the factors {low:g} to {high:g}"
            )
        return low, high

    def limits(self, given: UncertaintyFile, entry: EntryFile, path: tuple[str, ...]) -> tuple[float, float]:
        forms = [given.factor is not None, given.low is not None or given.high is not None, given.range is not None]
        if sum(forms) != 1:
            self.refuse(path, "expected one of factor, low and high, or range")
        if given.factor is not None:
            return 1 / max(float(given.factor), 1e-9), float(given.factor)
        if given.range is None:
            return float(given.low or 1), float(given.high or 1)
        unit = quantity_of(entry.action)
        if len(given.range) != 2 or entry.value is None:
            self.refuse(path, "range needs a least and a greatest value, and an entry with a value")
        value = self.quantity(entry.value, unit, (*path[:-1], "value"))
        low, high = (self.quantity(v, unit, path) for v in given.range)
        return (low / value, high / value) if value else (1.0, 1.0)

    def compounds(self, file: TableFile) -> Iterator[Compound]:
        for i, compound in enumerate(file.compounds):
            with self.refusals.gathering():
                self.check_compound(compound, file, ("compounds", str(i)))
            yield _compound(compound)

    def check_compound(self, compound: CompoundFile, file: TableFile, path: tuple[str, ...]) -> None:
        self.check_action(compound, path)
        self.check_component(compound.component, compound.action, file, path)
        for j, part in enumerate(compound.parts):
            self.check_action(part, (*path, "parts", str(j)))
            self.check_part(part, file, (*path, "parts", str(j)))

    def check_part(self, part: PartFile, file: TableFile, path: tuple[str, ...]) -> None:
        """Refuse a part that neither the machine nor the file itself knows."""
        said = (entry.component for entry in file.entries), (rule.component for rule in file.fill)
        own = {*file.components, *chain(*said), *(compound.component for compound in file.compounds)}
        self.check_name(part.component, own, path)

    def check_name(self, component: str, own: set[str], path: tuple[str, ...]) -> None:
        choices = (*BY_NAME, *sorted(own))
        if component not in choices:
            told = any(" unknown component " in str(e) and "one of" in str(e) for e in self.refusals.found)
            names = "the same names" if told else listing(choices)  # some thirty: told once
            near = did_you_mean(component, choices) or f"; expected one of {names}"
            self.refuse(
                (*path, "component"),
                f"unknown component {component!r}{near}; a name of the table's own stands in components: [{component}]",
            )

    def refuse(self, path: tuple[str, ...], message: str) -> NoReturn:
        raise self.wrong(path, message)

    def wrong(self, path: tuple[str, ...], message: str) -> ConfigError:
        line = self.document.line(path)
        return ConfigError(f"{self.name}:{line}: {_dotted(path)}{message}", file=self.name, line=line)


def _compound(file: CompoundFile) -> Compound:
    parts = tuple(
        Part(component=p.component, action=p.action, times=p.times, sizes=tuple(p.size.items()), optional=p.optional)
        for p in file.parts
    )
    return Compound(component=file.component, action=file.action, parts=parts, source=file.source)


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _dotted(path: tuple[str, ...]) -> str:
    return f"{'.'.join(path)}: " if path else ""


def _problems(error: ValidationError, document: Document) -> list[tuple[tuple[str, ...], str]]:
    """Path and message of everything that the schema refuses, one per place; unknown keys come first, as they explain missing ones."""
    details: list[Any] = sorted(error.errors(include_url=False), key=lambda d: d["type"] != "extra_forbidden")
    found: dict[tuple[str, ...], tuple[tuple[str, ...], str]] = {}
    for detail in details:
        path = tuple(str(part) for part in detail["loc"] if not str(part).startswith(("function-", "constrained-")))
        is_missing = detail["type"] == "missing"
        meant = [key for key in found if is_missing and key[:-1] == path[:-1] and _is_near(key[-1], path[-1])]
        if not meant:  # of the kinds that one value may have, the first is told
            found.setdefault(path if is_missing else document.known(path), (path, _message(detail, path)))
    return list(found.values())


def _is_near(key: str, meant: str) -> bool:
    return bool(did_you_mean(key, (meant,)))


def _message(detail: Any, path: tuple[str, ...]) -> str:
    if detail["type"] == "missing":
        return "missing; every table states it, and every entry its law, source and uncertainty (null: none known)"
    if detail["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(path[-1], _KEYS)}"
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, got {short(detail['input'])}"


_KEYS = sorted({"from", *(k for m in (TableFile, EntryFile, TermFile, CompoundFile) for k in m.model_fields)})
