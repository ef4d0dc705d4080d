"""Compute cycles of ResNet-18 and ResNet-50 on 32x32 arrays, as SCALE-Sim 3.0.0 computed them."""

from __future__ import annotations

import csv

import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.energy import load_table
from accelsim.mapper import map_graph
from accelsim.result import summarize
from accelsim.timing import schedule
from tests.networks import dense
from tests.shared_models import SHARED


@pytest.mark.parametrize("dataflow", ["ws", "os"])
@pytest.mark.parametrize("network", ["resnet18", "resnet50"])
def test_compute_cycles_equal_scale_sim(network: str, dataflow: str) -> None:
    path = SHARED / "goldens" / f"scalesim3_{network}_32x32.csv"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set ACCELSIM_SHARED to the folder with the published tables")
    arch = load_arch(f"scalesim_32x32_{dataflow}")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 20
    for row in rows:
        graph = dense(rows=int(row["M"]), k=int(row["K"]), units=int(row["N"]), shape_only=True)
        program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
        layer = summarize(schedule(program), table=load_table("horowitz_45nm")).layers[0]
        assert (layer.macs, layer.compute_cycles) == (int(row["macs"]), int(row[f"{dataflow}_cycles"])), row["layer"]
