"""Simulate networks with and without pairs of layers in step, and write what changes into ``docs/design.md``.

    python docs/make_pairs.py

The page's text stays; the table between the markers is replaced.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accelsim import load_arch, simulate
from docs.pages import DESIGN, replaced

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50", "vgg16", "bert_base")
MACHINE = "edge_16x16"
KEPT_BYTES = 128 * 1024
"""Set aside for tensors and windows, on top of the preset's activation buffer."""


def row(network: str) -> str:
    """DRAM traffic, cycles and energy with pairs, relative to those without."""
    base = load_arch(MACHINE)
    size = base.activation_buffer.size_bytes + KEPT_BYTES
    kept = {"activation_buffer.size_bytes": size, "activation_buffer.resident_bytes": KEPT_BYTES}
    apart, pairs = (
        simulate(network, arch=base.with_(kept | {"activation_buffer.fuse_pairs": fuse})) for fuse in (False, True)
    )
    bands = sum("band" in layer.mapping for layer in pairs.layers)
    moved = [total.dram_read_bytes + total.dram_write_bytes for total in (apart.total, pairs.total)]
    ratios = (
        moved[1] / moved[0],
        pairs.total.cycles / apart.total.cycles,
        pairs.total.energy_pj / apart.total.energy_pj,
    )
    cells = " | ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in ratios)
    return f"| {network} | {bands} | {moved[0] / 1e6:.1f} MB | {cells} |"


def table() -> str:
    """One row per network."""
    head = "| network | pairs | DRAM without | DRAM | cycles | energy |", "|---|---:|---:|---:|---:|---:|"
    return "\n".join([*head, *map(row, NETWORKS)]) + "\n"


def main() -> None:
    DESIGN.write_text(replaced(DESIGN.read_text(encoding="utf-8"), "pairs", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
