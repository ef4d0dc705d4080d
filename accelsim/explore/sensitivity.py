"""``sensitivity``: how much latency, energy and area follow each number of a machine, every step of it mapped afresh."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from accelsim.arch import DEFAULT_ARCH, Arch, load_arch
from accelsim.energy import table_of
from accelsim.errors import AccelsimError, ConfigError
from accelsim.explore.evaluate import evaluate
from accelsim.graph import Graph
from accelsim.importers import load_for
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, checked_objective
from accelsim.result import FIGURES, Figures, Knob, Point, Sensitivity, package_version

STEP = 1.1
"""Factor between a knob and its next values."""
MOST_STEP = 10.0
NO_EFFECT = 1e-9
"""ln of a ratio below which two figures are the same: energies agree to 1e-12."""
_NAMES = ("array.first_cycle", "array.brick_bits")
"""Numbers that name a choice, and are no quantity."""
_TABLES_OWN = {"tech.node_nm": "node_nm", "tech.voltage_v": "voltage_v"}
"""Numbers that are the energy table's own where the machine states none, by their names there."""
_TREE = ("array.rows", "accumulator.products_per_add")
"""One number of a machine with adder trees, which is its first path."""
_RESIDENT = "activation_buffer.resident_bytes"
_CHUNK = 16
"""Machines between two reports of progress."""
Progress = Callable[[str, int, int], None]


class _Side(NamedTuple):
    """A knob with its own value, and the machine's edit to a ``value`` beside it: None, and ``why``, where no such machine is legal."""

    path: str
    own: float
    value: float | None
    edit: dict[str, object]
    why: str = ""


_Both = tuple[_Side, _Side]


def sensitivity(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    objective: Objective = DEFAULT_OBJECTIVE,
    step: float = STEP,
    progress: Progress | None = None,
) -> Sensitivity:
    """The elasticity, d ln y / d ln x, of latency, energy and area to every number x of the machine ``arch``.

    By central differences between x / ``step`` and x * ``step``, or the nearest legal values (whole numbers, powers of two); from the
    machine itself where only one side is legal, or x is 0, which :class:`accelsim.result.Knob` says. Every point is a row of
    :func:`evaluate`, mapped afresh for ``objective``; knobs are sorted by their effect on it: latency for ``cycles``, energy, or the
    product of both for ``edp``. Numbers that the machine leaves open (null, auto) are no knobs, but for node and voltage, which
    then are the energy table's. ConfigError for a ``step`` that is none; errors of ``model`` and ``arch`` as of :func:`accelsim.simulate`.
    """
    if not 1 < step <= MOST_STEP:
        raise ConfigError(f"step: expected a factor above 1, at most {MOST_STEP:g}, got {step:g}")
    checked_objective(objective)
    graph, machine = load_for(model, arch if isinstance(arch, Arch) else load_arch(arch))
    sides = [_sides(machine, path, own, step) for path, own in _knobs(machine)]
    steps = [side for both in sides for side in both]
    rows = _rows(graph, machine, [{}, *(side.edit for side in steps)], objective, progress)
    if rows[0]["error"]:
        raise AccelsimError(str(rows[0]["error"]))
    base, points = Figures(**_figures(rows[0])), [_point(side, row) for side, row in zip(steps, rows[1:], strict=True)]
    knobs = [_knob(both, points[2 * k], points[2 * k + 1], base, objective) for k, both in enumerate(sides)]
    return Sensitivity(
        accelsim_version=package_version(),
        model=graph.name,
        arch=machine.model_dump(mode="json"),
        objective=objective,
        step=step,
        base=base,
        knobs=tuple(sorted((k for k in knobs if k.below or k.above), key=_order)),
        fixed={knob.path: knob.note for knob in knobs if not (knob.below or knob.above)},
    )


def _knobs(arch: Arch) -> Iterator[tuple[str, float]]:
    """Every number of the machine, by its path."""
    for path in arch.paths():
        value = arch.get(path)
        if value is None and path in _TABLES_OWN:
            value = _float(getattr(table_of(arch), _TABLES_OWN[path]))
        named = path in _NAMES or (path == _TREE[1] and arch.array.flow.broadcast)
        if isinstance(value, int | float) and not isinstance(value, bool) and not named:
            yield path, value


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _sides(arch: Arch, path: str, own: float, step: float) -> _Both:
    """The nearest machines with less and with more of a knob."""
    return _side(arch, path, own, _below(own, step)), _side(arch, path, own, _above(arch, path, own, step))


def _below(own: float, step: float) -> list[float]:
    """Smaller values to try, the best first."""
    if not own:
        return []
    return [own / step] if isinstance(own, float) else [min(round(own / step), own - 1), own // 2]


def _above(arch: Arch, path: str, own: float, step: float) -> list[float]:
    """Larger values to try, the best first."""
    if not own:
        return [math.floor((1 - 1 / step) * arch.most_kept_bytes)] if path == _RESIDENT else [1]
    return [own * step] if isinstance(own, float) else [max(round(own * step), own + 1), own * 2]


def _side(arch: Arch, path: str, own: float, values: Sequence[float]) -> _Side:
    """The first of ``values`` that makes a machine."""
    why = ""
    for value in values:
        edit = edit_of(arch, path, value)
        try:
            arch.with_(edit)
        except ConfigError as error:
            why = why or str(error)
        else:
            if value:
                return _Side(path, own, value, edit)
            why = why or "0 has no logarithm"
    return _Side(path, own, None, {}, why or "it is 0")


def edit_of(arch: Arch, path: str, value: object) -> dict[str, object]:
    """``value`` at ``path``, and at what has to have the same: the products of an adder tree, all added at once, at its height."""
    tied = path == _TREE[0] and arch.array.flow.broadcast
    return dict.fromkeys(_TREE if tied else (path,), value)


def _rows(
    graph: Graph, arch: Arch, edits: Sequence[dict[str, object]], objective: Objective, progress: Progress | None
) -> list[Any]:
    """The row of :func:`evaluate` of each of ``edits``; those of a side without a machine are the machine's own."""
    rows: list[Any] = []
    for begin in range(0, len(edits), _CHUNK):
        rows += list(evaluate(graph, arch=arch, edits=edits[begin : begin + _CHUNK], objective=objective))
        if progress is not None:
            progress("machines", len(rows), len(edits))
    return rows


def _figures(row: Any) -> dict[str, Any]:
    area = float(row["area_um2"])
    known = {"latency_s": float(row["latency_s"]), "energy_pj": float(row["energy_pj"])}
    return {"cycles": int(row["cycles"]), **known, "area_um2": None if math.isnan(area) else area}


def _point(side: _Side, row: Any) -> Point | str:
    """What came out of one side, or why nothing did."""
    if side.value is None or row["error"]:
        return side.why or str(row["error"])
    return Point(value=side.value, **_figures(row))


def _knob(both: _Both, below: Point | str, above: Point | str, base: Figures, objective: Objective) -> Knob:
    path, own = both[0].path, both[0].own
    whys = [f"no {side}: {point}" for side, point in (("less", below), ("more", above)) if isinstance(point, str)]
    low, high = (None if isinstance(point, str) else point for point in (below, above))
    moved = _logs(low or base, high or base, objective)
    span = math.log((high.value if high else own) / (low.value if low else own)) if own and (low or high) else 0.0
    tied = tuple(path for path in both[1].edit if path != both[1].path)
    return Knob(
        path=path,
        value=own,
        below=low,
        above=high,
        elasticity={name: None if ln is None else ln / span for name, ln in moved.items()} if span else {},
        change={} if own else moved,
        note="; ".join(whys) if own or low or high is None else "it is 0, so that the effect is that of one step up",
        tied=tied,
    )


def _logs(low: Figures, high: Figures, objective: Objective) -> dict[str, float | None]:
    """ln of the ratio of two machines, by figure."""
    moved = {name: _log(getattr(low, name), getattr(high, name)) for name in FIGURES}
    latency, energy = moved["latency_s"] or 0.0, moved["energy_pj"] or 0.0
    return {"objective": {"cycles": latency, "energy": energy, "edp": latency + energy}[objective], **moved}


def _log(low: float | None, high: float | None) -> float | None:
    if not low or not high:
        return None
    found = math.log(high / low)
    return found if abs(found) > NO_EFFECT else 0.0


def _order(knob: Knob) -> tuple[bool, bool, float, str]:
    """Those with an effect first, those at 0 behind the others, by their effect on the objective."""
    effect = knob.effect
    return not any(effect.values()), not knob.value, -abs(effect.get("objective") or 0.0), knob.path
