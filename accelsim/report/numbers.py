"""How figures print: counts, shares, sizes, times, energies, and short names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from accelsim.display import printable
from accelsim.names import LayerNames

NONE = "—"
"""What is not modelled, or does not exist; never 0."""
NAME_WIDTH = 30
"""Characters of a layer's name, where there is room."""


def short_names(names: Iterable[str], width: int = NAME_WIDTH) -> dict[str, str]:
    """What stands for each layer of a network in a table (:meth:`accelsim.names.LayerNames.shown`), by its whole name."""
    known = LayerNames(names)
    return dict(zip(known.names, map(printable, known.shown(width)), strict=True))


def count(value: int) -> str:
    """A count with thousands separated."""
    return f"{value:,}"


def share(value: float | None) -> str:
    """A fraction in percent."""
    return NONE if value is None else f"{value * 100:.1f} %"


_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))
_WATTS = ((1.0, "W"), (1e-3, "mW"), (1e-6, "µW"), (1e-9, "nW"))


_FIGURE = re.compile(r"×?([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?: (\S+))?")
_UNITS = {unit: scale for table in (_BYTES, _SECONDS, _JOULES, _WATTS) for scale, unit in table} | {
    "mm²": 1e6,
    "%": 0.01,
}


def magnitude(text: str) -> float | None:
    """The figure that ``text`` begins with, in units of the functions below (of areas µm²); None where it begins with none."""
    found = _FIGURE.match(text)
    if found is None:
        return None
    return float(found[1].replace(",", "")) * _UNITS.get(found[2] or "", 1.0)


def scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    """``value`` with one decimal in the largest unit that it reaches (the last one where it reaches none)."""
    scale, unit = next(((s, u) for s, u in units if round(value / s, 1) >= 1), units[-1])
    return f"{value / scale:,.1f} {unit}"


_FIGURES = {"_s": (1.0, _SECONDS), "_pj": (1e-12, _JOULES), "_um2": (1e-6, ((1.0, "mm²"),)), "_bytes": (1.0, _BYTES)}


def figure(name: str, value: float | None) -> str:
    """Four digits of a column of a sweep's table, in the unit that its ``name`` ends in; without a unit, all of a whole number."""
    if value is None or value != value:
        return NONE
    factor, units = next((known for end, known in _FIGURES.items() if name.endswith(end)), (1.0, ()))
    for scale, unit in units:
        if abs(value * factor) >= scale or unit == "mm²":
            return f"{value * factor / scale:.4g} {unit}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def size(value_bytes: int) -> str:
    """Bytes, scaled by 1024."""
    return scaled(value_bytes, _BYTES) if value_bytes >= 1024 else f"{value_bytes} B"


def energy(value_pj: float) -> str:
    """An energy given in picojoules."""
    return scaled(value_pj * 1e-12, _JOULES)


def seconds(value_s: float) -> str:
    """A time."""
    return scaled(value_s, _SECONDS)


def power(value_w: float) -> str:
    """A power; NONE where no time passed."""
    return scaled(value_w, _WATTS) if value_w else NONE


def area(value_um2: float) -> str:
    """An area."""
    return f"{value_um2 * 1e-6:.3g} mm²" if value_um2 >= 1e4 else f"{value_um2:.3g} µm²"


def femtojoules(value_fj: float | None) -> str:
    """An energy per MAC; NONE where there are no MACs."""
    return NONE if value_fj is None else f"{value_fj:,.{0 if value_fj >= 100 else 2}f} fJ"


def component_name(component: str) -> str:
    """A component of the energy split for people."""
    return component.upper() if component in ("dram", "dma") else component.replace("_", " ")
