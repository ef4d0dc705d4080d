"""Compare cycles with published counters and write them into ``docs/validation.md``.

    python docs/make_timing.py

The page's text stays; the table between the markers is replaced.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accelsim import Result, simulate
from docs.pages import VALIDATION, replaced

PUBLISHED = {
    "tpu_mlp0": (12.7, 15.9, 53.9, 17.5, 12.3),
    "tpu_lstm0": (8.2, 15.8, 58.1, 17.9, 3.7),
    "tpu_cnn0": (78.2, 0.0, 0.0, 21.8, 86.0),
}
"""Jouppi et al., ISCA 2017, Table 3: array active, weight shift, weight stall, non-matrix (percent of cycles); TeraOps/s."""
ROWS = ("array active, %", "weight shift, %", "weight stall, %", "non-matrix, %", "TOPS")
WEIGHT_CAUSES = ("load_weights", "dram_latency")
ACTIVE = ("stream", "weight_shift")


def simulated(result: Result) -> tuple[float, ...]:
    """The paper's counters as accelsim has them.

    Weight stall: the array waits for weights, or for the DRAM's latency behind them; all other waits are non-matrix.
    """
    total, time = result.total, result.total.array_cycles
    stall = sum(time.get(cause, 0) for cause in WEIGHT_CAUSES)
    rest = sum(cycles for cause, cycles in time.items() if cause not in (*WEIGHT_CAUSES, *ACTIVE))
    shares = (cycles / total.cycles * 100 for cycles in (time["stream"], time["weight_shift"], stall, rest))
    return *shares, 2 * total.macs / total.latency_s / 1e12


def table() -> str:
    """The three applications whose counters are published, accelsim beside them."""
    columns = {name: simulated(simulate(name, arch="tpu_v1")) for name in PUBLISHED}
    titles = " | ".join(f"{name.removeprefix('tpu_').upper()} published | accelsim" for name in PUBLISHED)
    lines = [f"| counter | {titles} |", "|---|" + "---:|" * 2 * len(PUBLISHED)]
    for i, row in enumerate(ROWS):
        cells = " | ".join(f"{PUBLISHED[name][i]:.1f} | {columns[name][i]:.1f}" for name in PUBLISHED)
        lines.append(f"| {row} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    VALIDATION.write_text(replaced(VALIDATION.read_text(encoding="utf-8"), "tpu", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
