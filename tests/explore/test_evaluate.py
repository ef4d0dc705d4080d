"""``evaluate`` says of every machine what ``simulate`` says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import accelsim
import accelsim.importers
from accelsim.arch import Arch, load_arch
from accelsim.errors import AccelsimError, ConfigError, ModelFileError
from accelsim.explore.widths import with_widths
from accelsim.graph import Graph
from accelsim.mapper import OBJECTIVES, Objective
from accelsim.result import Result
from tests.generate import random_arch, random_graph, roomy
from tests.mixed_formats import mixed_arch, mixed_graph
from tests.timing.test_stream import PLAIN

seeds = st.integers(0, 2**32 - 1)
CLOSE = 1e-12
NOTHING_KEPT = {"activation_buffer.resident_bytes": 0}
WHAT_IFS: dict[str, tuple[Any, ...]] = {
    "dram.bandwidth_bytes_per_s": (10**8, 10**9, "12.8 GB/s"),
    "weight_buffer.size_bytes": ("1 KiB", "32 KiB", 8),
    "activation_buffer.size_bytes": ("2 KiB", "1 MiB"),
    "activation_buffer.resident_bytes": ("auto",),
    "output_buffer.size_bytes": ("1 KiB", 64),
    "array.rows": (4, 8, 0),
    "array.cols": (3, 16),
    "dma.queues": (1, 2, 3),
    "cores.count": (1, 2),
    "dram.standard": (None, "DDR4_3200"),
    "tech.voltage_v": (None, 0.8),
    "no.such.path": (1,),
}


def outcome(model: Any, arch: Arch, edit: dict[str, Any]) -> Result | str:
    """The Result of a run, or its error text."""
    try:
        return accelsim.simulate(model, arch=arch.with_(edit))
    except AccelsimError as error:
        return str(error)


def same(row: np.void, model: Any, arch: Arch, edit: dict[str, Any]) -> None:
    """The row of one machine against a run of its own."""
    result = outcome(model, arch, edit)
    if isinstance(result, str):
        assert row["error"] == result
        assert row["cycles"] == -1
        assert math.isnan(row["energy_pj"])
        return
    total = result.total
    assert row["error"] == ""
    whole = {name: int(row[name]) for name in ("cycles", "dram_read_bytes", "dram_write_bytes")}
    assert whole == {name: getattr(total, name) for name in whole}
    real = {name: float(row[name]) for name in ("energy_pj", "latency_s", "utilization")}
    assert real == {name: pytest.approx(getattr(total, name), rel=CLOSE, abs=0) for name in real}
    for component, energy in total.energy_split_pj.items():
        assert row[f"{component}_pj"] == pytest.approx(energy, rel=CLOSE, abs=0), component
    area = math.nan if result.area_um2 is None else result.area_um2
    assert row["area_um2"] == pytest.approx(area, rel=CLOSE, nan_ok=True)
    busy = {layer.bound for layer in result.layers}
    assert row["bound"] in busy or len(busy) > 1


def what_if(rng: np.random.Generator) -> dict[str, Any]:
    """Up to three edits."""
    paths = rng.choice(list(WHAT_IFS), int(rng.integers(4)), replace=False)
    return {str(path): WHAT_IFS[path][int(rng.integers(len(WHAT_IFS[path])))] for path in paths}


def network_and_machine(rng: np.random.Generator, *, quick: bool) -> tuple[Graph, Arch]:
    """Of mixed widths half of the time. A ``quick`` one is taken by the compiled loop: shapes alone, and nothing that it does not know."""
    mixed = rng.random() < 0.5
    graph = mixed_graph(rng) if mixed else random_graph(rng)
    arch = mixed_arch(rng) if mixed else roomy(random_arch(rng), graph)
    arch = arch.with_({"arithmetic": graph.arithmetic.partition("+")[0]})
    if not quick:
        return graph, arch
    whole = all(tensor.format.bits % 8 == 0 for tensor in graph.tensors.values())
    return replace(graph, shape_only=True), arch.with_(PLAIN if whole else PLAIN | NOTHING_KEPT)


@pytest.mark.parametrize("quick", [True, False])
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(seeds)
def test_every_row_is_what_simulate_says(quick: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, arch = network_and_machine(rng, quick=quick)
    edits = [what_if(rng) for _ in range(4)]
    for edit, row in zip(edits, accelsim.evaluate(graph, arch=arch, edits=edits), strict=True):
        same(row, graph, arch, edit)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(seeds)
def test_what_fits_no_buffer_has_the_error_of_a_run(seed: int) -> None:
    """A slot of one byte, for codes of up to 16 bits."""
    graph, arch = network_and_machine(np.random.default_rng(seed), quick=True)
    edits: list[dict[str, Any]] = [{f"{name}_buffer.size_bytes": 2} for name in ("weight", "output")]
    for edit, row in zip(edits, accelsim.evaluate(graph, arch=arch, edits=edits), strict=True):
        same(row, graph, arch, edit)


@pytest.mark.parametrize(
    ("model", "preset"),
    [
        ("digits_cnn", "edge_16x16"),
        ("digits_w4a4", "bit_serial_16x16"),
        ("mobilenet_v2", "edge_16x16"),
        ("tpu_mlp0", "tpu_v1"),
    ],
)
def test_what_ifs_of_packaged_networks(model: str, preset: str) -> None:
    arch = load_arch(preset)
    edits: list[dict[str, Any]] = [{}]
    edits += [{path: value} for path, values in WHAT_IFS.items() for value in values]
    edits += [{"activation_buffer.resident_bytes": "8 KiB", "tech.energy_table": "horowitz_45nm"}]
    for edit, row in zip(edits, accelsim.evaluate(model, arch=preset, edits=edits), strict=True):
        same(row, model, arch, edit)


def test_the_arithmetic_of_a_file_may_be_edited_too() -> None:
    edits: list[dict[str, Any]] = [
        {},
        {"arithmetic": "tflite-micro"},
        {"arithmetic": "finn"},
        {"arithmetic": "nothing"},
    ]
    table = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=edits)
    for edit, row in zip(edits, table, strict=True):
        same(row, "digits_cnn", load_arch("edge_16x16"), edit)


def test_the_widths_of_weights_may_be_edited_too(tmp_path: Path) -> None:
    table = Path(str(accelsim.importers.resolve_model("mobilenet_v2"))).read_text()
    narrow = tmp_path / "narrow.csv"
    narrow.write_text(table.replace(",8,8,", ",4,8,"))
    one = tmp_path / "one.csv"
    one.write_text(
        table.replace(
            "stem,conv2d,1,224,224,3,3,3,32,2,1,same,1,8,8,", "stem,conv2d,1,224,224,3,3,3,32,2,1,same,1,2,8,"
        )
    )
    edits = [{"weights.bits": 4}, {"layers.stem.weights.bits": "2"}, {"weights.bits": 8}, {}]
    table = accelsim.evaluate("mobilenet_v2", arch="edge_16x16", edits=edits)
    for model, row in zip((narrow, one, "mobilenet_v2", "mobilenet_v2"), table, strict=True):
        same(row, model, load_arch("edge_16x16"), {})


def test_widths_of_activations_are_those_of_a_file_with_such_widths(tmp_path: Path) -> None:
    table = Path(str(accelsim.importers.resolve_model("mobilenet_v2"))).read_text()
    narrow = tmp_path / "narrow.csv"
    narrow.write_text(table.replace(",8,8,", ",8,4,"))
    (row,) = accelsim.evaluate("mobilenet_v2", arch="edge_16x16", edits=[{"activations.bits": 4}])
    same(row, narrow, load_arch("edge_16x16"), {})


def test_activations_of_one_layer_are_what_it_reads() -> None:
    read = {"layers.conv2.activations.bits": 4}
    whole, one, both = accelsim.evaluate(
        "digits_cnn", arch="edge_16x16", edits=[{}, read, read | {"activations.bits": 8}]
    )
    assert one["error"] == both["error"] == ""
    assert one["energy_pj"] == both["energy_pj"] < whole["energy_pj"]
    assert one["dram_read_bytes"] <= whole["dram_read_bytes"]


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(seeds)
def test_edited_activations_are_evaluated_as_they_are_simulated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    arch = roomy(random_arch(rng), graph).with_({"arithmetic": graph.arithmetic.partition("+")[0]})
    bits = int(rng.integers(1, 17))
    (row,) = accelsim.evaluate(graph, arch=arch, edits=[{"activations.bits": bits}])
    same(row, with_widths(graph, (("activations.bits", bits),)), arch, {})


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"activations.bits": 17}, "activations.bits: expected 1 to 16 bits, got 17"),
        ({"layers.block1.expand.activations.bits": 4, "layers.stem.activations.bits": 4}, "no such layer"),
        ({"weights.bits": 0}, "expected 1 to 16 bits, got 0"),
        ({"weights.bits": "wide"}, "expected 1 to 16 bits, got 'wide'"),
        ({"layers.stme.weights.bits": 4}, "layers.stme.weights.bits: among the layers with weights"),
        ({"layers.softmax.weights.bits": 4}, "layers.softmax.weights.bits: among the layers with weights"),
    ],
)
def test_a_width_that_cannot_be_is_an_error_of_its_row(edit: dict[str, Any], text: str) -> None:
    (row,) = accelsim.evaluate("mobilenet_v2", arch="edge_16x16", edits=[edit])
    assert text in row["error"]


def test_weights_that_are_narrowed_keep_a_networks_cycles_and_move_fewer_bytes() -> None:
    wide, narrow = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[{}, {"weights.bits": 4}])
    assert narrow["error"] == ""
    assert narrow["dram_read_bytes"] < wide["dram_read_bytes"]
    assert narrow["dram_write_bytes"] == wide["dram_write_bytes"]


def test_no_edits_no_rows() -> None:
    assert len(accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[])) == 0


def test_a_model_that_is_not_there_raises() -> None:
    with pytest.raises(ModelFileError, match="nowhere"):
        accelsim.evaluate("nowhere.tflite", arch="edge_16x16", edits=[{}])


def test_a_machine_that_is_not_there_raises() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        accelsim.evaluate("digits_cnn", arch="nowhere.yaml", edits=[{}])


def test_a_table_becomes_a_frame() -> None:
    pandas = pytest.importorskip("pandas")
    table = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[{}, {"array.rows": 0}])
    frame = pandas.DataFrame(table)
    assert frame["cycles"].tolist() == [table["cycles"][0], -1]
    assert "array.rows" in frame["error"][1]


def test_the_objective_is_asked_for_and_stated_in_every_row() -> None:
    edits = [{}, {"mapping.objective": "cycles"}, {"mapping.objective": "energy", "cores.count": 2}, {"array.rows": 0}]
    table = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=edits, objective="energy")
    assert table["objective"].tolist() == ["energy", "cycles", "energy", ""]
    assert accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[{}])["objective"].tolist() == ["edp"]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("preset", ["edge_16x16", "edge_lpddr4"])
def test_rows_of_every_objective_are_what_simulate_says(preset: str, objective: Objective) -> None:
    arch = load_arch(preset)
    given, edited = (
        accelsim.evaluate("digits_cnn", arch=arch, edits=[{}], objective=objective),
        accelsim.evaluate("digits_cnn", arch=arch, edits=[{"mapping.objective": objective}]),
    )
    total = accelsim.simulate("digits_cnn", arch=arch, objective=objective).total
    assert given["cycles"][0] == edited["cycles"][0] == total.cycles
    assert given["energy_pj"][0] == edited["energy_pj"][0] == pytest.approx(total.energy_pj, rel=CLOSE)


def test_an_objective_that_is_none_is_refused() -> None:
    (row,) = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[{"mapping.objective": "speed"}])
    assert row["error"] == "mapping.objective: expected cycles, energy or edp, got 'speed'"
    with pytest.raises(ConfigError, match="^objective: expected cycles, energy or edp, got 'speed'"):
        accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[], objective="speed")
