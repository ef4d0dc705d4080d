"""Layer by layer, what is different in one Result from another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from accelsim.report.numbers import NONE
from accelsim.report.result.cells import tiles_by
from accelsim.result import LayerResult, Result

_ABOUT = ("name", "description", "source")
"""Entries of a machine that say nothing about what it does."""
ARROW = "→"


class Move(NamedTuple):
    """One layer in the base and in the other Result, None where it has none.

    ``latency`` and ``energy`` are by how much the layer moved the totals, as shares of the base's.
    """

    base: LayerResult | None
    other: LayerResult | None
    latency: float
    energy: float

    @property
    def size(self) -> float:
        """The larger of the two, without sign."""
        return max(abs(self.latency), abs(self.energy))

    @property
    def layer(self) -> LayerResult:
        """The layer of the base, or of the other where that has none."""
        found = self.base or self.other
        assert found is not None
        return found

    @property
    def bounds(self) -> tuple[str, ...]:
        """What bounds the layer: in the base and in the other where that is not the same."""
        return tuple(dict.fromkeys(layer.bound for layer in (self.base, self.other) if layer is not None))


def moves(base: Result, other: Result) -> tuple[Move, ...]:
    """Every layer of ``base``, then those of ``other`` alone.

    They are matched by name; in order where all names are other ones, but operators and MACs are the same.
    """
    before, after = _period(base), _period(other)
    latency, energy = base.total.latency_s or 1.0, base.total.energy_pj or 1.0
    return tuple(
        Move(
            mine,
            its,
            ((its.cycles * after if its else 0.0) - (mine.cycles * before if mine else 0.0)) / latency,
            ((its.energy_pj if its else 0.0) - (mine.energy_pj if mine else 0.0)) / energy,
        )
        for mine, its in _pairs(base.layers, other.layers)
    )


def _period(result: Result) -> float:
    """Seconds of a cycle."""
    return result.total.latency_s / result.total.cycles if result.total.cycles else 0.0


def _pairs(
    base: Sequence[LayerResult], other: Sequence[LayerResult]
) -> Iterator[tuple[LayerResult | None, LayerResult | None]]:
    its = {layer.name: layer for layer in other}
    if not any(layer.name in its for layer in base) and _kinds(base) == _kinds(other):
        yield from zip(base, other, strict=True)
        return
    for layer in base:
        yield layer, its.pop(layer.name, None)
    yield from ((None, layer) for layer in its.values())


def _kinds(layers: Sequence[LayerResult]) -> list[tuple[str, int]]:
    return [(layer.op, layer.macs) for layer in layers]


def largest(found: Sequence[Move], threshold: float) -> list[Move]:
    """Those that moved the latency or the energy by more than ``threshold`` of the base's, the largest first."""
    return sorted((move for move in found if move.size > threshold), key=lambda move: -move.size)


def bound_changes(found: Sequence[Move]) -> str:
    """How often what bounds a layer changed, by change, the most frequent first; of layers that both Results have."""
    both = [move for move in found if move.base and move.other]
    changes = Counter(move.bounds for move in both if len(move.bounds) == 2)
    if not changes:
        return "no layer has another bound than in the base" if both else "no layer is one of the base's"
    texts = (
        f"{before} {ARROW} {after} in {number} layer{'s' if number > 1 else ''}"
        for (before, after), number in changes.most_common()
    )
    return f"bound changed: {', '.join(texts)}"


def differences(base: Result, other: Result) -> list[str]:
    """What was asked differently: the model, entries of the machine, who cut the layers; in words."""
    entries: list[tuple[str, Any, Any]]
    entries = [("model", base.model, other.model), ("tiles by", tiles_by(base), tiles_by(other))]
    mine, its = (_flat(result.arch) | {"arithmetic": result.arithmetic} for result in (base, other))
    entries += [(path, mine.get(path), its.get(path)) for path in dict.fromkeys((*mine, *its)) if path not in _ABOUT]
    return [f"{path} {_shown(before)} {ARROW} {_shown(after)}" for path, before, after in entries if before != after]


def _flat(arch: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in arch.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int | float) else NONE if value is None else str(value)
