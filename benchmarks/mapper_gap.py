"""How far the default mapper is from the best that the search knows, for packaged networks on presets by each objective.

    python benchmarks/mapper_gap.py [--networks a,b] [--presets a,b] [--objectives a,b] [--seconds 10] [--quick] [--write]

A line for every search as it ends, then the page; ``--write`` puts it into ``docs/mapper_gap.md``, and so does nothing else. ``--quick``:
a few networks on two presets. What a preset does not hold is left out. A search ends when its time is over, so that a slow or busy
machine finds less: the figures are least gaps.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accelsim.arch import load_arch  # noqa: E402
from accelsim.errors import AccelsimError  # noqa: E402
from accelsim.importers import load_for, packaged_models, resolve_model  # noqa: E402
from accelsim.mapper import OBJECTIVES, divide_memory, search_network  # noqa: E402
from accelsim.resources import resource_path  # noqa: E402

PAGE = ROOT / "docs" / "mapper_gap.md"
QUICK = ("digits_cnn", "mobilenet_v2"), ("edge_16x16", "tiny_8x8")
STOPPED = "+"
"""Behind a gap: the time was over, so that a longer search may find more."""
WORST = 10


class Gap(NamedTuple):
    """What the default mapper takes over the best that is known, and that over a bound."""

    network: str
    preset: str
    objective: str
    gap: float
    bound: float
    stopped: bool


def networks_of() -> list[str]:
    """The packaged workloads that hold integers or shapes, each file once."""
    files = {path: name for name, path in packaged_models().items()}
    return [name for path, name in sorted(files.items(), key=lambda item: item[1]) if "float" not in name]


def presets_of() -> list[str]:
    """All of them."""
    return sorted(path.stem for path in resource_path("arch_configs").glob("*.yaml"))


def measured(network: str, preset: str, objectives: Iterable[str], seconds: float) -> list[Gap]:
    """One row per objective; none where the network does not fit."""
    rows = []
    for objective in objectives:
        try:
            graph, arch = load_for(resolve_model(network), load_arch(preset))
            arch = divide_memory(graph, arch=arch, objective=objective)
            begin = time.perf_counter()
            found = search_network(graph, arch=arch, objective=objective, seconds=seconds)
        except AccelsimError as error:
            print(f"{network} {preset}: {error}", file=sys.stderr)
            return []
        if not math.isfinite(found.value):
            print(f"{network} {preset}: more tile operations than are held", file=sys.stderr)
            return []
        row = Gap(
            network,
            preset,
            objective,
            found.default / found.value,
            found.value / found.bound,
            found.stopped is not None,
        )
        rows.append(row)
        end = f"{STOPPED} " if row.stopped else " "
        print(
            f"{network} {preset} {objective}: {row.gap:.4f}{end}bound {row.bound:.3f} {time.perf_counter() - begin:.1f} s",
            flush=True,
        )
    return rows


def table(rows: Sequence[Gap], objective: str) -> str:
    """Networks down, presets across."""
    presets, networks = (list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("preset", "network"))
    cells = {
        (row.network, row.preset): f"{row.gap:.3f}{STOPPED * row.stopped}" for row in rows if row.objective == objective
    }
    lines = [f"| {objective} | {' | '.join(presets)} |", "|---|" + "---:|" * len(presets)]
    lines += [f"| {n} | {' | '.join(cells.get((n, preset), '–') for preset in presets)} |" for n in networks]
    return "\n".join(lines)


def page(rows: Sequence[Gap], asked: str) -> str:
    """``docs/mapper_gap.md``; ``asked``: the arguments."""
    tables = "\n\n".join(
        table(rows, objective) for objective in OBJECTIVES if any(row.objective == objective for row in rows)
    )
    return f"""# How far the default mapper is from the best that is known

The default mapper's objective over the search's, on whole networks, exactly scheduled: 1.000 is as good. The search begins with
the default mapper's tiles, so that no figure is below 1. `{STOPPED}`: the time was over; a longer search may find more. `–`: the
network does not fit the machine, or was not asked for. Written by

```sh
python benchmarks/mapper_gap.py {asked}
```

{tables}
"""


def rows_of(text: str) -> list[Gap]:
    """The rows of a page, whose gaps are as it prints them; it has no bounds."""
    rows, presets, objective = list[Gap](), list[str](), ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| "):
            continue
        if cells[0] in OBJECTIVES:
            objective, presets = cells[0], cells[1:]
            continue
        for preset, cell in zip(presets, cells[1:], strict=True):
            if cell != "–":
                gap, stopped = float(cell.rstrip(STOPPED)), cell.endswith(STOPPED)
                rows.append(Gap(cells[0], preset, objective, gap, float("nan"), stopped))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("networks", "presets", "objectives"):
        parser.add_argument(f"--{name}", type=lambda text: text.split(","))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    networks = asked.networks or (QUICK[0] if asked.quick else networks_of())
    presets = asked.presets or (QUICK[1] if asked.quick else presets_of())
    objectives = asked.objectives or OBJECTIVES
    rows = [row for n in networks for p in presets for row in measured(n, p, objectives, asked.seconds)]
    if asked.write:
        PAGE.write_text(page(rows, " ".join(sys.argv[1:])), encoding="utf-8")
    else:
        print(page(rows, " ".join(sys.argv[1:])))
    for objective in objectives:
        worst = sorted((row for row in rows if row.objective == objective), key=lambda row: -row.gap)[:WORST]
        print(f"{objective}, worst: " + ", ".join(f"{row.network} on {row.preset} {row.gap:.3f}" for row in worst))


if __name__ == "__main__":
    main()
