"""What bounds each layer and what would relieve it, as sentences and as a table of the changes that were simulated."""

from __future__ import annotations

from collections import Counter

from accelsim.report.numbers import NONE, area, count, energy, share
from accelsim.report.pages import Cell, html_table
from accelsim.report.whatif import ratio_text
from accelsim.result import LEAST_GAIN, Bound, Change, LayerResult, Reliefs

_BOUND_BY: dict[Bound, str] = {
    "compute": "the array's work",
    "fill/drain": "filling and draining the array",
    "weight load": "loading weights from DRAM",
    "activation load": "loading activations from DRAM",
    "store": "storing results to DRAM",
    "requantize": "the requantizer",
    "vector": "the vector unit",
    "keep": "keeping results on chip",
    "recall": "recalling what is kept on chip",
    "none": "nothing",
}
_HEAD = ("change", "edit", "cycles", "×", "energy", "×", "area", "layers it relieves most")
_RIGHT = (False, False, True, True, True, True, True, True)


def sentence(layer: LayerResult, found: Reliefs) -> str:
    """What bounds ``layer``, and which simulated change takes how much off it."""
    if not layer.tiles:
        return ""
    start, relief = f"Bound by {_BOUND_BY[layer.bound]}", found.of(layer)
    if relief is None:
        return f"{start}; no change that was tried takes {share(LEAST_GAIN)} off this layer."
    return (
        f"{start}: {relief.change.text} takes {share(relief.gain)} off this layer "
        f"({count(relief.before)} → {count(relief.after)} cycles)."
    )


def changes_html(found: Reliefs) -> str:
    """The changes with what they made of the whole network, and how all of it was found."""
    best = Counter(relief.change.text for layer in found.base.layers if (relief := found.of(layer)))
    rows = [_row(change, found, best[change.text]) for change in found.changes]
    how = (
        f"<p>Each change was simulated for the whole network, mapped afresh as the run itself ({len(found.changes)} runs). A layer's "
        "cycles are what it adds to the network's finish, with all other layers on the changed machine too; changes are not added up.</p>"
    )
    return how + html_table(_HEAD, rows, _RIGHT)


def _row(change: Change, found: Reliefs, best: int) -> tuple[str | Cell, ...]:
    edit = ", ".join(f"{path}={value:,}" for path, value in change.edit.items())
    result, base = change.result, found.base
    if result is None:
        return change.text, Cell(f"refused: {change.why}", change.why), *[NONE] * 6
    um2 = result.area_um2
    return (
        change.text,
        edit,
        count(result.total.cycles),
        ratio_text(result.total.cycles, base.total.cycles),
        energy(result.total.energy_pj),
        ratio_text(result.total.energy_pj, base.total.energy_pj),
        NONE if um2 is None else area(um2),
        str(best),
    )
