"""How many tilings per second the mapping search looks at, and what a search of a network costs beside the default mapper.

    python benchmarks/mapper.py [model] [arch]

Rates are per second of CPU time, one thread, of the kernel alone (bounds of cycles and energy of every tiling) and of the
search with its schedules. Published figures on other machines, for scale: Timeloop 3.0.3 visits 6,020 and evaluates 245 valid
mappings per CPU-second on Eyeriss, ZigZag evaluates 280; their models differ, with sparsity and per-level networks.
"""

from __future__ import annotations

import sys
import time

from accelsim.arch import load_arch
from accelsim.energy import load_table
from accelsim.graph import MacLayer
from accelsim.hardware import operand_bits
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_layer, search_mapping
from accelsim.mapper.exhaustive.clock import Clock
from accelsim.mapper.exhaustive.layer import LayerSearch
from accelsim.mapper.tiling import Weigh


def main() -> None:
    model, machine = [*sys.argv[1:], "resnet50", "edge_16x16"][:2] if len(sys.argv) < 3 else sys.argv[1:3]
    graph, arch = load_graph(resolve_model(model)), load_arch(machine)
    table = load_table(arch.tech.energy_table)
    layers = {}
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            layers.setdefault((layer.geometry, operand_bits(layer, graph)), layer)
    first = next(iter(layers.values()))
    search_mapping(first, graph=graph, arch=arch, objective="cycles")  # compiles
    visited = fitting = proved = 0
    kernel = whole = default = 0.0
    for layer in layers.values():
        begin = time.process_time()
        search = LayerSearch(layer, graph, arch, table, Weigh(1.0, 0.0, False), lambda mapping: (0, 0.0))
        search.walk(Clock())
        kernel += time.process_time() - begin
        begin = time.process_time()
        found = search_mapping(layer, graph=graph, arch=arch, objective="cycles", table=table)
        whole += time.process_time() - begin
        begin = time.process_time()
        map_layer(layer, graph=graph, arch=arch, objective="cycles")
        default += time.process_time() - begin
        visited, fitting, proved = visited + found.visited, fitting + found.fitting, proved + found.proved
    print(f"{model} on {machine}: {len(layers)} different MAC layers, {visited:,} tilings, {fitting:,} fit the buffers")
    print(
        f"bounds alone       {visited / kernel / 1e6:8.2f} M visited/s {fitting / kernel / 1e6:8.2f} M valid/s  {kernel:8.2f} s"
    )
    print(
        f"search             {visited / whole / 1e6:8.2f} M visited/s {fitting / whole / 1e6:8.2f} M valid/s  {whole:8.2f} s"
    )
    print(f"default mapper     {default * 1e3:8.2f} ms; the search proved {proved} of {len(layers)} layers optimal")


if __name__ == "__main__":
    main()
