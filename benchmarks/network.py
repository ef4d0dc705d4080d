"""Time to evaluate one network on one machine, warm: map, build, check, schedule, summarise; and SCALE-Sim on the same layers.

    python benchmarks/network.py [model] [arch]
    python benchmarks/network.py --growth    # arrays of 8x8 to 256x256, networks of 1 to 1000 layers
    ACCELSIM_SCALESIM_PYTHON=.../bin/python python benchmarks/network.py     # beside SCALE-Sim 3.0.0, on ResNet-50's smallest layers

    ACCELSIM_ZIGZAG_PYTHON=.../bin/python python benchmarks/network.py       # beside ZigZag (pip install zigzag-dse six), on ResNet-18

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

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import load_table
from accelsim.graph import Graph, MacLayer
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph, search_graph
from accelsim.program import check_program
from accelsim.result import summarize
from accelsim.timing import schedule

ROUNDS = 5
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
    return stages_of(load_graph(resolve_model(model), arithmetic=arch.rules()), arch)


def stages_of(graph: Graph, arch: Arch) -> dict[str, float]:
    """The same of a Graph."""
    table = load_table(arch.tech.energy_table)
    spent: dict[str, float] = {}
    spent["map"], mappings = timed(lambda: map_graph(graph, arch=arch))
    spent["build"], program = timed(lambda: build_program(graph, arch=arch, mappings=mappings))
    spent["check"], _ = timed(lambda: check_program(program))
    spent["schedule"], timeline = timed(lambda: schedule(program))
    spent["summarise"], _ = timed(lambda: summarize(timeline, table=table))
    print(f"{graph.name} on {arch.name}: {len(graph.layers)} layers, {len(program):,} tile operations")
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


ZIGZAG = """
import logging, time, tempfile
from pathlib import Path
import zigzag
from zigzag.api import get_hardware_performance_zigzag
logging.disable(logging.CRITICAL)
inputs, out = Path(zigzag.__file__).parent / "inputs", tempfile.mkdtemp()
begin = time.process_time()
get_hardware_performance_zigzag(
    str(inputs / "workload" / "resnet18.onnx"), str(inputs / "hardware" / "edge_tpu_like.yaml"),
    str(inputs / "mapping" / "edge_tpu_like.yaml"), opt="latency", dump_folder=out, pickle_filename=f"{out}/all.pickle",
    loma_show_progress_bar=False,
)
print(time.process_time() - begin)
"""
"""ResNet-18 on ZigZag's own example machine, its loop orders searched; CPU seconds without the start."""


def zigzag(python: str) -> None:
    """ZigZag and accelsim on ResNet-18: both with a search, accelsim with its default mapper as well."""
    done = subprocess.run([python, "-c", ZIGZAG], check=True, capture_output=True, text=True)
    theirs, ours = float(done.stdout.split()[-1]), sum(stages("resnet18", "edge_16x16").values())
    arch = load_arch("edge_16x16")
    graph = load_graph(resolve_model("resnet18"), arithmetic=arch.rules())
    begin = time.process_time()
    search_graph(graph, arch=arch, objective="cycles")
    searched = time.process_time() - begin
    print(f"resnet18: ZigZag {theirs:.2f} s, accelsim {ours * 1e3:.2f} ms, ratio {theirs / ours:,.0f}")
    print(f"resnet18: accelsim's search {searched:.2f} s, ratio {theirs / searched:,.1f}")


def growth() -> None:
    """Milliseconds of each stage: ResNet-50 on square arrays, and the same layer over and over on one machine."""
    edge = load_arch("edge_16x16")
    for side in (8, 16, 32, 64, 128, 256):
        square = edge.with_({"array.rows": side, "array.cols": side, "name": f"{side}x{side}"})
        show(stages_of(load_graph(resolve_model("resnet50")), square))
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 10, 100, 1000):
            table = Path(folder) / f"{count}_layers.csv"
            rows = [f"l{i},conv2d,14,14,256,256,3,3,same,{f'l{i - 1}' if i else ''}" for i in range(count)]
            table.write_text("\n".join(["name,op,h,w,c,oc,kh,kw,padding,inputs", *rows]) + "\n")
            show(stages_of(load_graph(table), edge))


def show(spent: dict[str, float]) -> None:
    """Each stage in one line."""
    parts = [f"{name} {seconds * 1e3:.2f}" for name, seconds in (*spent.items(), ("total", sum(spent.values())))]
    print(f"  {', '.join(parts)} ms")


def main() -> None:
    if sys.argv[1:] == ["--growth"]:
        growth()
        return
    model, machine = (*sys.argv[1:], *("resnet50", "edge_16x16")[len(sys.argv) - 1 :])[:2]
    spent = stages(model, machine)
    for name, seconds in (*spent.items(), ("total", sum(spent.values()))):
        print(f"{name:10} {seconds * 1e3:10.2f} ms")
    if python := os.environ.get("ACCELSIM_SCALESIM_PYTHON"):
        scalesim(python)
    if python := os.environ.get("ACCELSIM_ZIGZAG_PYTHON"):
        zigzag(python)


if __name__ == "__main__":
    main()
