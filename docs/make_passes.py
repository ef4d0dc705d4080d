"""Simulate networks with and without layers on the fly, and write what changes into ``docs/passes.md``.

    python docs/make_passes.py

The page's text stays; the table between the markers is replaced.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accelsim import load_arch, simulate
from docs.pages import replaced

PAGE = Path(__file__).resolve().parent / "passes.md"
NETWORKS = (
    "digits_cnn",
    "resnet18",
    "resnet50",
    "vgg16",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_lite0",
    "bert_base",
)
MACHINE = "edge_16x16"
SWITCHES = ("vector.fuse_activations", "vector.fuse_elementwise", "vector.fuse_pools")


def row(network: str) -> str:
    """Layers on the fly, pools among them, DRAM traffic without them, and traffic, cycles and energy relative to that."""
    base = load_arch(MACHINE)
    apart, passes = (simulate(network, arch=base.with_(dict.fromkeys(SWITCHES, on))) for on in (False, True))
    found = [layer.op for layer in passes.layers if layer.mapping == "on the fly"]
    pools = sum("POOL" in operator or operator == "MEAN" for operator in found)
    moved = [total.dram_read_bytes + total.dram_write_bytes for total in (apart.total, passes.total)]
    ratios = (
        moved[1] / moved[0],
        passes.total.cycles / apart.total.cycles,
        passes.total.energy_pj / apart.total.energy_pj,
    )
    cells = " | ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in ratios)
    return f"| {network} | {len(found)} | {pools} | {moved[0] / 1e6:.2f} MB | {cells} |"


def table() -> str:
    """One row per network."""
    head = (
        "| network | layers on the fly | pools of them | DRAM without | DRAM | cycles | energy |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    return "\n".join([*head, *map(row, NETWORKS)]) + "\n"


def main() -> None:
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "passes", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
