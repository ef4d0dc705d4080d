"""Spaces that the tests of sweeps share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

import accelsim

SMALL: dict[str, Any] = {
    "workloads": ["digits_cnn", "alexnet_conv1_scalesim"],
    "arch": "edge_16x16",
    "axes": {
        "array.rows": [4, 8, 16],
        "array.cols": {"from": 4, "to": 16, "powers": 2},
        "dram.bandwidth_bytes_per_s": ["0.4 GB/s", "3.2 GB/s"],
        "weights.bits": [4, 8],
        "activation_buffer.size_bytes": [1, "128 KiB"],
    },
    "constraints": ["array.rows * array.cols <= 128", "area_um2 < 1.22e6", "bound != 'weight load'"],
}
"""144 points in chunks of 16, of which 128 are evaluated; half of those are no machine."""


def written(folder: Path, space: dict[str, Any], name: str = "space.yaml") -> Path:
    """``space`` as a file; JSON is YAML."""
    path = folder / name
    path.write_text(json.dumps(space), encoding="utf-8")
    return path


def same_tables(*folders: Path) -> pd.DataFrame:
    """The table of the first folder, after every other was found to be the same to the last bit."""
    first, *others = (accelsim.read_sweep(folder) for folder in folders)
    for other in others:
        pd.testing.assert_frame_equal(first, other, check_exact=True)
    return first
