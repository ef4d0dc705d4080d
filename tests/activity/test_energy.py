"""Energy that follows the data: linear in the toggles, 0 for what stands still, never above every bit toggling; sampling is unbiased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from accelsim.activity.energy import REFERENCE_RATE, WIRE_OF, WORST, activity_energy, activity_factors
from accelsim.activity.measure import measure_activity
from accelsim.activity.record import Activity, WireActivity
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.energy import count_actions, layer_energy, load_table
from accelsim.errors import InputError
from accelsim.execute import gather_inputs
from accelsim.importers import load_graph, resolve_model, shipped_inputs
from accelsim.mapper import map_graph
from accelsim.program import Program
from accelsim.simulation import read_inputs
from tests.networks import conv

TABLE = load_table("horowitz_45nm")
WIRES = (*dict.fromkeys(WIRE_OF.values()), "activation_register", "weight_register", "partial_sum")


def digits(**edits: object) -> tuple[Program, dict[str, np.ndarray]]:
    arch = load_arch("edge_16x16").with_({path.replace("__", "."): value for path, value in edits.items()})
    graph = load_graph(resolve_model("digits_cnn"), arithmetic=arch.rules())
    path = shipped_inputs("digits_cnn")
    assert path is not None
    batches = gather_inputs(graph, read_inputs(path)[0])
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    return program, {name: values[0] for name, values in batches.items()}


def uniform(rate: float, *, zeros: float = 0.0) -> Activity:
    """Every wire toggles at ``rate``."""
    wires = {wire: WireActivity(bits=8, transitions=100, toggled_bits=800 * rate) for wire in WIRES}
    return Activity(
        layer=digits()[0].graph.layers[0].name, macs=1000, zero_macs=1000 * zeros, zero_macs_error=0, weight_significant_bits=4,
        activation_significant_bits=4, tiles=1, sampled_tiles=1, wires=wires,
    )  # fmt: skip


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_factors_are_toggle_rates_over_the_reference(rate: float) -> None:
    factors = activity_factors(uniform(rate))
    assert set(factors.values()) == {rate / REFERENCE_RATE}
    assert max(activity_factors(uniform(1.0)).values()) == WORST


def test_at_the_reference_the_energy_is_the_tables() -> None:
    program, _ = digits()
    (found,) = activity_energy(program, [uniform(REFERENCE_RATE)], TABLE)
    split = layer_energy(program, count_actions(program), TABLE)[0]
    assert found.data_pj == pytest.approx(found.table_pj)
    assert sum(found.table_pj.values()) == pytest.approx(split.total)
    assert found.ratio == pytest.approx(1)


def test_nothing_toggles_in_zeros() -> None:
    """All that remains is what follows no wire: requantization and the output buffer."""
    program, _ = digits()
    (found,) = activity_energy(program, [uniform(0.0)], TABLE)
    assert {component for component, pj in found.data_pj.items() if pj} <= {
        "requantizer", "output_buffer", "weight_buffer", "activation_buffer",
    }  # fmt: skip
    assert found.data_pj["array"] == found.data_pj["dram"] == found.data_pj["accumulator"] == 0


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary"])
def test_real_data_stay_under_the_worst_case(dataflow: str) -> None:
    program, inputs = digits(array__dataflow=dataflow)
    activities = measure_activity(program, inputs)
    for gated in (False, True):
        for found in activity_energy(program, activities, TABLE, gated=gated):
            assert found.data_pj.keys() == found.worst_pj.keys()
            assert all(found.data_pj[part] <= found.worst_pj[part] for part in found.worst_pj)
            assert found.ratio < 1.1
    assert sum(activity.macs for activity in activities) == program.macs
    free = activity_energy(program, activities, TABLE, gated=True)
    paid = activity_energy(program, activities, TABLE)
    assert all(a.data_pj["array"] <= b.data_pj["array"] for a, b in zip(free, paid, strict=True))


def test_samples_are_unbiased_within_their_error() -> None:
    """The mean of 60 samples is within four standard errors of the full count; all tiles give the count itself."""
    program, inputs = digits(accumulator__count=256)
    whole = {one.layer: one for one in measure_activity(program, inputs)}
    (name,) = (one.layer for one in whole.values() if one.layer == program.graph.layers[2].name)
    assert whole[name].tiles > 8
    drawn = [
        next(one for one in measure_activity(program, inputs, sample=4, seed=seed) if one.layer == name)
        for seed in range(60)
    ]
    for wire in ("activation_register", "accumulator"):
        totals = np.array([one.wires[wire].toggled_bits for one in drawn])
        errors = np.array([one.wires[wire].error for one in drawn])
        assert abs(totals.mean() - whole[name].wires[wire].toggled_bits) < 4 * errors.mean() / np.sqrt(60)
        assert errors.mean() == pytest.approx(totals.std(), rel=0.35)
    every = measure_activity(program, inputs, sample=10_000)
    assert all(a == replace(whole[a.layer]) for a in every)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            {"array.dataflow": "adder_tree", "accumulator.products_per_add": 16},
            "adder_tree has no registers between its MACs",
        ),
        ({"accumulator.bits": 12, "accumulator.overflow": "saturate"}, "may overflow and do not wrap"),
    ],
)
def test_what_cannot_be_counted_is_refused(edits: dict[str, object], message: str) -> None:
    program, inputs = digits(**edits)
    with pytest.raises(InputError, match=message):
        measure_activity(program, inputs)
    with pytest.raises(InputError, match="at least 2 compute tiles"):
        measure_activity(digits()[0], inputs, sample=1)


def test_shapes_alone_toggle_nothing() -> None:
    graph, arch = conv(shape_only=True), load_arch("edge_16x16")
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    with pytest.raises(InputError, match="holds shapes only; give a model with weights"):
        measure_activity(program, {})


def test_the_command() -> None:
    done = CliRunner().invoke(main, ["activity", "digits_cnn", "--arch", "edge_16x16", "--gated"])
    assert done.exit_code == 0, done.output
    assert "conv1" in done.output
    assert "zero MACs" in done.output
    refused = CliRunner().invoke(main, ["activity", "resnet50", "--arch", "edge_16x16"])
    assert refused.exit_code == 1
    assert "no inputs; give --input FILE" in refused.output
