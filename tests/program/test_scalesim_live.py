"""SCALE-Sim itself as the oracle: the same topology file, the same array, cycles and accesses of every layer.

scalesim 3.0.0 needs numpy below 2, so it lives in an environment of its own: ``ACCELSIM_SCALESIM_PYTHON`` names its python.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.energy import count_actions
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.simulation import run
from tests.shared_models import SHARED

PYTHON = os.environ.get("ACCELSIM_SCALESIM_PYTHON", "")
HEADERS = {
    "conv": "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,",
    "gemm": "Layer, M, N, K,",
}
CASES = [(form, seed) for form in HEADERS for seed in range(4)]
LAYERS = 12

needs_scalesim = pytest.mark.skipif(
    not Path(PYTHON).is_file(), reason="ACCELSIM_SCALESIM_PYTHON names no python with scalesim"
)


def random_row(form: str, rng: np.random.Generator) -> list[int]:
    """A small layer: SCALE-Sim walks through every cycle."""
    if form == "gemm":
        return [int(size) for size in rng.integers(1, 41, 3)]
    kh, kw = (int(size) for size in rng.integers(1, 6, 2))
    h, w = kh + int(rng.integers(0, 10)), kw + int(rng.integers(0, 10))
    channels, filters, stride = (int(rng.integers(1, most)) for most in (9, 21, 4))
    return [h, w, kh, kw, channels, filters, stride]


def topology(path: Path, form: str, rng: np.random.Generator) -> Path:
    rows = [f"L{index}, {', '.join(map(str, random_row(form, rng)))}," for index in range(LAYERS)]
    path.write_text("\n".join([HEADERS[form], *rows, ""]), encoding="utf-8")
    return path


@lru_cache(maxsize=len(CASES))
def case(folder: Path, form: str, seed: int) -> tuple[Graph, tuple[int, int], dict[str, list[dict[str, int]]]]:
    """A random topology on a random array: the Graph, (rows, columns), and what SCALE-Sim reports per dataflow."""
    rng = np.random.default_rng([seed, form == "gemm"])
    folder = folder / f"{form}{seed}"
    folder.mkdir()
    path = topology(folder / "net.csv", form, rng)
    rows, cols = (int(side) for side in rng.integers(1, 17, 2))
    script = Path(__file__).with_name("run_scalesim.py")
    command = [PYTHON, *map(str, (script, path, form, rows, cols, folder / "result.json"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return load_graph(path), (rows, cols), json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scalesim")


def ours(graph: Graph, dataflow: str, sides: tuple[int, int]) -> list[dict[str, int]]:
    arch = load_arch(f"scalesim_32x32_{dataflow}").with_({"array.rows": sides[0], "array.cols": sides[1]})
    simulation = run(graph, arch=arch)
    counts = count_actions(simulation.program)
    layers = []
    for index, layer in enumerate(simulation.result.layers):
        actions = counts.of_layer(index)
        layers.append(
            {
                "cycles": layer.compute_cycles,
                "stalls": 0,
                "ifmap_reads": actions["activation_buffer_read"] // 8,
                "filter_reads": actions["weight_buffer_read"] // 8,
                "ofmap_writes": actions["accumulator_write"],
            }
        )
    return layers


def written_twice(layer: Any, sides: tuple[int, int]) -> int:
    """Output-stationary ofmap writes that SCALE-Sim 3.0.0 counts too many.

    ``create_ofmap_demand_mat`` of ``systolic_compute_os.py`` adds the outputs of a fold to ``ofmap_writes`` and then, once more,
    the rows plus the columns of the array.
    """
    g = layer.geometry
    return int(-(-g.oh * g.ow // sides[0]) * -(-g.oc // sides[1]) * sum(sides))


@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
@pytest.mark.parametrize(("form", "seed"), CASES)
@pytest.mark.oracle
@needs_scalesim
def test_cycles_and_accesses_equal_scale_sims(folder: Path, form: str, seed: int, dataflow: str) -> None:
    graph, sides, reports = case(folder, form, seed)
    theirs = [dict(report) for report in reports[dataflow]]
    assert len(theirs) == len(graph.layers) == LAYERS
    if dataflow == "os":
        for layer, report in zip(graph.layers, theirs, strict=True):
            report["ofmap_writes"] -= written_twice(layer, sides)
    assert ours(graph, dataflow, sides) == theirs


@pytest.mark.parametrize("network", ["resnet18", "resnet50"])
def test_input_stationary_is_weight_stationary_of_the_transposed_product(network: str) -> None:
    """M x K times K x N with inputs that stay takes the cycles of N x K times K x M with weights that stay."""
    path = SHARED / "goldens" / f"scalesim3_{network}_32x32.csv"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set ACCELSIM_SHARED to the folder with the published tables")
    with path.open(encoding="utf-8") as file:
        rows = [tuple(int(row[key]) for key in "MKN") for row in csv.DictReader(file)]
    for m, k, n in rows:
        folds = -(-k // 32) * -(-m // 32)
        assert folds * (2 * 32 + 32 + n - 2) - 1 == gemm_cycles(m, k, n, "is") == gemm_cycles(n, k, m, "ws")


def gemm_cycles(m: int, k: int, n: int, dataflow: str) -> int:
    from tests.networks import dense

    graph = dense(rows=m, k=k, units=n, shape_only=True)
    cycles: int = run(graph, arch=f"scalesim_32x32_{dataflow}").result.layers[0].compute_cycles
    return cycles
