"""Overviews: counts, distributions, effects and best rows of a sweep, each against pandas or scipy."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import accelsim
from accelsim.cli import main
from accelsim.errors import ConfigError
from accelsim.explore import overview
from accelsim.explore.effects import MOST_LEVELS, RANGES, effect_of, explained, groups_of
from accelsim.result import Overview, WorkloadOverview

SPACE: dict[str, Any] = {
    "workloads": ["digits_cnn", "alexnet_conv1_scalesim"],
    "axes": {
        "array.rows": [4, 8, 16],
        "dram.bandwidth_bytes_per_s": ["0.4 GB/s", "3.2 GB/s"],
        "weights.bits": [4, 8],
        "activation_buffer.size_bytes": [1, "128 KiB"],
        "mapping.objective": ["edp", "cycles"],
    },
    "constraints": ["array.rows * weights.bits <= 96", "area_um2 < 1.22e6", "bound != 'compute'"],
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("swept")
    accelsim.sweep(SPACE, out=out)
    return accelsim.read_sweep(out)


@pytest.fixture(scope="module")
def found(table: Any) -> Overview:
    return overview(table)


def shown(table: Any, one: WorkloadOverview) -> Any:
    """The rows that the figures of a workload are of."""
    own = table[table["workload"] == one.workload]
    return own[own["error"] == ""] if one.all_infeasible else own[own["feasible"]]


def test_every_point_is_counted_once(table: Any, found: Overview) -> None:
    assert (found.points, found.finished, found.rows) == (96, 96, len(table))
    assert found.rows == 80
    assert found.feasible == table["feasible"].sum() > 0
    assert found.failed == (table["error"] != "").sum() == sum(number for _, number in found.errors)
    for one in found.workloads:
        own = table[table["workload"] == one.workload]
        valid = own["error"] == ""
        infeasible = int((valid & ~own["feasible"]).sum())
        assert one.counts == {"rows": len(own), "failed": int((~valid).sum()), "infeasible": infeasible}


def test_constraints_are_counted_where_results_decide(table: Any, found: Overview) -> None:
    valid = table[table["error"] == ""]
    area, bound = valid["area_um2"] >= 1.22e6, valid["bound"] == "compute"
    over_axes, over_area, over_bound = found.broken
    assert (over_axes.rows, over_axes.alone) == (None, None)
    assert (over_area.rows, over_area.alone) == (area.sum(), (area & ~bound).sum())
    assert (over_bound.rows, over_bound.alone) == (bound.sum(), (bound & ~area).sum())
    assert 0 < (area & bound).sum() < max(area.sum(), bound.sum())


def test_levels_hold_the_best_feasible_row_and_the_median_of_all(table: Any, found: Overview) -> None:
    seen = 0
    for one in found.workloads:
        own = table[table["workload"] == one.workload]
        for effect in one.effects:
            held = own[effect.axis].astype(str)
            assert [level.value for level in effect.levels] == list(dict.fromkeys(held))
            for level in effect.levels:
                rows = own[held == level.value]
                kept = rows[rows["feasible"]] if not one.all_infeasible else rows[rows["error"] == ""]
                assert (level.rows, level.kept) == (len(rows), len(kept))
                for name, best, median in zip(one.objectives, level.best, level.median, strict=True):
                    valid = rows[rows["error"] == ""][name]
                    assert best == (pytest.approx(kept[name].min(), rel=1e-15) if len(kept) else None)
                    assert median == (pytest.approx(valid.median(), rel=1e-15) if len(valid) else None)
                    seen += best is not None
    assert seen > 30


def test_the_best_rows_are_those_and_their_command_runs_them(table: Any, found: Overview) -> None:
    for one in found.workloads:
        own = shown(table, one)
        for objective, rows in one.best.items():
            assert [row[objective] for row in rows] == own.nsmallest(5, objective)[objective].tolist()
            done = CliRunner().invoke(main, [*shlex.split(rows[0]["command"])[1:], "--json", "-"])
            assert done.exit_code == 0, done.output
            total = json.loads(done.stdout)["total"]
            assert total["latency_s"] == rows[0]["latency_s"]
            assert total["energy_pj"] == pytest.approx(rows[0]["energy_pj"], rel=1e-12)


def test_a_distribution_holds_every_feasible_row(table: Any, found: Overview) -> None:
    for one in found.workloads:
        own = shown(table, one)
        assert {"latency_s", "energy_pj", "area_um2", "utilization"} <= {x.figure for x in one.distributions}
        for x in one.distributions:
            assert sum(x.counts) == len(own)
            assert (x.least, x.median, x.most) == (own[x.figure].min(), own[x.figure].median(), own[x.figure].max())
            assert len(x.edges) == len(x.counts) + 1


def test_where_nothing_is_feasible_all_rows_without_error_are_shown(table: Any) -> None:
    none = table.assign(feasible=False)
    none.attrs = table.attrs
    for one in overview(none).workloads:
        assert one.all_infeasible
        assert sum(one.distributions[0].counts) == one.counts["rows"] - one.counts["failed"]
        assert len(one.best["latency_s"]) == 5


def test_where_all_failed_there_are_no_figures(table: Any) -> None:
    broken = table[table["error"] != ""]
    broken.attrs = table.attrs
    for one in overview(broken).workloads:
        assert (one.objectives, one.distributions, dict(one.best)) == ((), (), {})
    empty = table[:0]
    empty.attrs = table.attrs
    assert overview(empty).workloads == ()


def test_accuracy_is_to_be_large(table: Any) -> None:
    accurate = table.assign(accuracy=np.linspace(0.5, 0.9, len(table)))
    accurate.attrs = table.attrs
    for one in overview(accurate).workloads:
        assert one.maximised == ("accuracy",)
        own = shown(accurate, one)
        assert one.best["accuracy"][0]["accuracy"] == own["accuracy"].max()
        levels = one.effects[0].levels
        assert max(level.best[-1] or 0 for level in levels) == own["accuracy"].max()


@pytest.mark.parametrize("of", [{"latency_s": [1.0]}, "no attrs"])
def test_a_table_of_no_sweep_is_refused(table: Any, of: Any) -> None:
    given = pd.DataFrame(table.to_dict()) if of == "no attrs" else of
    with pytest.raises(ConfigError, match="is of the table of accelsim.read_sweep"):
        overview(given)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-100, 100)), min_size=8, max_size=60))
def test_the_share_explained_is_that_of_an_analysis_of_variance(rows: list[tuple[int, float]]) -> None:
    """F is the ratio of the mean squares between and within; the adjusted share follows from it alone."""
    index, values = np.array([k for k, _ in rows]), np.array([x for _, x in rows]).round(3)
    groups = [values[index == k] for k in np.unique(index)]
    n, k = len(values), len(groups)
    share = explained(index, values)
    if k == 1 or n <= k or any(len(group) == 0 for group in groups) or np.ptp(values) == 0:
        assert share is None or share == 0.0
        return
    assert share is not None
    if max(map(np.ptp, groups)) < 1e-3 * np.ptp(values):
        assert share > 0.99
        return
    ratio = stats.f_oneway(*groups).statistic
    assert share == pytest.approx(max((k - 1) * (ratio - 1) / ((k - 1) * ratio + n - k), 0.0), abs=1e-6)


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 40))
def test_numbers_fall_into_ranges_that_do_not_overlap(values: list[float | None], levels: int) -> None:
    column = np.array([np.nan if x is None else x for x in values])[np.arange(len(values)) % levels % len(values)]
    at, made = groups_of(column)
    assert set(at.tolist()) == set(range(len(made)))
    numbers = [group for group in made if group.value != "null"]
    assert len(numbers) <= max(MOST_LEVELS, RANGES)
    for k, group in enumerate(numbers):
        own = column[at == k]
        assert (own.min(), own.max()) == (group.low, group.high)
    assert all(a.high < b.low for a, b in itertools.pairwise(numbers))


def test_texts_beyond_the_most_frequent_are_one_level() -> None:
    column = np.array([f"table{k % 40:02}" for k in range(400)] + ["often"] * 50 + [None] * 20, dtype=object)
    at, made = groups_of(column)
    assert len(made) == MOST_LEVELS
    assert {"often", "null"} <= {group.value for group in made}
    assert made[-1].others == 42 - (MOST_LEVELS - 1)
    counts = np.bincount(at)
    assert counts.sum() == len(column)
    assert counts[-1] == 10 * made[-1].others


def test_an_axis_that_decides_all_explains_all() -> None:
    rows = np.repeat([4, 8, 16], 50)
    rng = np.random.default_rng(3)
    effect = effect_of(
        "rows", groups_of(rows), np.ones(150, bool), np.ones(150, bool), [1.0 / rows, rng.random(150), np.ones(150)]
    )
    assert effect.shares[0] == pytest.approx(1.0)
    assert effect.shares[1] is not None
    assert effect.shares[1] < 0.1
    assert effect.shares[2] is None


def test_the_page_of_the_command(tmp_path: Path) -> None:
    space, page = tmp_path / "space.yaml", tmp_path / "page.html"
    space.write_text(json.dumps(SPACE | {"workloads": ["digits_cnn"]}), encoding="utf-8")
    arguments = ["sweep", str(space), "--out", str(tmp_path / "out"), "--html", str(page)]
    half = CliRunner().invoke(main, [*arguments, "--shard", "1/3"])
    assert half.exit_code == 0, half.output
    assert "48, 32 of them not computed yet" in page.read_text()
    assert CliRunner().invoke(main, arguments).exit_code == 0
    text = page.read_text()
    assert "not computed yet" not in text
    best = overview(accelsim.read_sweep(tmp_path / "out")).workloads[0].best
    for rows in best.values():
        assert all(f"point {row['point']}: {row['command']}" in text for row in rows)


def test_without_pandas_a_page_is_refused_before_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.cli.sweep.find_spec", lambda _: None)
    space = tmp_path / "space.yaml"
    space.write_text(json.dumps(SPACE), encoding="utf-8")
    done = CliRunner().invoke(
        main, ["sweep", str(space), "--out", str(tmp_path / "out"), "--html", str(tmp_path / "p.html")]
    )
    assert done.exit_code == 1
    assert "pip install 'accelsim[explore]'" in done.stderr
    assert not (tmp_path / "out").exists()
