"""Guided search: rows equal evaluate's, constraints steer, a stored study goes on, and what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import accelsim
from accelsim.cli import main
from accelsim.errors import ConfigError
from accelsim.explore import SAMPLERS, guided_search, pareto

pytest.importorskip("optuna", reason="optuna is an extra")
SPACE: dict[str, Any] = {
    "workloads": ["digits_cnn"],
    "axes": {
        "array.rows": [4, 8, 16, 32],
        "array.cols": [4, 8, 16, 32],
        "weights.bits": [4, 8],
        "array.dataflow": ["weight_stationary", "output_stationary"],
        "activation_buffer.size_bytes": [64, 16384, 65536],
    },
    "constraints": ["array.rows * array.cols <= 512", "area_um2 < 1e6"],
}
OBJECTIVES = "latency_s", "energy_pj", "area_um2"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_rows_are_those_of_evaluate_and_keep_the_constraints(sampler: Any) -> None:
    found = guided_search(SPACE, trials=70, sampler=sampler, objectives=OBJECTIVES)
    assert len(found.study.trials) == 70
    edits = [dict(zip(SPACE["axes"], row, strict=True)) for row in found.table[list(SPACE["axes"])].to_numpy().tolist()]
    rows = accelsim.evaluate("digits_cnn", arch="edge_16x16", edits=edits)
    np.testing.assert_array_equal(found.table["cycles"], rows["cycles"])
    np.testing.assert_array_equal(found.table["error"] == "", rows["error"] == "")
    assert (found.table["array.rows"] * found.table["array.cols"] <= 512).all()
    best = {trial.number for trial in found.study.best_trials}
    assert found.table.set_index("point")["feasible"][sorted(best)].all()
    (front,) = pareto(found.table, OBJECTIVES)
    assert {row["point"] for row in front.rows} <= set(found.table["point"])


def test_the_same_seed_asks_for_the_same_points() -> None:
    one, other, another = (guided_search(SPACE, trials=40, seed=seed).table for seed in (1, 1, 2))
    assert one.equals(other)
    assert not one["key"].equals(another["key"])


def test_learning_beats_chance() -> None:
    """At 150 points, over three seeds, by the share of the box that the front dominates."""
    corner = {"latency_s": 1e-4, "energy_pj": 1e7, "area_um2": 1e6}

    def share(sampler: Any, seed: int) -> float:
        table = guided_search(SPACE, trials=150, sampler=sampler, objectives=OBJECTIVES, seed=seed).table
        return pareto(table, OBJECTIVES, reference=corner)[0].hypervolume

    assert sum(share("tpe", seed) for seed in range(3)) > sum(share("random", seed) for seed in range(3))


def test_a_stored_study_goes_on(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    begun = guided_search(SPACE, trials=20, storage=storage)
    more = guided_search(SPACE, trials=45, storage=storage)
    assert more.table["point"].max() <= 44
    assert more.table["key"][: len(begun.table)].equals(begun.table["key"])
    with pytest.raises(ConfigError, match=r"changed since: the space \(axes\)"):
        guided_search(SPACE | {"axes": SPACE["axes"] | {"array.rows": [4, 8]}}, trials=45, storage=storage)
    with pytest.raises(ConfigError, match="changed since: the objectives"):
        guided_search(SPACE, trials=45, storage=storage, objectives=("energy_pj", "latency_s"))


@pytest.mark.parametrize(
    ("edits", "arguments", "message"),
    [
        ({"workloads": ["digits_cnn", "mobilenet_v2"]}, {}, "goes through one, got 2"),
        ({}, {"objectives": ("latency",)}, "objective 'latency': expected one of"),
        ({}, {"maximise": ("utilization",)}, "maximise 'utilization': is none of the objectives"),
        ({}, {"sampler": "best"}, "sampler 'best': expected one of nsga2"),
        ({}, {"storage": "nowhere"}, "storage 'nowhere': cannot be used: "),
        ({}, {"trials": 0}, "trials: expected 1 or more"),
    ],
)
def test_refusals(edits: dict[str, Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        guided_search(SPACE | edits, **({"trials": 1} | arguments))


def test_the_command_offers_every_sampler() -> None:
    (option,) = (parameter for parameter in main.commands["guided"].params if parameter.name == "sampler")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == SAMPLERS


def test_the_command_prints_the_front(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(json.dumps(SPACE), encoding="utf-8")
    words = [
        "guided",
        str(path),
        "--trials",
        "30",
        "--sampler",
        "tpe",
        "--minimise",
        "energy_pj",
        "--maximise",
        "utilization",
    ]
    done = CliRunner().invoke(main, [*words, "--json", "-"])
    assert done.exit_code == 0, done.output
    (front,) = json.loads(done.stdout)["fronts"]
    assert front["rows"]
    assert "--set" in front["rows"][0]["command"]
