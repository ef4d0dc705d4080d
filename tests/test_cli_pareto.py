"""``accelsim pareto``: its table, its files, and commands that run the rows of a front again."""

from __future__ import annotations

import csv
import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as CliResult

import accelsim
from accelsim.cli import main
from accelsim.errors import AccelsimError
from accelsim.explore import front, pareto

pandas = pytest.importorskip("pandas")
AXES = {
    "array.rows": [8, 16],
    "activation_buffer.resident_bytes": ["auto", "16384"],
    "dram.bandwidth_bytes_per_s": [4e8, 3.2e9],
    "weights.bits": [4, 8],
    "batch": [1, 2],
    "mapping.objective": ["edp", "cycles"],
}
READ_SWEEP = accelsim.read_sweep
WORKLOADS = ("digits_cnn", "alexnet_conv1_scalesim")


def swept() -> Any:
    """What ``read_sweep`` gives of a grid over :data:`AXES`: columns and ``attrs`` as it documents them."""
    edits: list[dict[str, object]] = [
        dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())
    ]
    edits[5]["array.rows"] = 0
    frames = []
    for workload in WORKLOADS:
        rows = pandas.DataFrame(accelsim.evaluate(workload, arch="edge_16x16", edits=edits))
        frames.append(
            pandas.concat([pandas.DataFrame({"workload": workload, **pandas.DataFrame(edits)}), rows], axis=1)
        )
    table = pandas.concat(frames, ignore_index=True)
    table.insert(0, "point", np.arange(len(table)))
    table["feasible"] = (table["error"] == "") & (table["batch"] * table["array.rows"] < 32)
    table.attrs["sweep"] = {"machine": {"name": "edge_16x16", "yaml": ""}, "axes": list(AXES), "groups": {}}
    return table


@pytest.fixture(scope="module")
def table() -> Any:
    return swept()


@pytest.fixture(autouse=True)
def _sweep(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_sweep(folder: str) -> Any:
        if folder != "sweep":
            raise AccelsimError(f"{folder}: holds no sweep")
        return table

    monkeypatch.setattr(accelsim, "read_sweep", read_sweep, raising=False)


def cli(*arguments: object, code: int = 0) -> CliResult:
    done = CliRunner().invoke(main, [str(x) for x in arguments])
    assert done.exit_code == code, done.output
    return done


def told(*arguments: object) -> list[dict[str, Any]]:
    fronts: list[dict[str, Any]] = json.loads(cli("pareto", "sweep", *arguments, "--json", "-").stdout)["fronts"]
    return fronts


@pytest.mark.parametrize(
    "objectives", [("latency_s", "energy_pj"), ("latency_s", "energy_pj", "area_um2", "utilization")]
)
def test_each_workload_has_the_front_of_its_own_rows(table: Any, objectives: tuple[str, ...]) -> None:
    names = [word for pair in zip(("--x", "--y", "--z", "--w"), objectives, strict=False) for word in pair]
    most = ("utilization",) if "utilization" in objectives else ()
    fronts = told(*names, *(word for name in most for word in ("--maximise", name)))
    assert [found["workload"] for found in fronts] == list(WORKLOADS)
    for found in fronts:
        own = table[(table["workload"] == found["workload"]) & table["feasible"]]
        costs = own[list(objectives)].to_numpy() * [-1 if name in most else 1 for name in objectives]
        best = own.iloc[front(costs)]
        assert [row["point"] for row in found["rows"]] == best["point"].tolist()
        for name in (*objectives, *AXES):
            assert [row[name] for row in found["rows"]] == best[name].tolist()
        assert sum(row["knee"] for row in found["rows"]) == 1
        assert found["counts"] == {"rows": 64, "failed": 1, "infeasible": 16, "incomplete": 0}
        assert 0 < found["share"] <= 1
        assert found["maximised"] == list(most)


def test_the_command_of_a_row_gives_that_row(table: Any) -> None:
    """Cycles and bytes to the last one, energy but for rounding: what ``evaluate`` promises of ``simulate``."""
    ran = 0
    for found in told("--z", "area_um2"):
        for row in found["rows"][:: max(1, len(found["rows"]) // 4)]:
            words = shlex.split(row["command"])
            assert words[:2] == ["accelsim", "run"]
            result = json.loads(cli(*words[1:], "--json", "-").stdout)
            expected = table.loc[row["point"]]
            for name in ("cycles", "dram_read_bytes", "dram_write_bytes"):
                assert result["total"][name] == expected[name], row["command"]
            found_by_run = result["total"] | {"area_um2": result["area"]["total_um2"]}
            for name in ("latency_s", "energy_pj", "area_um2"):
                assert found_by_run[name] == pytest.approx(expected[name], rel=1e-11)
            assert result["objective"] == expected["objective"]
            ran += 1
    assert ran >= 6


def test_the_table_marks_the_knee_and_says_how_to_run_it() -> None:
    plain, full = cli("pareto", "sweep").stdout, cli("pareto", "sweep", "--commands").stdout
    found = pareto(accelsim.read_sweep("sweep"))
    for one in found:
        knee = one.rows[one.knee or 0]
        assert f"{one.workload}: {len(one.rows)} of 64 rows are on the front" in plain
        assert sum(line.rstrip().endswith(" knee") for line in plain.splitlines()) == 2
        assert f"point {knee['point']}: {knee['command']}\n" in plain
        for row in one.rows:
            assert f"\npoint {row['point']}: {row['command']}\n" in full
    assert "1 failed, 16 infeasible" in plain
    assert "the farthest below the chord between its ends" in plain


def test_files(tmp_path: Path) -> None:
    names = {kind: tmp_path / f"front.{kind}" for kind in ("json", "csv", "html", "svg")}
    done = cli(
        "pareto",
        "sweep",
        "--json",
        names["json"],
        "--csv",
        names["csv"],
        "--html",
        names["html"],
        "--plot",
        names["svg"],
    )
    assert "on the front" in done.stdout
    rows = [row for found in json.loads(names["json"].read_text())["fronts"] for row in found["rows"]]
    lines = list(csv.DictReader(names["csv"].read_text().splitlines()))
    assert [int(line["point"]) for line in lines] == [row["point"] for row in rows]
    assert [float(line["energy_pj"]) for line in lines] == [row["energy_pj"] for row in rows]
    page = names["html"].read_text()
    assert page.count("<tr>") == len(rows) + 2
    assert page.count("<svg") == 1
    assert "src=" not in page
    assert "latency_s" in names["svg"].read_text() or names["svg"].stat().st_size > 10_000


def test_the_corner_may_be_named() -> None:
    (first, *_), (other, *_) = told(), told("--reference", "latency_s=1", "--reference", "energy_pj=1e12")
    assert other["reference"] == {"latency_s": 1.0, "energy_pj": 1e12}
    assert other["hypervolume"] > first["hypervolume"]
    assert other["share"] > first["share"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere: holds no sweep"),
        (("sweep", "--x", "latency"), "objective 'latency': no such column; there are point, workload"),
        (("sweep", "--x", "bound"), "objective 'bound': holds texts"),
        (("sweep", "--y", "latency_s"), "objective 'latency_s': given twice"),
        (("sweep", "--w", "area_um2"), "--w area_um2: is a fourth objective, but there is no third; give it as --z"),
        (("sweep", "--maximise", "area_um2"), "maximise 'area_um2': is none of the objectives"),
        (("sweep", "--reference", "area_um2=1"), "reference 'area_um2': is none of the objectives"),
        (("sweep", "--reference", "latency_s=soon"), "--reference latency_s=soon: expected a number"),
        (("sweep", "--reference", "latency_s"), "--reference 'latency_s': expected PATH=VALUE"),
    ],
)
def test_refusals_are_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = cli("pareto", *arguments, code=1)
    assert done.stderr.startswith(f"accelsim: error: {said}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_workload_without_a_point_is_told_and_all_of_them_refused(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = table.copy()
    broken.loc[broken["workload"] == WORKLOADS[0], "feasible"] = False
    broken.attrs = table.attrs
    monkeypatch.setattr(accelsim, "read_sweep", lambda _: broken)
    done = cli("pareto", "sweep")
    assert "digits_cnn: none of its 64 rows is a point" in done.stderr
    assert WORKLOADS[1] in done.stdout
    broken["feasible"] = False
    assert "none of 128 rows is feasible, without error" in cli("pareto", "sweep", code=1).stderr


def test_run_takes_edits_of_the_network_and_says_what_it_cannot() -> None:
    given = cli(
        "run", "digits_cnn", "--arch", "edge_16x16", "--set", "weights.bits=4", "--set", "batch=3", "--json", "-"
    ).stdout
    (row,) = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=[{"weights.bits": 4, "batch": 3}])
    assert json.loads(given)["total"]["cycles"] == row["cycles"]
    assert json.loads(given)["values"] is None
    refused = cli("run", "digits_cnn", "--set", "batch=3", "--input", "digits_cnn", code=1).stderr
    assert "--input digits_cnn: a network with --set batch is timed and priced, not executed" in refused
    assert "batch: expected a number of images" in cli("run", "digits_cnn", "--set", "batch=x", code=1).stderr
    assert "batch: unknown path" in cli("map", "digits_cnn", "--set", "batch=2", code=1).stderr


def test_an_axis_over_a_group_is_the_widths_of_its_layers(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``read_sweep`` tells of groups: globs, or any other form of a layer's name; a workload may lack some of them."""
    grouped = table.rename(columns={"weights.bits": "groups.ends.weights.bits"})
    axes = [name.replace("weights.bits", "groups.ends.weights.bits") for name in AXES]
    grouped.attrs["sweep"] = {
        "machine": {"name": "edge_16x16"},
        "axes": axes,
        "groups": {"ends": ["conv*", "logits", "nowhere"]},
    }
    monkeypatch.setattr(accelsim, "read_sweep", lambda _: grouped)
    digits, alexnet = told()
    for row in digits["rows"]:
        sets = [word for word in shlex.split(row["command"]) if ".weights.bits=" in word]
        assert sets == [
            f"layers.{name}.weights.bits={row['groups.ends.weights.bits']}" for name in ("conv1", "conv2", "logits")
        ]
        cli(*shlex.split(row["command"])[1:])
    assert "--set layers.conv1.weights.bits=" in alexnet["rows"][0]["command"]


def test_the_front_of_a_real_sweep_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelsim, "read_sweep", READ_SWEEP)
    space = {
        "workloads": ["digits_cnn"],
        "axes": {"array.rows": [4, 8, 16], "groups.ends.weights.bits": [2, 8], "batch": [1, 2]},
        "groups": {"ends": ["conv*", "logits"]},
        "constraints": ["batch * array.rows < 32"],
    }
    accelsim.sweep(space, out=tmp_path / "swept")
    (found,) = json.loads(cli("pareto", tmp_path / "swept", "--z", "area_um2", "--json", "-").stdout)["fronts"]
    assert found["rows"]
    for row in found["rows"]:
        again = json.loads(cli(*shlex.split(row["command"])[1:], "--json", "-").stdout)["total"]
        assert again["latency_s"] == row["latency_s"]
        assert again["energy_pj"] == pytest.approx(row["energy_pj"], rel=1e-12)
