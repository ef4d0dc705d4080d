"""Variants are runs of their own: what ``simulate`` says of the edited machine, network, mapping and objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.errors import AccelsimError, ConfigError, ModelFileError
from accelsim.explore import batched, simulate_variants, variants_of
from accelsim.explore.widths import with_widths
from accelsim.result import Result

from .test_evaluate import network_and_machine, outcome, seeds, what_if

NETWORK = "digits_cnn"


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(seeds)
def test_a_variant_is_a_run_of_the_edited_machine(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, arch = network_and_machine(rng, quick=True)
    for edit in (edit for _ in range(3) if (edit := what_if(rng))):
        wanted = outcome(graph, arch, edit)
        try:
            found: Result | str = simulate_variants(graph, arch=arch, variants={"v": edit})["v"]
        except AccelsimError as error:
            found = str(error)
        assert found == (wanted if isinstance(wanted, Result) else f"variant 'v': {wanted}")


def test_special_keys_are_those_arguments_of_simulate(tmp_path: Path) -> None:
    base, tiles = load_arch("edge_16x16"), tmp_path / "tiles.yaml"
    tiles.write_text("objective: cycles\nlayers: {}\n", encoding="utf-8")
    fast = {"dram.bandwidth_bytes_per_s": "12.8 GB/s"}
    runs: dict[str, tuple[dict[str, Any], Result]] = {
        "arch": ({"arch": "os_16x16"}, accelsim.simulate(NETWORK, arch="os_16x16")),
        "arch, edited": (
            {"arch": "os_16x16", **fast},
            accelsim.simulate(NETWORK, arch=load_arch("os_16x16", edits=fast)),
        ),
        "model": ({"model": "digits_w4a4"}, accelsim.simulate("digits_w4a4", arch=base)),
        "file": ({"mapping": str(tiles)}, accelsim.simulate(NETWORK, arch=base, mapping=tiles)),
        "objective": ({"objective": "energy"}, accelsim.simulate(NETWORK, arch=base, objective="energy")),
        "as of evaluate": ({"mapping.objective": "cycles"}, accelsim.simulate(NETWORK, arch=base, objective="cycles")),
        "arithmetic": (
            {"arithmetic": "litert-xnnpack"},
            accelsim.simulate(NETWORK, arch=base, arithmetic="litert-xnnpack"),
        ),
    }
    found = simulate_variants(NETWORK, arch=base, variants={name: edits for name, (edits, _) in runs.items()})
    assert found == {name: result for name, (_, result) in runs.items()}


def test_the_base_gives_what_a_variant_leaves_alone(tmp_path: Path) -> None:
    tiles = tmp_path / "tiles.yaml"
    tiles.write_text("layers: {}\n", encoding="utf-8")
    asked: dict[str, dict[str, Any]] = {
        "a": {"array.rows": 8},
        "b": {"objective": "energy"},
        "c": {"mapping": "default"},
    }
    found = simulate_variants(NETWORK, variants=asked, mapping=tiles, objective="cycles").values()
    assert [(r.mapper, r.objective) for r in found] == [
        ("tiles.yaml", "cycles"), ("tiles.yaml", "energy"), ("default", "cycles"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "edited"),
    [
        ({"weights.bits": "4"}, lambda graph: with_widths(graph, (("weights.bits", 4),))),
        ({"layers.0.weights.bits": 2}, lambda graph: with_widths(graph, (("layers.0.weights.bits", 2),))),
        ({"batch": "3"}, lambda graph: batched(graph, 3)),
    ],
)
def test_edits_of_the_network_are_those_of_evaluate_and_noted(edits: dict[str, Any], edited: Any) -> None:
    arch = load_arch("edge_16x16")
    graph = accelsim.load_graph(NETWORK)
    (found,) = simulate_variants(NETWORK, arch=arch, variants={"v": edits}).values()
    wanted = accelsim.simulate(edited(graph), arch=arch)
    assert found.model_copy(update={"notes": wanted.notes}) == wanted.model_copy(update={"arch": found.arch})
    row = accelsim.evaluate(NETWORK, arch=arch, edits=[edits])[0]
    assert (found.total.cycles, found.total.dram_read_bytes) == (row["cycles"], row["dram_read_bytes"])
    path, value = next(iter(edits.items()))
    assert found.notes[: len(wanted.notes)] == wanted.notes
    assert found.notes[len(wanted.notes)].startswith(f"{path} of {value}: ")


@pytest.mark.parametrize(
    ("edits", "error", "said"),
    [
        ({}, ConfigError, "edits nothing; expected PATH=VALUE"),
        ({"objectiv": "edp"}, ConfigError, "objectiv: unknown path; did you mean 'objective'?"),
        ({"modle": "x"}, ConfigError, "modle: unknown path; did you mean 'model'?"),
        ({"weight.bits": 4}, ConfigError, "weight.bits: unknown"),
        ({"dram.bandwith_bytes_per_s": 1}, ConfigError, "did you mean 'dram.bandwidth_bytes_per_s'?"),
        ({"rows": 1}, ConfigError, "did you mean 'array.rows'?"),
        ({"dram": 1}, ConfigError, "dram: is a section; expected one of its entries"),
        ({"array.rows": "many"}, ConfigError, "array.rows: expected a whole number, got 'many'"),
        ({"arch": "edge_16x61"}, ConfigError, "arch: edge_16x61: no such file, nor a preset"),
        ({"objective": "speed"}, ConfigError, "objective: expected cycles, energy or edp, got 'speed'"),
        ({"objective": "edp", "mapping.objective": "edp"}, ConfigError, "objective: given twice"),
        ({"batch": "many"}, ConfigError, "batch: expected a number of images"),
    ],
)
def test_what_cannot_be_edited_is_refused_before_anything_runs(
    edits: dict[str, Any], error: type[AccelsimError], said: str
) -> None:
    with pytest.raises(error, match="^variant 'odd one': ") as caught:
        variants_of(NETWORK, variants={"fine": {"array.rows": 8}, "odd one": edits})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("edits", "error", "said"),
    [
        ({"weights.bits": 99}, ConfigError, "weights.bits: expected 1 to 16 bits, got 99"),
        ({"layers.nothing.weights.bits": 4}, ConfigError, "layers.nothing.weights.bits: among the layers with weights"),
        ({"model": "nowhere"}, ModelFileError, "nowhere"),
        ({"mapping": "greedy"}, ConfigError, "the mapper is called 'default'"),
        ({"tech.voltage_v": 0.3}, ConfigError, "tech.voltage_v of 0.3: the alpha-power law"),
    ],
)
def test_what_does_not_run_names_the_variant(edits: dict[str, Any], error: type[AccelsimError], said: str) -> None:
    (variant,) = variants_of(NETWORK, variants={"odd one": edits})
    with pytest.raises(error, match="^variant 'odd one': ") as caught:
        variant.simulate()
    assert said in str(caught.value)


def test_machines_may_be_given_as_they_are(tmp_path: Path) -> None:
    arch: Arch = load_arch("os_16x16")
    graph = accelsim.load_graph(NETWORK)
    found = simulate_variants(
        graph, arch=arch, variants={"a": {"arch": load_arch("edge_16x16")}, "b": {"model": graph, "batch": 1}}
    )
    assert [result.arch["name"] for result in found.values()] == ["edge_16x16", "os_16x16"]
