"""Spaces as they are written: axes, groups, samples; what is refused, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import ConfigError
from accelsim.explore import read_space
from accelsim.explore.sweep.space import check_workloads, paths_of, points_of

SPACE: dict[str, Any] = {"workloads": ["digits_cnn"], "axes": {"array.rows": [4, 8]}}


def values(path: str, given: Any, **more: Any) -> Any:
    return read_space(SPACE | {"axes": {path: given}} | more).axes[0].levels


def refused(**changed: Any) -> str:
    with pytest.raises(ConfigError) as error:
        check_workloads(read_space(SPACE | changed))
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        ("array.rows", [4, "8"], (4, 8)),
        ("array.rows", range(1, 4), (1, 2, 3)),
        ("array.rows", np.array([4, 8]), (4, 8)),
        ("array.rows", {"from": 4, "to": 64, "powers": 2}, (4, 8, 16, 32, 64)),
        ("array.rows", {"from": 3, "to": 50, "powers": 4}, (3, 12, 48)),
        ("array.rows", {"from": 1, "to": 4, "steps": 7}, (1, 2, 3, 4)),
        ("array.rows", {"from": 1, "to": 100, "steps": 3, "scale": "log"}, (1, 10, 100)),
        ("dram.bandwidth_bytes_per_s", ["0.4 GB/s", 10**9], (4 * 10**8, 10**9)),
        ("dram.bandwidth_bytes_per_s", {"from": "1 GB/s", "to": "3 GB/s", "steps": 2}, (10**9, 3 * 10**9)),
        ("tech.voltage_v", {"from": 0.5, "to": 1, "steps": 3}, (0.5, 0.75, 1.0)),
        ("tech.voltage_v", [None, 0.8], (None, 0.8)),
        ("activation_buffer.resident_bytes", ["auto", 0, "1 KiB"], ("auto", 0, 1024)),
        ("tech.energy_table", ["qkeras_45nm"], ("qkeras_45nm",)),
        ("mapping.objective", ["cycles", "edp"], ("cycles", "edp")),
        ("batch", [1, 4], (1, 4)),
        ("layers.conv1.weights.bits", [2, 8], (2, 8)),
        ("activations.bits", {"from": 4, "to": 16, "powers": 2}, (4, 8, 16)),
    ],
)
def test_values_are_those_that_evaluate_reads(path: str, given: Any, expected: tuple[Any, ...]) -> None:
    assert values(path, given) == expected
    assert [type(x) for x in values(path, given)] == [type(x) for x in expected]


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({"array.rowz": [4]}, "axes.array.rowz: unknown path; did you mean 'array.rows'?"),
        ({"array.rows": [4, 0]}, "axes.array.rows: expected at least 1, got 0"),
        ({"array.rows": [4, "4"]}, "'4' is 4 again; give each value once"),
        ({"array.rows": []}, "an empty list"),
        ({"array.rows": 4}, "expected a list of values"),
        ({"array.rows": {"from": 4, "to": 8}}, "steps: missing; a grid needs"),
        ({"array.rows": {"from": 8, "to": 4, "steps": 2}}, "expected from below to"),
        ({"array.rows": {"from": 4, "to": 8, "step": 2}}, "unknown key 'step'; did you mean 'steps'?"),
        ({"array.rows": {"from": 4, "to": 8, "steps": 1}}, "steps: expected a whole number from 2"),
        ({"array.rows": {"from": 4, "to": 8, "powers": 1}}, "powers: expected a number above 1"),
        ({"array.rows": {"from": 4, "to": 8, "powers": 2, "steps": 2}}, "give one of them"),
        ({"array.rows": {"from": 4, "to": 8, "steps": 2, "scale": "lag"}}, "scale: expected linear or log"),
        ({"batch": [0]}, "axes.batch: expected a number of images"),
        ({"weights.bits": [17]}, "axes.weights.bits: expected 1 to 16 bits, got 17"),
        ({"mapping.objective": ["edp", "power"]}, "expected cycles, energy or edp, got 'power'"),
        ({"tech.energy_table": ["horowitz_45mn"]}, "did you mean 'horowitz_45nm'?"),
        ({"array.dataflow": {"from": "weight_stationary", "to": "adder_tree"}}, "list the values instead"),
        ({"groups.firs.weights.bits": [4]}, "unknown group 'firs'; did you mean 'first'?"),
        (
            {"layers.conv3.weights.bits": [4]},
            "axes.layers.conv3.weights.bits: 'conv3' is no layer with weights of digits_cnn; layers are conv1",
        ),
        ({"layers.*.weights.bits": [4]}, "'*' is no layer with weights"),
        ({}, "axes: expected dotted paths"),
    ],
)
def test_axes_that_are_refused(axes: dict[str, Any], says: str) -> None:
    assert says in refused(axes=axes, groups={"first": ["conv1"]})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"workload": "x"}, "workload: unknown key; did you mean 'workloads'?"),
        ({"workloads": []}, "workloads: expected a text or a list of them"),
        ({"workloads": ["digits_cnn", "digits_cnn"]}, "digits_cnn stands twice"),
        ({"objective": "power"}, "objective: expected cycles, energy or edp, got 'power'"),
        ({"arch": "edge_16x1"}, "did you mean 'edge_16x16'?"),
        ({"sample": "girds"}, "expected grid, or {random: N, seed: S}"),
        ({"sample": {"randum": 10}}, "unknown key 'randum'; did you mean 'random'?"),
        ({"sample": {"random": 10, "latin_hypercube": 10}}, "expected grid, or"),
        ({"sample": {"random": 0}}, "random: expected a whole number from 1"),
        ({"sample": {"latin_hypercube": 10**8}}, "latin_hypercube: expected a whole number from 1 to 10,000,000"),
        ({"groups": {"first": ["nothing*"]}}, "groups.first: 'nothing*' fits no layer with weights of digits_cnn; layers are conv1"),
        ({"axes": {f"{part}.size_bytes": {"from": 10**5, "to": 10**6, "steps": 10**5} for part in
                   ("weight_buffer", "activation_buffer", "output_buffer")} | {"clock_hz": {"from": 10**8, "to": 10**9, "steps": 10**5}}},
         "more than 4,611,686,018,427,387,904 points; draw a sample"),
    ],
)  # fmt: skip
def test_other_entries_that_are_refused(changed: dict[str, Any], says: str) -> None:
    assert says in refused(**changed)


def test_every_wrong_entry_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "workloads: digits_cnn\naxes:\n  array.rows: [0]\n  array.cols:\n    - 4\n    - x\nsample: none\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        read_space(path)
    assert [str(x) for x in error.value.exceptions] == [
        f"{path}:7: sample: expected grid, or {{random: N, seed: S}}, or {{latin_hypercube: N, seed: S}}; got 'none'"
    ]
    path.write_text(path.read_text(encoding="utf-8").replace("sample: none\n", ""), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_space(path)
    assert [str(x) for x in error.value.exceptions] == [
        f"{path}:3: axes.array.rows: expected at least 1, got 0",
        f"{path}:4: axes.array.cols: expected a whole number, got 'x'",
    ]


@pytest.mark.parametrize("text", [None, "", "- 1\n", "a: [", "\xff"])
def test_files_that_are_no_space(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "space.yaml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=str(path)):
        read_space(path)


def test_points_of_a_grid_are_numbered_by_their_axes_the_last_first() -> None:
    space = read_space({"workloads": ["digits_cnn", "alexnet"], "axes": {"array.rows": [4, 8, 16], "batch": [1, 2]}})
    assert space.points == 12
    points = points_of(space, 3, 9)
    assert points.point.tolist() == [3, 4, 5, 6, 7, 8]
    assert points.columns["workload"].tolist() == ["digits_cnn"] * 3 + ["alexnet"] * 3
    assert points.columns["array.rows"].tolist() == [8, 16, 16, 4, 4, 8]
    assert points.columns["batch"].tolist() == [2, 1, 2, 1, 2, 1]


def test_a_constraint_over_axes_drops_points_before_they_are_evaluated() -> None:
    points = points_of(
        read_space(SPACE | {"axes": {"array.rows": range(1, 9)}, "constraints": ["array.rows % 4 == 0"]}), 0, 8
    )
    assert points.point.tolist() == [3, 7]
    assert points.edits == [[4, 8]]


def test_a_sample_may_be_drawn_of_more_points_than_a_grid_may_have() -> None:
    levels = {"from": 10**5, "to": 10**6, "steps": 5000}
    axes = {f"{part}.size_bytes": levels for part in ("weight_buffer", "activation_buffer", "output_buffer")}
    axes |= {
        "clock_hz": {"from": 10**8, "to": 10**9, "steps": 5000},
        "dram.bandwidth_bytes_per_s": {"from": 10**8, "to": 10**9, "steps": 50_000},
    }
    space = {"workloads": "digits_cnn", "axes": axes, "sample": {"random": 100}}
    points = points_of(read_space(space), 50, 100)
    assert points.point.tolist() == list(range(50, 100))
    assert len(set(points.columns["clock_hz"].tolist())) > 40


def test_a_group_stands_for_its_layers_in_each_workload() -> None:
    space = read_space(
        {"workloads": ["digits_cnn", "digits_w4a4"], "axes": {"groups.ends.weights.bits": [4], "groups.ends.activations.bits": [8]},
         "groups": {"ends": ["conv1", "log*", "/1/Conv"]}}
    )  # fmt: skip
    check_workloads(space)
    assert paths_of(space, 0) == [
        ("layers.conv1.weights.bits", "layers.logits.weights.bits"),
        ("layers.conv1.activations.bits", "layers.logits.activations.bits"),
    ]
    assert paths_of(space, 1)[0] == ("layers./1/Conv.weights.bits",)


@pytest.mark.parametrize("other", ["groups.all.weights.bits", "layers.conv1.weights.bits", "layers.0.weights.bits"])
def test_two_axes_do_not_set_one_width(other: str) -> None:
    says = refused(axes={"groups.first.weights.bits": [4, 8], other: [2, 8]}, groups={"first": ["conv1"], "all": ["*"]})
    assert "sets weights.bits of conv1 in digits_cnn, as groups.first.weights.bits does" in says


def test_a_group_is_swept_as_its_layers_are_edited(tmp_path: Path) -> None:
    space = SPACE | {"axes": {"groups.some.weights.bits": [2, 8]}, "groups": {"some": ["conv1", "conv2"]}}
    accelsim.sweep(space, out=tmp_path)
    edits = [{"layers.conv1.weights.bits": bits, "layers.conv2.weights.bits": bits} for bits in (2, 8)]
    expected = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=edits)
    assert accelsim.read_sweep(tmp_path)["cycles"].tolist() == expected["cycles"].tolist()
    assert expected["cycles"][0] != expected["cycles"][1]
