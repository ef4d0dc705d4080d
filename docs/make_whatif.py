"""Ask the what-ifs of ``docs/whatif.md`` and write their tables and plots.

    python docs/make_whatif.py

The page's text stays; the tables between the markers are replaced, the plots beside it drawn anew.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import accelsim
from docs.pages import replaced

PAGE = Path(__file__).resolve().parent / "whatif.md"
PLOTS = PAGE.parent / "whatif"
NETWORK, MACHINE = "mobilenet_v2", "edge_16x16"
Answers = dict[str, np.ndarray[Any, Any]]
SEEDS = range(150)
"""Of the random networks and machines whose anomalies are listed."""


class WhatIf(NamedTuple):
    """A ladder of values of one path, asked in some ways: each a name and edits that all its points share."""

    name: str
    path: str
    values: Sequence[Any]
    label: str
    ways: dict[str, dict[str, Any]]


OBJECTIVES = {f"least {name}": {"mapping.objective": name} for name in ("cycles", "energy", "edp")}
RESIDENT = {
    "tiles alone": {"activation_buffer.resident_bytes": 0},
    "divided (auto)": {"activation_buffer.resident_bytes": "auto"},
}
WHAT_IFS = (
    WhatIf(
        "bandwidth",
        "dram.bandwidth_bytes_per_s",
        [f"{rate} GB/s" for rate in (0.4, 0.8, 1.6, 3.2, 6.4, 12.8)],
        "DRAM bandwidth",
        OBJECTIVES,
    ),
    WhatIf(
        "sram",
        "activation_buffer.size_bytes",
        [f"{size} KiB" for size in (64, 128, 256, 512, 1024, 2048)],
        "activation buffer",
        RESIDENT,
    ),
    WhatIf("bits", "weights.bits", (16, 8, 4, 2), "bits of weights", {"least edp": {}}),
    WhatIf("voltage", "tech.voltage_v", (0.9, 1.0, 1.1), "supply, V", {"least edp": {}}),
)


def ask(what_if: WhatIf) -> Answers:
    """Rows of :func:`accelsim.evaluate` for every value, by way."""
    return {
        way: accelsim.evaluate(NETWORK, arch=MACHINE, edits=[{what_if.path: v, **edits} for v in what_if.values])
        for way, edits in what_if.ways.items()
    }


def table(what_if: WhatIf, found: Answers) -> str:
    """One row per value: cycles, energy, DRAM traffic, of each way."""
    head = " | ".join(f"{way}: M cycles | mJ | DRAM MB" for way in found)
    lines = [f"| {what_if.label} | {head} |", "|---" + "|---:" * (3 * len(found)) + "|"]
    for k, value in enumerate(what_if.values):
        cells = []
        for rows in found.values():
            moved = rows[k]["dram_read_bytes"] + rows[k]["dram_write_bytes"]
            figures = rows[k]["cycles"] / 1e6, rows[k]["energy_pj"] / 1e9, moved / 1e6
            cells += [f"{figure:.2f}" if rows[k]["cycles"] >= 0 else "–" for figure in figures]
        lines.append(f"| {value} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(what_if: WhatIf, found: Answers) -> None:
    """Cycles and energy against the values, a line for each way."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "accelsim"
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes, field, scale, label in zip(
        figure.subplots(1, 2), ("cycles", "energy_pj"), (1e6, 1e9), ("million cycles", "millijoules"), strict=True
    ):
        for (way, rows), marker in zip(found.items(), "os^", strict=False):
            axes.plot([str(value) for value in what_if.values], rows[field] / scale, marker=marker, label=way)
        axes.set(xlabel=what_if.label, ylabel=label, ylim=(0, None))
        axes.tick_params(axis="x", labelrotation=30)
    axes.legend(frameon=False, fontsize="small")
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / f"{what_if.name}.svg", metadata={"Date": None})


def anomaly_table() -> str:
    """What more of something made worse, on random networks and machines."""
    from tests.laws.test_what_ifs import anomalies

    taken, worse = anomalies(SEEDS)
    head = f"| {len(worse)} of {taken} steps: more | objective | ratio | seed |", "|---|---|---:|---:|"
    rows = sorted(worse, key=lambda step: -step.ratio)
    return "\n".join([*head, *(f"| {s.more} | {s.objective} | {s.ratio:.3f} | {s.seed} |" for s in rows)]) + "\n"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for what_if in WHAT_IFS:
        found = ask(what_if)
        text = replaced(text, what_if.name, table(what_if, found))
        plot(what_if, found)
    text = replaced(text, "anomalies", anomaly_table())
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
