"""Zero operands, toggle rates and energy of one inference, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from accelsim.report.energy import Page
from accelsim.report.numbers import NONE, energy, share, short_names

if TYPE_CHECKING:
    from accelsim.activity import Activity, ActivityEnergy

_RATES = ("activation_register", "weight_register", "partial_sum", "accumulator", "dram_bus")
COLUMNS = (
    "layer", "tiles", "zero MACs", "input code", "weight bits", "input bits", "inputs toggle", "weights", "sums", "accumulators", "DRAM bus",
    "by the table", "by the data", "ratio", "at worst",
)  # fmt: skip


def activity_page(activities: Sequence[Activity], energies: Sequence[ActivityEnergy], *, layers: Iterable[str]) -> Page:
    """One row per MAC layer, called as among all ``layers`` of the network, and a total.

    Toggle rates are toggled bits per bit and transition, half of them in random data.
    """
    short = short_names(layers)
    rows = [
        (
            short[one.layer],
            f"{one.sampled_tiles} of {one.tiles}",
            share(1 - one.density),
            share(one.input_code),
            f"{one.weight_significant_bits:.1f}",
            f"{one.activation_significant_bits:.1f}",
            *(_rate(one, wire) for wire in _RATES),
            *_energies([spent]),
        )
        for one, spent in zip(activities, energies, strict=True)
    ]
    rows.append(("total", *[NONE] * 10, *_energies(energies)))
    return Page("activity of one inference, layers with MACs", COLUMNS, rows)


def _rate(activity: Activity, wire: str) -> str:
    rate = activity.wires[wire].rate
    return NONE if rate is None else f"{rate:.2f}"


def _energies(layers: Sequence[ActivityEnergy]) -> tuple[str, ...]:
    table, data, worst = (
        sum(sum(split.values()) for split in splits)
        for splits in zip(*((one.table_pj, one.data_pj, one.worst_pj) for one in layers), strict=True)
    )
    return energy(table), energy(data), f"{data / table:.2f}" if table else NONE, energy(worst)
