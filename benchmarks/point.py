"""Machines per second of ``accelsim.evaluate``, one core, every machine mapped afresh; where the time goes; what it equals.

python benchmarks/point.py                   # rates on a grid of arrays, buffers and bandwidths, beside simulate, and where time goes
python benchmarks/point.py --growth          # networks of 10 to 1000 layers
python benchmarks/point.py --many 1000000    # so many points of a small network: seconds, and memory beside the table
python benchmarks/point.py --check 10000     # random networks and machines against simulate; exit code 1 where a row differs
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import accelsim
from accelsim.arch import load_arch
from accelsim.graph import Graph
from accelsim.importers import load_for
from accelsim.mapper import DEFAULT_OBJECTIVE, OBJECTIVES
from accelsim.mapper.compiled import Exact, Layers, Point, map_network, settle
from accelsim.mapper.network import Groups, Lowered, counts_of
from accelsim.timing import CHIP, WIDTH, chip_of, queues_of, width_of
from accelsim.timing.compiled import network_cycles

ROUNDS = 5
PRESET = "edge_16x16"
GRID = {
    "array.rows": (8, 16, 32, 64),
    "array.cols": (8, 16, 32, 64),
    "weight_buffer.size_bytes": (2**14, 2**16, 2**18),
    "activation_buffer.size_bytes": (2**15, 2**17),
    "dram.bandwidth_bytes_per_s": (10**9, 4 * 10**9, 16 * 10**9),
}


def grid() -> list[dict[str, int]]:
    """Every combination."""
    return [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]


def fastest(call: Callable[[], Any]) -> float:
    """Least CPU seconds of some calls behind a first one."""
    call()
    spent = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        call()
        spent.append(time.process_time() - begin)
    return min(spent)


def rates(model: str) -> None:
    """Networks per second on the grid, and how many a run each makes."""
    edits, arch = grid(), load_arch(PRESET)
    table = accelsim.evaluate(model, arch=arch, edits=edits)
    begin = time.process_time()
    accelsim.evaluate(model, arch=arch, edits=edits)
    points = len(edits) / (time.process_time() - begin)
    alone = fastest(lambda: accelsim.simulate(model, arch=arch.with_(edits[0])))
    errors = int((table["error"] != "").sum())
    print(
        f"{model}: {len(edits)} machines, {errors} errors: {points:,.0f} networks/s, {points * alone:,.0f} x simulate"
    )


def parts(model: str) -> None:
    """Milliseconds of one machine, by what is done."""
    graph, arch = load_for(model, load_arch(PRESET))
    lowered = Lowered(graph)
    chip = np.array([tuple(chip_of(arch).values())], CHIP)[0]
    widths = np.array([width_of(arch, *bits) for bits in lowered.widths], WIDTH)
    tilings, kept, queue = lowered.tilings(arch, DEFAULT_OBJECTIVE), lowered.kept(arch), queues_of(arch)
    counts, figures = counts_of(len(graph.layers))
    network, tiles, groups = lowered.network(arch), lowered.cuts.tiles(), Groups(graph)
    layers, prices = Layers(lowered.twins, groups.of, lowered.space(arch), counts, figures), groups.prices(arch)
    point = Point(network, chip, widths, kept, layers, prices.rates)
    charges = groups.charges([prices], arch.array.flow.stationary, arch.streams.apart)[0]
    exact = Exact(tiles, queue, charges, prices.clock + prices.leakage)

    def tried() -> None:
        mapped = tilings.copy()
        settle(point, exact, OBJECTIVES.index(DEFAULT_OBJECTIVE), mapped)

    def scheduled() -> None:
        figures[:] = 0
        network_cycles(network, chip, widths, tilings, tiles, kept, queue, counts)

    spent = {
        "machine from edits": fastest(lambda: arch.with_({"array.rows": 8})),
        "machine as records": fastest(lambda: chip_of(arch)),
        **{
            f"mapping for {name}": fastest(lambda o=k: map_network(point, o, tilings))
            for k, name in enumerate(OBJECTIVES)
        },
        "operations and schedule": fastest(scheduled),
        "other tiles in the schedule": fastest(tried),
    }
    text = ", ".join(f"{name} {1e3 * seconds:.3f}" for name, seconds in spent.items())
    print(f"{model}: ms: {text} ({counts['operations'].sum():,} tile operations)")


def growth(folder: Path) -> None:
    """Rates of stacks of one layer."""
    for layers in (10, 100, 1000):
        path = folder / f"stack{layers}.csv"
        rows = [f"conv{i},conv2d,16,16,32,32,3,3,1,same" for i in range(layers)]
        path.write_text("name,op,h,w,c,oc,kh,kw,stride,padding\n" + "\n".join(rows) + "\n")
        edits = grid()[::8]
        accelsim.evaluate(path, arch=PRESET, edits=edits)
        begin = time.process_time()
        accelsim.evaluate(path, arch=PRESET, edits=edits)
        print(f"{layers} layers: {len(edits) / (time.process_time() - begin):,.0f} networks/s")


def many(count: int) -> None:
    """So many points of a small network: seconds and peak memory beside the table."""
    edits = ({"dram.bandwidth_bytes_per_s": 10**8 + i, "array.rows": 1 + i % 64} for i in range(count))
    accelsim.evaluate("digits_cnn", arch=PRESET, edits=[{}])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    table = accelsim.evaluate("digits_cnn", arch=PRESET, edits=edits)
    seconds = time.process_time() - begin
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = table.nbytes / 2**20
    print(
        f"{count:,} points: {seconds:,.0f} s, {count / seconds:,.0f} points/s; table {size:,.0f} MiB, peak grew by {grown:,.0f} MiB"
    )


def check(count: int) -> int:
    """Rows that differ from ``simulate``, over random networks, machines and edits."""
    from tests.explore.test_evaluate import network_and_machine, same, what_if

    differing, seen, seed = 0, 0, 0
    while seen < count:
        rng = np.random.default_rng(seed)
        graph, arch = network_and_machine(rng, quick=seed % 2 == 0)
        arch = arch.with_({"arithmetic": graph.arithmetic.partition("+")[0]})
        differing += _differing(graph, arch, [what_if(rng) for _ in range(10)], same, seed)
        seed, seen = seed + 1, seen + 10
    print(f"{seen:,} points of {seed:,} networks: {differing} differ from simulate")
    return differing


def _differing(graph: Graph, arch: Any, edits: list[Any], same: Callable[..., None], seed: int) -> int:
    wrong = 0
    for edit, row in zip(edits, accelsim.evaluate(graph, arch=arch, edits=edits), strict=True):
        try:
            same(row, graph, arch, edit)
        except AssertionError as error:
            print(f"seed {seed}, {edit}: {' '.join(str(error).split())[:200]}")
            wrong += 1
    return wrong


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--many", type=int, metavar="N")
    parser.add_argument("--check", type=int, metavar="N")
    chosen = parser.parse_args()
    if chosen.check:
        sys.exit(1 if check(chosen.check) else 0)
    if chosen.many:
        many(chosen.many)
    elif chosen.growth:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            growth(Path(folder))
    else:
        for model in ("digits_cnn", "mobilenet_v2", "resnet50"):
            rates(model)
            parts(model)


if __name__ == "__main__":
    main()
