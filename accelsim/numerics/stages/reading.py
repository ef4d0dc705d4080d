"""Lists of stages in YAML's form and as one line of text: strict reading, with the place and the remedy in every error."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from accelsim.errors import ConfigError
from accelsim.numerics.rounding import Rounding
from accelsim.numerics.stages.stage import LARGEST_SHIFT, MAX_BITS, Kind, Operand, Stage

MOST_STAGES = 16
LARGEST_TABLE = 1 << 16
WIDEST_MULTIPLIER = 31
"""Significant bits of a multiplier that a layer gives, its sign apart: those of TFLite's (quantized_multiplier)."""
_VALUES, _SHIFTS = (Operand.BIAS, Operand.ZERO_POINT), (Operand.SHIFT, Operand.LEFT_SHIFT, Operand.RIGHT_SHIFT)
SUBJECT: Mapping[Kind, str] = {
    Kind.ADD: "value", Kind.OFFSET: "value", Kind.MULTIPLY: "by", Kind.SHIFT: "by", Kind.LEFT: "by",
    Kind.WRAP: "bits", Kind.SATURATE: "bits", Kind.TABLE: "values",
}  # fmt: skip
"""The key that a stage's short form stands for: ``- saturate: 8`` is ``- saturate: {bits: 8}``."""
KEYS: Mapping[Kind, tuple[str, ...]] = {
    Kind.ADD: ("value", "bits", "signed", "left"),
    Kind.OFFSET: ("value", "bits", "signed"),
    Kind.MULTIPLY: ("by", "bits", "signed", "per"),
    Kind.SHIFT: ("by", "rounding", "max", "per"),
    Kind.LEFT: ("by", "max"),
    Kind.WRAP: ("bits", "signed"),
    Kind.SATURATE: ("bits", "signed"),
    Kind.CLIP: ("min", "max"),
    Kind.TABLE: ("values",),
}
OPERANDS: Mapping[Kind, tuple[Operand, ...]] = {
    Kind.ADD: _VALUES,
    Kind.OFFSET: (Operand.ZERO_POINT,),
    Kind.MULTIPLY: (Operand.MULTIPLIER,),
    Kind.SHIFT: (Operand.SHIFT, Operand.RIGHT_SHIFT),
    Kind.LEFT: (Operand.LEFT_SHIFT,),
}
"""What each kind may take from the layer."""
_PER = {"channel": False, "layer": True}


class StageList(str):
    """Stages in their order, and as a text the one line that :func:`stage_list` reads back: a value wherever texts are, as in a sweep's axes."""

    stages: tuple[Stage, ...]

    def __new__(cls, stages: Iterable[Stage]) -> Self:
        listed = tuple(stages)
        made = super().__new__(cls, "; ".join(" ".join((kind, *_words(body))) for kind, body in map(_item, listed)))
        made.stages = listed
        return made

    def __reduce__(self) -> tuple[Callable[[object], StageList], tuple[str]]:
        return stage_list, (str(self),)

    def to_data(self) -> list[dict[str, Any]]:
        """As YAML has it: one mapping per stage, of its kind to its entries."""
        return [{kind: body} for kind, body in map(_item, self.stages)]

    @property
    def formulas(self) -> tuple[str, ...]:
        """One formula per stage."""
        return tuple(stage.formula for stage in self.stages)


def stage_list(data: object) -> StageList:
    """The stages in ``data``: a list of one-entry mappings, or one line such as ``multiply multiplier bits=8; saturate 8``.

    ConfigError names the stage by number and kind, what was expected, and the nearest name of one that is misspelt. Whether widths hold
    is asked by :func:`accelsim.numerics.stages.staged_scheme`, which knows the accumulator.
    """
    if isinstance(data, StageList):
        return data
    items = _split(data) if isinstance(data, str) else data
    if not isinstance(items, list | tuple) or not 1 <= len(items) <= MOST_STAGES:
        got = f"{len(items)} entries" if isinstance(items, list | tuple) else repr(data)[:60]
        raise ConfigError(f"stages: expected a list of 1 to {MOST_STAGES} stages such as 'saturate: 8', got {got}")
    return StageList(tuple(_stage(i, item) for i, item in enumerate(items, start=1)))


def _split(text: str) -> list[object]:
    """The stages of one line as mappings."""
    return [_of_words(words) for words in (part.split() for part in text.split(";"))]


def _of_words(words: Sequence[str]) -> object:
    if not words:
        return ""
    kind, *rest = words
    plain = [word for word in rest if "=" not in word]
    body: dict[str, object] = {key: _value(text) for key, _, text in (w.partition("=") for w in rest if "=" in w)}
    if plain:
        subject = SUBJECT.get(_kind_or_none(kind) or Kind.CLIP, "?")
        body = {subject: [_value(w) for w in plain] if subject == "values" else _value(" ".join(plain)), **body}
    return {kind: body}


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return text


def _kind_or_none(name: object) -> Kind | None:
    return Kind(str(name)) if name in list(Kind) else None


def _stage(number: int, item: object) -> Stage:
    where = f"stage {number}"
    if not isinstance(item, Mapping) or len(item) != 1:
        raise ConfigError(
            f"{where}: expected one entry, a kind and its operand such as 'saturate: 8', got {item!r:.60}"
        )
    ((name, body),) = item.items()
    kind = _kind_or_none(name)
    if kind is None:
        raise ConfigError(f"{where}: unknown kind {name!r:.60}; expected one of {', '.join(Kind)}{_near(name, Kind)}")
    return _Reader(f"{where} ({kind})", kind, body).stage()


def _near(name: object, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(map(str, choices)), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class _Reader:
    """The entries of one stage, each asked for once; what nobody asks for is unknown."""

    def __init__(self, where: str, kind: Kind, body: object) -> None:
        self.where, self.kind = where, kind
        if not isinstance(body, Mapping):
            if kind not in SUBJECT:
                raise self.error(f"expected {' and '.join(KEYS[kind])}, got {body!r:.60}")
            body = {SUBJECT[kind]: body}
        self.body = body
        for key in body:
            if key not in KEYS[kind]:
                raise self.error(f"unknown key {key!r:.60}; expected {', '.join(KEYS[kind])}{_near(key, KEYS[kind])}")

    def error(self, text: str) -> ConfigError:
        return ConfigError(f"{self.where}: {text}")

    def stage(self) -> Stage:
        match self.kind:
            case Kind.WRAP | Kind.SATURATE:
                return Stage(kind=self.kind, bits=self.whole("bits", 1, MAX_BITS), signed=self.flag("signed"))
            case Kind.CLIP:
                return self.clip()
            case Kind.TABLE:
                return Stage(kind=self.kind, values=self.values())
            case Kind.SHIFT | Kind.LEFT:
                return self.shift()
        return self.value()

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.body.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            got = f"got {value!r:.60}" if key in self.body else "it is missing"
            raise self.error(f"expected {key}, a whole number from {low} to {high}; {got}")
        return value

    def flag(self, key: str) -> bool:
        value = self.body.get(key, True)
        if not isinstance(value, bool):
            raise self.error(f"expected {key}: true or false, got {value!r:.60}")
        return value

    def word(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        value, names = self.body.get(key, default), list(choices)
        if value not in names:
            got = f"got {value!r:.60}" if key in self.body else "it is missing"
            raise self.error(f"expected {key}, one of {', '.join(names)}; {got}{_near(value, names)}")
        return str(value)

    def operand(self) -> int | Operand:
        """The subject: a constant, or a name that this kind may take from the layer."""
        key, names = SUBJECT[self.kind], OPERANDS[self.kind]
        value = self.body.get(key)
        if isinstance(value, str):
            return Operand(self.word(key, names))
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"expected {key}, a whole number or {' or '.join(names)}; got {value!r:.60}")
        return value

    def value(self) -> Stage:
        operand = self.operand()
        if not isinstance(operand, Operand):
            self.only("value", "by")
            return Stage(kind=self.kind, operand=operand, bits=max(operand.bit_length() + 1, 2))
        shared = self.kind is Kind.MULTIPLY and _PER[self.word("per", _PER, "channel")]
        left = self.whole("left", 0, LARGEST_SHIFT - 1, 0) if operand is Operand.BIAS else 0
        if "left" in self.body and operand is not Operand.BIAS:
            raise self.error("left belongs to the bias; take it out")
        signed = self.flag("signed")
        bits = self.whole("bits", 2, WIDEST_MULTIPLIER + signed if self.kind is Kind.MULTIPLY else MAX_BITS)
        return Stage(kind=self.kind, operand=operand, bits=bits, signed=signed, left=left, shared=shared)

    def only(self, *keys: str) -> None:
        """ConfigError for entries beside a constant that only what a layer gives can have."""
        extra = [key for key in self.body if key not in keys]
        if extra:
            raise self.error(f"{extra[0]} beside a constant says nothing; take it out")

    def shift(self) -> Stage:
        operand = self.operand()
        shared, most = False, 0
        if isinstance(operand, Operand):
            most = self.whole("max", 1, LARGEST_SHIFT)
            shared = self.kind is Kind.SHIFT and _PER[self.word("per", _PER, "channel")]
        else:
            self.only("by", "rounding")
            most = operand = self.whole("by", 0, LARGEST_SHIFT - 1)
        rounding = Rounding.FLOOR
        if self.kind is Kind.SHIFT:
            rounding = Rounding(self.word("rounding", Rounding))
        return Stage(kind=self.kind, operand=operand, rounding=rounding, most=most, shared=shared)

    def clip(self) -> Stage:
        edge = 1 << (MAX_BITS - 1)
        low, high = (self.whole(key, -edge, edge - 1) if key in self.body else None for key in ("min", "max"))
        if low is None and high is None:
            raise self.error("expected min, max or both")
        if low is not None and high is not None and low > high:
            raise self.error(f"expected min <= max, got {low} and {high}")
        return Stage(kind=self.kind, low=low, high=high)

    def values(self) -> tuple[int, ...]:
        given = self.body.get("values")
        plain = isinstance(given, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in given)
        if not plain or not 2 <= len(given) <= LARGEST_TABLE or len(given) & (len(given) - 1):  # type: ignore[arg-type]
            raise self.error(f"expected values, 2, 4, 8 ... {LARGEST_TABLE} whole numbers, got {given!r:.60}")
        edge = 1 << 31
        if not all(-edge <= value < edge for value in given):  # type: ignore[union-attr]
            raise self.error("expected values of 32 bits")
        return tuple(given)  # type: ignore[arg-type]


def _item(stage: Stage) -> tuple[str, dict[str, Any]]:
    """Kind and entries, as short as they can be read back."""
    body: dict[str, Any] = {}
    if stage.kind in OPERANDS:
        body[SUBJECT[stage.kind]] = stage.operand.value if isinstance(stage.operand, Operand) else stage.operand
    if stage.kind in (Kind.WRAP, Kind.SATURATE) or (
        stage.kind in (Kind.ADD, Kind.OFFSET, Kind.MULTIPLY) and stage.named
    ):
        body["bits"] = stage.bits
        body |= {} if stage.signed else {"signed": False}
    if stage.kind is Kind.SHIFT:
        body["rounding"] = stage.rounding.value
    if stage.kind in (Kind.SHIFT, Kind.LEFT) and stage.named:
        body["max"] = stage.most
    body |= {"left": stage.left} if stage.left else {}
    body |= {"per": "layer"} if stage.shared else {}
    ends = {"min": stage.low, "max": stage.high} if stage.kind is Kind.CLIP else {}
    body |= {key: value for key, value in ends.items() if value is not None}
    body |= {"values": list(stage.values)} if stage.values else {}
    return stage.kind.value, body


def _words(body: Mapping[str, Any]) -> Iterable[str]:
    """The entries as words; the subject stands first, by itself."""
    subject, *rest = body.items()
    if subject[0] in ("min", "max"):
        rest.insert(0, subject)
    else:
        yield " ".join(map(str, subject[1])) if isinstance(subject[1], list) else str(subject[1])
    for key, value in rest:
        yield f"{key}={str(value).lower()}"
