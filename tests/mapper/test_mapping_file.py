"""Mappings by hand: what a file may say, what is wrong with one, and that a search's file brings its tiles back."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim import run
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import ConfigError, MappingError, ProgramError
from accelsim.graph import Reshape
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import (
    OBJECTIVES,
    Objective,
    divide_memory,
    map_graph,
    read_mapping_file,
    read_mappings,
    search_graph,
    write_mappings,
)
from accelsim.names import LayerNames
from accelsim.program import MacMapping, VectorMapping
from accelsim.program.fusion import fused_layers
from tests.networks import chain

GRAPH = load_graph(resolve_model("digits_cnn"))
NAMES = [layer.name for layer in GRAPH.layers]
ARCH = load_arch("edge_16x16")


def file_of(folder: Path, text: str) -> Path:
    path = folder / "tiles.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("make", [map_graph, search_graph])
def test_what_is_written_is_read_back(make, tmp_path: Path) -> None:
    mappings = make(GRAPH, arch=ARCH)
    given = read_mappings(file_of(tmp_path, write_mappings(mappings, graph=GRAPH)), graph=GRAPH)
    names = [layer.name for layer in GRAPH.layers if not isinstance(layer, Reshape)]
    assert given == {name: m for name, m in zip(names, mappings, strict=True) if m is not None}


def test_axes_left_out_are_not_cut(tmp_path: Path) -> None:
    path = file_of(tmp_path, "layers:\n  4: {oc: 8, order: activations_outer}\n  6: {tile: [1, 1, 1, 4]}\n")
    assert read_mappings(path, graph=GRAPH) == {
        NAMES[4]: MacMapping(oh=4, ow=4, oc=8, ic=32, kh=3, kw=3, groups=1, order="activations_outer"),
        NAMES[6]: VectorMapping(tile=(1, 1, 1, 4)),
    }


def test_a_run_uses_the_file_and_fills_its_gaps(tmp_path: Path) -> None:
    path = file_of(tmp_path, "layers:\n  2: {oh: 2, oc: 16}\n")
    program = run("digits_cnn", arch=ARCH, mapping=path).program
    default = map_graph(GRAPH, arch=ARCH)
    at = 2
    assert program.mappings[at] == MacMapping(oh=2, ow=8, oc=16, ic=16, kh=1, kw=1)
    assert program.mappings[:at] + program.mappings[at + 1 :] == default[:at] + default[at + 1 :]


@pytest.mark.parametrize("width", [8, 22, 30])
def test_layers_go_by_any_form_that_is_printed(width: int, tmp_path: Path) -> None:
    for short in LayerNames(NAMES).shown(width):
        with pytest.raises(ConfigError, match="unknown key 'nothing'"):
            read_mappings(file_of(tmp_path, f"layers:\n  '{short}': {{nothing: 0}}\n"), graph=GRAPH)


KEEPING = ARCH.with_({"activation_buffer.size_bytes": "66 KiB", "activation_buffer.resident_bytes": "2 KiB"})


def test_bands_are_written_and_read_back(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        "layers:\n  1: {oh: 2, band: 2}\n  3: {tile: [1, 1, 4, 32], band: 2}\n",
    )
    given = read_mappings(path, graph=GRAPH)
    assert [mapping.band for mapping in given.values()] == [2, 2]
    mappings = tuple(
        given.get(layer.name, m) for layer, m in zip(GRAPH.layers, map_graph(GRAPH, arch=ARCH), strict=True)
    )
    assert read_mappings(file_of(tmp_path, write_mappings(mappings, graph=GRAPH)), graph=GRAPH).items() >= given.items()
    pairs = fused_layers(GRAPH, run("digits_cnn", arch=KEEPING, mapping=path).program.mappings)
    assert [(pair.producer, pair.consumer) for pair in pairs] == [(0, 1), (2, 3)]


def test_the_search_of_a_machine_that_fuses_keeps_to_the_file(tmp_path: Path) -> None:
    """Layers that the file leaves out are not fused, whatever the mapper would do by itself."""
    arch = KEEPING.with_({"activation_buffer.fuse_pairs": True, "dram.bandwidth_bytes_per_s": 10**8})
    arch = arch.with_({"activation_buffer.resident_bytes": 800})
    assert fused_layers(GRAPH, map_graph(GRAPH, arch=arch))
    path = file_of(tmp_path, "layers:\n  4: {oh: 2}\n")
    assert not fused_layers(GRAPH, run("digits_cnn", arch=arch, mapping=path).program.mappings)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_run_can_search(objective: Objective) -> None:
    simulation = run("digits_cnn", arch=ARCH, mapping="search", objective=objective)
    assert simulation.program.mappings == search_graph(GRAPH, arch=ARCH, objective=objective)
    assert (simulation.result.mapper, simulation.result.objective) == ("search", objective)


WRONG = {
    "objective: speed\nlayers: {}": r":1: objective: expected cycles, energy or edp, got 'speed'",
    "layers: {}\nobjective:": r":2: objective: expected cycles, energy or edp, got None",
    "objectives: edp\nlayers: {}": r":1: objectives: unknown key; expected a mapping file: .*, and objective",
    "tiles: {}": r":1: tiles: unknown key; expected a mapping file",
    "layers: 3": r":1: layers: missing; expected a mapping file",
    "": r"is empty; expected a mapping file",
    "layers:\n  probabilitie: {oc: 8}": r":2: layers.probabilitie: the network has no such layer; did you "
    "mean 'probabilities'",
    "layers:\n  wise: {oc: 8}": r":2: layers.wise: several layers are meant: 'depthwise' \(1\), "
    r"'pointwise' \(2\); give more of the name, or the index",
    "layers:\n  8: {tile: [1, 10]}\n  abilities: {tile: [1, 10]}": r":3: layers.abilities: this is layer 'probabilities'.*given before",
    "layers:\n  4: {oc: 8}\n  4: {}": r":3: layers.4: duplicate key",
    "layers:\n  4: {occ: 8}": r":2: layers.4: unknown key 'occ'; expected .*, oc\?",
    "layers:\n  4: 8": r":2: layers.4: expected a mapping with oh, ow",
    "layers:\n  4: {oc: 33}": r"tile size oc must be 1 to 32, got 33",
    "layers:\n  4: {oc: 0}": r"tile size oc must be 1 to 32, got 0",
    "layers:\n  4: {oc: x}": r"oc: expected a whole number, got 'x'",
    "layers:\n  4: {order: inner}": r"order: expected weights_outer or activations_outer, got 'inner'",
    "layers:\n  4: {band: 2}": r":2: layers.4: .*band of 2: it must be the only reader of .*; leave band out",
    "layers:\n  2: {band: 9}": r":2: layers.2: .*band must be 1 to 8 rows, got 9",
    "layers:\n  2: {band: -1}": r"band must be 1 to 8 rows, got -1",
    "layers:\n  6: {tile: 4}": r"tile: expected a list of sizes, got 4",
    "layers:\n  6: {tile: [1, 1]}": r"the tile \(1, 1\) has not the 4 axes",
    "layers:\n  8: {tile: [1, 5]}": r"a tile must cover axis 1 whole, 10 elements, got 5",
    "layers:\n  1: {groups: 2, oc: 1, kh: 4}": r"tile size kh must be 1 to 3, got 4",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_files_are_one_clear_message(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=WRONG[text]) as caught:
        read_mappings(file_of(tmp_path, text), graph=GRAPH)
    assert "tiles.yaml" in str(caught.value)


def test_a_reshaped_tensor_is_not_tiled(tmp_path: Path) -> None:
    graph = chain(reshape=True)
    with pytest.raises(ConfigError, match=r"tiles\.yaml:2: layers\.alias: .*not tiled; leave the layer out"):
        read_mappings(file_of(tmp_path, "layers:\n  alias: {tile: [1, 1]}"), graph=graph)


def test_a_missing_file_names_the_searches() -> None:
    with pytest.raises(ConfigError, match="expected a mapping file: .*, or one of default, search"):
        run("digits_cnn", arch=ARCH, mapping="speed")


def test_programs_refuse_tiles_that_are_none() -> None:
    """Also without a file: hand-made mappings from Python."""
    mappings = list(map_graph(GRAPH, arch=ARCH))
    softmax = NAMES.index("probabilities")
    with pytest.raises(MappingError, match="must cover axis 1 whole"):
        build_program(
            GRAPH, arch=ARCH, mappings=[*mappings[:softmax], VectorMapping(tile=(1, 5)), *mappings[softmax + 1 :]]
        )
    with pytest.raises(MappingError, match="cannot be cut by a VectorMapping"):
        build_program(GRAPH, arch=ARCH, mappings=[VectorMapping(tile=(1, 1)), *mappings[1:]])
    with pytest.raises(ProgramError, match="needs a mapping"):
        build_program(GRAPH, arch=ARCH, mappings=[None, *mappings[1:]])
    with pytest.raises(MappingError, match="tile size groups must be 1 to 16, got 17"):
        build_program(
            GRAPH,
            arch=ARCH,
            mappings=[mappings[0], MacMapping(oh=8, ow=8, oc=1, ic=1, kh=3, kw=3, groups=17), *mappings[2:]],
        )


def test_a_file_keeps_the_division_that_its_tiles_were_found_for(tmp_path: Path) -> None:
    """Where the machine leaves it open; a file that says nothing gets the default mapper's."""
    auto = ARCH.with_({"activation_buffer.resident_bytes": "auto"})
    written = write_mappings(map_graph(GRAPH, arch=KEEPING), graph=GRAPH, resident_bytes=2048)
    path = file_of(tmp_path, written)
    assert read_mapping_file(path, graph=GRAPH).resident_bytes == 2048
    assert run("digits_cnn", arch=auto, mapping=path).arch.get("activation_buffer.resident_bytes") == 2048
    assert run("digits_cnn", arch=ARCH, mapping=path).arch.get("activation_buffer.resident_bytes") == 0
    assert read_mapping_file(file_of(tmp_path, "layers: {}\n"), graph=GRAPH).resident_bytes is None
    found = divide_memory(GRAPH, arch=auto).get("activation_buffer.resident_bytes")
    assert run("digits_cnn", arch=auto, mapping=path).arch.get("activation_buffer.resident_bytes") == found == 4096


@pytest.mark.parametrize("value", ["many", "-1", "true", "2.5"])
def test_a_division_is_a_whole_number(value: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, f"resident_bytes: {value}\nlayers: {{}}\n")
    with pytest.raises(ConfigError, match=r"tiles.yaml:1: resident_bytes: expected a whole number of bytes, got"):
        read_mappings(path, graph=GRAPH)
