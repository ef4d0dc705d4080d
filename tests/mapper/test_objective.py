"""Who cut the layers and what that minimised: asked for, kept in files, and stated by every Result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import accelsim
from accelsim.arch import load_arch
from accelsim.errors import ConfigError
from accelsim.importers import load_graph
from accelsim.mapper import (
    DEFAULT_OBJECTIVE,
    OBJECTIVES,
    MappingFile,
    Objective,
    map_graph,
    read_mapping_file,
    search_graph,
    write_mappings,
)
from accelsim.report import comparison_table
from accelsim.result import Result

GRAPH = load_graph("digits_cnn")
ARCH = load_arch("edge_16x16")


def file_of(folder: Path, text: str) -> Path:
    path = folder / "tiles.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_energy_times_delay_is_minimised_where_nobody_says() -> None:
    plain, said = accelsim.simulate(GRAPH, arch=ARCH), accelsim.simulate(GRAPH, arch=ARCH, objective="edp")
    assert (plain.mapper, plain.objective) == ("default", DEFAULT_OBJECTIVE)
    assert plain == said


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_default_mapper_is_asked_for_the_objective(objective: Objective) -> None:
    done = accelsim.run(GRAPH, arch=ARCH, objective=objective)
    assert done.program.mappings == map_graph(GRAPH, arch=ARCH, objective=objective)
    assert done.result.objective == objective


def test_a_result_states_both_in_every_form() -> None:
    result = accelsim.simulate(GRAPH, arch=ARCH, objective="energy")
    assert Result.from_json(result.to_json()) == result
    before = {key: value for key, value in json.loads(result.to_json()).items() if key not in ("mapper", "objective")}
    assert Result.from_json(json.dumps(before)).mapper is None
    assert '"mapper": "default"' in result.to_json()
    assert '"objective": "energy"' in result.to_json()
    assert str(result).splitlines()[0].endswith("; tiles by default mapper, least energy")
    assert "; tiles by default mapper, least energy</b>" in result._repr_html_()


def test_a_program_that_somebody_mapped_states_nobody() -> None:
    result = accelsim.simulate(GRAPH, arch=ARCH).model_copy(update={"mapper": None, "objective": None})
    assert "tiles by" not in str(result)
    assert accelsim.compare([result]).cells()[0][-1] == "—"


@pytest.mark.parametrize("objective", [None, *OBJECTIVES])
def test_files_keep_the_objective(objective: Objective | None, tmp_path: Path) -> None:
    mappings = map_graph(GRAPH, arch=ARCH)
    path = file_of(tmp_path, write_mappings(mappings, graph=GRAPH, objective=objective))
    names = [layer.name for layer in GRAPH.layers]
    layers = {name: mapping for name, mapping in zip(names, mappings, strict=True) if mapping is not None}
    assert read_mapping_file(path, graph=GRAPH) == MappingFile(resident_bytes=None, layers=layers, objective=objective)
    result = accelsim.simulate(GRAPH, arch=ARCH, mapping=path)
    assert (result.mapper, result.objective, result.notes) == ("tiles.yaml", objective, ())


def test_gaps_are_filled_by_the_file_s_objective_unless_another_is_chosen(tmp_path: Path) -> None:
    says, silent = "objective: energy\nlayers:\n  2: {oh: 2}\n", "layers:\n  2: {oh: 2}\n"
    for text, chosen, expected in (
        (says, None, "energy"), (says, "cycles", "cycles"), (silent, None, DEFAULT_OBJECTIVE), (silent, "energy", "energy"),
    ):  # fmt: skip
        done = accelsim.run(GRAPH, arch=ARCH, mapping=file_of(tmp_path, text), objective=chosen)
        assert (done.result.mapper, done.result.objective) == ("tiles.yaml", expected)
        filled = map_graph(GRAPH, arch=ARCH, objective=expected)
        assert done.program.mappings[:2] + done.program.mappings[3:] == filled[:2] + filled[3:]


def test_an_objective_that_nothing_is_mapped_by_is_said(tmp_path: Path) -> None:
    mappings = search_graph(GRAPH, arch=ARCH, objective="energy")
    path = file_of(tmp_path, write_mappings(mappings, graph=GRAPH, objective="energy"))
    result = accelsim.simulate(GRAPH, arch=ARCH, mapping=path, objective="cycles")
    assert result.objective == "energy"
    assert result.notes == ("objective cycles changes nothing: tiles.yaml gives the tiles of every layer",)
    assert not accelsim.simulate(GRAPH, arch=ARCH, mapping=path, objective="energy").notes


@pytest.mark.parametrize(
    ("mapping", "remedy"),
    [("greedy", "--mapping default"), *((name, f"--mapping search --objective {name}") for name in OBJECTIVES)],
)
def test_names_of_before_are_refused_with_the_remedy(mapping: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"^mapping '{mapping}': .*; give {remedy}"):
        accelsim.simulate(GRAPH, arch=ARCH, mapping=mapping)


@pytest.mark.parametrize("mapping", ["default", "search"])
def test_what_is_no_objective_is_refused(mapping: str) -> None:
    with pytest.raises(ConfigError, match="^objective: expected cycles, energy or edp, got 'speed'$"):
        accelsim.simulate(GRAPH, arch=ARCH, mapping=mapping, objective="speed")


def test_a_comparison_states_both_sides_and_notes_a_difference() -> None:
    mine, other = (accelsim.simulate(GRAPH, arch=ARCH, objective=objective) for objective in ("edp", "cycles"))
    comparison = accelsim.compare([mine, other])
    assert [row["objective"] for row in comparison.rows()] == ["edp", "cycles"]
    assert [row[-1] for row in comparison.cells()] == ["default mapper, least edp", "default mapper, least cycles"]
    (note,) = comparison.notes
    assert "default mapper, least edp; default mapper, least cycles" in note
    assert f"note: {note}" in str(comparison)
    assert f"note: {note}" in comparison._repr_html_()
    assert len(comparison_table(comparison).columns) == len(comparison.cells()[0])
    assert not accelsim.compare([mine, mine]).notes
