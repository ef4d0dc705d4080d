"""Scheduling time per tile operation, SimPy and numba, and how long building and checking a Program takes.

python benchmarks/scheduling.py [MODEL] [ARCH]
"""

from __future__ import annotations

import statistics
import sys
import time

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.program import check_program
from accelsim.timing import schedule, schedule_simpy


def timed(call: object, rounds: int) -> float:
    samples = []
    for _ in range(rounds):
        begin = time.process_time()
        call()  # type: ignore[operator]
        samples.append(time.process_time() - begin)
    return statistics.median(samples)


def main() -> None:
    model, machine = (*sys.argv[1:], *("resnet50", "edge_16x16")[len(sys.argv) - 1 :])[:2]
    arch = load_arch(machine)
    graph = load_graph(resolve_model(model), arithmetic=arch.rules())
    mappings = map_graph(graph, arch=arch)
    program = build_program(graph, arch=arch, mappings=mappings)
    schedule(program), check_program(program)
    count = len(program)
    fast, slow = timed(lambda: schedule(program), 15), timed(lambda: schedule_simpy(program), 3)
    print(f"{model} on {machine}: {len(graph.layers)} layers, {count} tile operations")
    print(f"map      {timed(lambda: map_graph(graph, arch=arch), 3) * 1e3:10.1f} ms")
    print(f"build    {timed(lambda: build_program(graph, arch=arch, mappings=mappings), 5) * 1e3:10.1f} ms")
    print(f"check    {timed(lambda: check_program(program), 5) * 1e3:10.1f} ms")
    print(f"numba    {fast * 1e9 / count:10.1f} ns per tile operation")
    print(f"SimPy    {slow * 1e9 / count:10.1f} ns per tile operation ({slow / fast:.0f} x numba)")


if __name__ == "__main__":
    main()
