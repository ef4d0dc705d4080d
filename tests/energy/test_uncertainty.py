"""Intervals contain every draw, are reached, and ratios of machines that share a table keep what they share."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.energy import draws, interval, load_table, ratio_interval, table_names
from accelsim.graph import Graph, HostPort, MaxPool2D, Tensor
from accelsim.numerics import INT8
from accelsim.report import compare
from accelsim.report.whatif import energy_ratio
from accelsim.resources import resource_path
from accelsim.result import summarize

keys = st.sampled_from("abcde")
charges = st.dictionaries(keys, st.floats(0, 1e6), min_size=1)
ranges = st.dictionaries(keys, st.tuples(st.floats(0.1, 1), st.floats(1, 10)))
LIMITS = {"a": (0.5, 2.0), "b": (0.9, 1.1)}


def factors(limits: dict[str, tuple[float, float]], rng: np.random.Generator) -> dict[str, float]:
    """Some factor, often a corner, of each entry's range."""
    made = {}
    for key in "abcde":
        low, high = limits.get(key, (1.0, 1.0))
        made[key] = float(rng.choice([low, high, rng.uniform(low, high)]))
    return made


@given(charges, ranges)
def test_no_draw_leaves_the_interval(found: dict[str, float], limits: dict[str, tuple[float, float]]) -> None:
    bounds, drawn = interval(found, limits), draws(found, limits, count=200)
    assert drawn.min() >= bounds.low * (1 - 1e-9)
    assert drawn.max() <= bounds.high * (1 + 1e-9)
    assert bounds.low <= sum(found.values()) * (1 + 1e-9)


def test_the_interval_is_reached_and_the_draws_repeat() -> None:
    found = {"a": 10.0, "b": 100.0}
    assert interval(found, LIMITS) == pytest.approx((95, 130))
    assert interval({"a": 10.0}, {}) == (10, 10)
    np.testing.assert_array_equal(draws(found, LIMITS), draws(found, LIMITS))
    assert not np.array_equal(draws(found, LIMITS), draws(found, LIMITS, seed=1))


def test_draws_are_log_uniform() -> None:
    """One entry between half and twice its value: the median is the value, the 5th percentile 2**-0.9."""
    drawn = draws({"a": 1.0}, {"a": (0.5, 2.0)}, count=200_000)
    assert np.median(drawn) == pytest.approx(1, rel=0.01)
    assert np.percentile(drawn, 5) == pytest.approx(2**-0.9, rel=0.01)


@given(st.floats(0.05, 0.95), st.floats(1.05, 20))
def test_the_value_is_the_median_however_the_range_lies(low: float, high: float) -> None:
    drawn = draws({"a": 3.0}, {"a": (low, high)})
    assert np.mean(drawn < 3) == pytest.approx(0.5, abs=0.02)


WORKLOADS = [*sorted(path.stem for path in resource_path("workloads").glob("*.csv")), "digits_cnn", "digits_w4a4"]


@pytest.mark.parametrize("model", WORKLOADS)
def test_the_headline_is_the_centre_of_what_its_table_says(model: str) -> None:
    """Every packaged table, every packaged workload: inside the 5 to 95 % draws, and within 5 % of their median."""
    timeline = accelsim.run(model, arch="edge_16x16").timeline
    for name in table_names():
        if name == "dram_standards":
            continue
        result = summarize(timeline, table=load_table(name))
        assert result.energy is not None
        spread = result.energy.percentiles_pj
        assert spread["p5"] < result.total.energy_pj < spread["p95"], name
        assert result.total.energy_pj == pytest.approx(spread["p50"], rel=0.05), name


@given(charges, charges, ranges, st.integers(0, 2**32 - 1))
def test_no_common_factors_leave_the_ratio_interval(
    first: dict[str, float], second: dict[str, float], limits: dict[str, tuple[float, float]], seed: int
) -> None:
    bounds = ratio_interval(first, second, limits)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        f = factors(limits, rng)
        bottom = sum(pj * f[key] for key, pj in second.items())
        if bottom > 1e-6 and sum(second.values()):
            ratio = sum(pj * f[key] for key, pj in first.items()) / bottom
            assert bounds.low * (1 - 1e-9) <= ratio <= bounds.high * (1 + 1e-9)


def test_ratios_by_hand() -> None:
    assert ratio_interval({"a": 2.0}, {"a": 1.0}, LIMITS) == pytest.approx((2, 2))  # whatever a costs
    assert ratio_interval({"a": 1.0}, {"b": 1.0}, LIMITS) == pytest.approx((0.5 / 1.1, 2 / 0.9))
    assert ratio_interval({"a": 1.0, "b": 1.0}, {"b": 1.0}, LIMITS) == pytest.approx((1 + 0.5 / 1.1, 1 + 2 / 0.9))
    assert np.isnan(ratio_interval({"a": 1.0}, {}, LIMITS).low)


def test_a_comparison_is_surer_than_its_energies() -> None:
    """Two machines that share Horowitz' table: energies are known within a factor of 2, their ratio within 10 %."""
    small = accelsim.simulate("digits_cnn", arch="edge_16x16")
    other = accelsim.simulate("digits_cnn", arch="os_16x16")
    shared = energy_ratio(other, small)
    assert shared is not None
    ratio = other.total.energy_pj / small.total.energy_pj
    assert small.energy is not None
    assert small.energy.high_pj / small.energy.low_pj > 1.5
    assert shared.low <= ratio <= shared.high < 1
    assert shared.high / shared.low < 1.1
    assert f"{ratio:.2f} ({shared.low:.2f} to {shared.high:.2f})" in str(compare([small, other]))


def test_different_tables_have_no_factor_in_common() -> None:
    mine = accelsim.simulate("digits_cnn", arch="edge_16x16")
    machine = accelsim.load_arch("edge_16x16").with_({"tech.energy_table": "qkeras_45nm"})
    other = accelsim.simulate("digits_cnn", arch=machine)
    bounds = energy_ratio(other, mine)
    assert bounds is not None
    assert mine.energy is not None
    assert other.energy is not None
    assert bounds == pytest.approx(
        (other.energy.low_pj / mine.energy.high_pj, other.energy.high_pj / mine.energy.low_pj)
    )


def test_voltages_of_one_table_share_its_errors() -> None:
    """Half the voltage, no DRAM in the ratio: what is left is a quarter, whatever the picojoules are."""
    machine = accelsim.load_arch("edge_16x16")
    runs = [
        accelsim.simulate("digits_cnn", arch=machine.with_({"tech.voltage_v": v, "clock_hz": "250 MHz"}))
        for v in (0.9, 0.45)
    ]
    bounds = energy_ratio(runs[1], runs[0])
    assert bounds is not None
    on_chip = [run.total.energy_pj - run.total.energy_split_pj["dram"] for run in runs]
    assert on_chip[1] == pytest.approx(on_chip[0] / 4)
    assert runs[1].total.energy_pj / runs[0].total.energy_pj > bounds.low > 0.8
    assert bounds.high < 1


def test_results_without_a_summary_have_no_bounds() -> None:
    result = accelsim.simulate("digits_cnn", arch="edge_16x16")
    old = result.model_copy(update={"energy": None})
    assert energy_ratio(old, result) is None
    assert "energy range" not in str(old)


def test_the_summary_says_the_same_as_the_totals() -> None:
    result = accelsim.simulate("digits_cnn", arch="edge_16x16")
    found, total = result.energy, result.total
    assert found is not None
    for split in (found.entries_pj, found.tensors_pj, total.energy_split_pj):
        assert sum(split.values()) == pytest.approx(total.energy_pj)
    for layer in result.layers:
        assert sum(layer.energy_tensor_pj.values()) == pytest.approx(layer.energy_pj)
    assert found.low_pj <= found.percentiles_pj["p5"] <= found.percentiles_pj["p50"] <= found.percentiles_pj["p95"]
    assert found.percentiles_pj["p95"] <= found.high_pj
    assert found.tops_per_w == pytest.approx(2 * total.macs / (total.energy_pj * 1e-12) * 1e-12)
    assert found.energy_delay_js == pytest.approx(total.energy_pj * 1e-12 * total.latency_s)
    assert found.peak_power_w >= total.average_power_w
    assert found.tensors_pj["idle"] == 0


def test_pools_alone_have_an_energy_and_no_efficiency() -> None:
    """Nothing is multiplied: operations per joule do not exist, and print as such."""
    image, half = Tensor("x", (1, 8, 8, 3), INT8), Tensor("y", (1, 4, 4, 3), INT8)
    pool = MaxPool2D(
        name="pool", inputs=("x",), output="y", shapes=(image.shape,), shape=half.shape, kernel=(2, 2), stride=(2, 2)
    )
    graph = Graph(
        name="pools", arithmetic="tflite-micro", tensors={"x": image, "y": half}, layers=(pool,),
        inputs=(HostPort("x", "x"),), outputs=(HostPort("y", "y"),),
    )  # fmt: skip
    result = accelsim.simulate(graph, arch="edge_16x16")
    assert result.energy is not None
    assert result.total.energy_pj > 0
    assert result.energy.tops_per_w is None
    assert ["efficiency", "—"] in [line.split() for line in str(result).splitlines()]


def test_records_of_before_are_read() -> None:
    """The summary is additional: a Result that was written without it is a Result."""
    result = accelsim.simulate("digits_cnn", arch="edge_16x16")
    data = json.loads(result.to_json())
    del data["energy"]
    for layer in data["layers"]:
        del layer["energy_tensor_pj"]
    old = accelsim.Result.from_json(json.dumps(data))
    assert old.energy is None
    assert old.total == result.total
    assert accelsim.Result.from_json(result.to_json()) == result
