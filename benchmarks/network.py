"""Time to evaluate one network on one machine, warm: map, build, check, schedule, summarise; and SCALE-Sim on the same layers.

    python benchmarks/network.py [model] [arch]
    ACCELSIM_SCALESIM_PYTHON=.../bin/python python benchmarks/network.py     # beside SCALE-Sim 3.0.0, on ResNet-50's smallest layers

SCALE-Sim walks every cycle in numpy and pandas, so whole networks take it minutes (552 CPU-seconds and 11.6 GiB for ResNet-50 on a
32x32 array where it was measured); here it gets the layers of fewest MACs, one process, its start included.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelsim.arch import load_arch
from accelsim.energy import load_table
from accelsim.graph import MacLayer
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.program import build_program, check_program
from accelsim.result import summarize
from accelsim.timing import schedule

ROUNDS = 7
LAYERS = 3
RUNNER = Path(__file__).resolve().parent.parent / "tests" / "program" / "run_scalesim.py"


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Median CPU seconds, and the last result."""
    samples, result = [], call()
    for _ in range(ROUNDS):
        begin = time.process_time()
        result = call()
        samples.append(time.process_time() - begin)
    return statistics.median(samples), result


def stages(model: str | Path, machine: str) -> dict[str, float]:
    """CPU seconds of each stage of one evaluation."""
    arch = load_arch(machine)
    graph, table = load_graph(resolve_model(model), arithmetic=arch.rules()), load_table(arch.tech.energy_table)
    spent: dict[str, float] = {}
    spent["map"], mappings = timed(lambda: map_graph(graph, arch=arch))
    spent["build"], program = timed(lambda: build_program(graph, arch=arch, mappings=mappings))
    spent["check"], _ = timed(lambda: check_program(program))
    spent["schedule"], timeline = timed(lambda: schedule(program))
    spent["summarise"], _ = timed(lambda: summarize(timeline, table=table))
    print(f"{Path(model).stem} on {machine}: {len(graph.layers)} layers, {len(program):,} tile operations")
    return spent


def scalesim(python: str) -> None:
    """SCALE-Sim and accelsim on the smallest matrix products of ResNet-50, 32x32 weight-stationary."""
    layers = [layer for layer in load_graph(resolve_model("resnet50")).layers if isinstance(layer, MacLayer)]
    smallest = sorted(layers, key=lambda layer: layer.macs)[:LAYERS]
    with tempfile.TemporaryDirectory() as folder:
        topology, result = Path(folder) / "topology.csv", Path(folder) / "result.json"
        rows = [
            f"{layer.name},{g.n * g.oh * g.ow},{g.oc},{g.reduction}," for layer in smallest for g in [layer.geometry]
        ]
        topology.write_text("\n".join(["Layer,M,N,K,", *rows]) + "\n")
        begin = time.perf_counter()
        subprocess.run([python, str(RUNNER), topology, "gemm", "32", "32", result], check=True, capture_output=True)
        theirs = (time.perf_counter() - begin) / 3  # the script runs three dataflows
        ours = sum(stages(topology, "scalesim_32x32_ws").values())
    print(f"{LAYERS} layers: SCALE-Sim {theirs:.2f} s, accelsim {ours * 1e3:.2f} ms, ratio {theirs / ours:,.0f}")


def main() -> None:
    model, machine = (*sys.argv[1:], *("resnet50", "edge_16x16")[len(sys.argv) - 1 :])[:2]
    spent = stages(model, machine)
    for name, seconds in (*spent.items(), ("total", sum(spent.values()))):
        print(f"{name:10} {seconds * 1e3:10.2f} ms")
    if python := os.environ.get("ACCELSIM_SCALESIM_PYTHON"):
        scalesim(python)


if __name__ == "__main__":
    main()
