"""What a mapping search found, layer by layer, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from accelsim.program import MacMapping
from accelsim.report.numbers import count, energy, short_names
from accelsim.report.terminal import fact_table, first_rows, text_table

if TYPE_CHECKING:
    from accelsim.mapper import Found, Searched

TITLES = ("", "layer", "tile", "order", "cycles", "energy", "from the bound", "proved", "tilings", "scheduled")
LEGEND = (
    ("cycles, energy", "of the layer alone on the machine"),
    ("from the bound", "how much worse than a bound that no tiling of the layer can beat, alone"),
    ("proved", "whether no other tiling of the layer is better, alone; the network may gain by another"),
)


def found_table(
    searched: Searched, *, layers: Sequence[str], heading: str, weight_banks: Sequence[int] = ()
) -> RenderableType:
    """One row per MAC layer that was found, with its index and name among all ``layers`` of the network, and what all take together.

    ``weight_banks``: those of each layer's weights in a memory that they share with activations.
    """
    short, found = short_names(layers), searched.layers
    banks: list[tuple[str, ...]] = [(str(each),) for each in weight_banks] or [()] * len(layers)
    cells = ((str(i), short[name], *_cells(found[name]), *banks[i]) for i, name in enumerate(layers) if name in found)
    rows, more = first_rows(cells, len(found), remedy="all are in the file of --out")
    titles = (*TITLES, *(("weight banks",) if weight_banks else ()))
    right = [title not in ("layer", "tile", "order", "proved") for title in titles]
    table = text_table(titles, rows, right=right)
    facts = fact_table(LEGEND)
    return Group(Text(heading, style="bold"), Text(), table, *more, Text(), Text(searched.summary), Text(), facts)


def _cells(found: Found) -> tuple[str, ...]:
    return (
        tile_text(found.mapping),
        found.mapping.order.replace("_", " "),
        count(found.cycles),
        energy(found.energy_pj),
        f"{(found.value / found.bound - 1) * 100:.1f} %",
        "yes" if found.proved else "no",
        count(found.fitting),
        count(found.scheduled),
    )


def tile_text(mapping: MacMapping) -> str:
    """``8x8 oc16 ic4 3x3``, and the groups and images where several stand in a tile."""
    groups = f" g{mapping.groups}" if mapping.groups > 1 else ""
    images = f" n{mapping.n}" if mapping.n > 1 else ""
    return f"{mapping.oh}x{mapping.ow} oc{mapping.oc} ic{mapping.ic} {mapping.kh}x{mapping.kw}{groups}{images}"
