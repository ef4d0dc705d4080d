"""What a Result says of settings that do nothing and of what-ifs that are traps: what is said is true, and nothing else does nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.energy import table_of
from accelsim.graph import HostPort
from accelsim.importers import load_for
from accelsim.mapper import map_graph
from accelsim.program import Program
from accelsim.result import summarize
from accelsim.result.notes import IDLE, TRAPS, Idle, idle_settings, notes
from accelsim.testing.machines import random_arch, roomy
from accelsim.timing import schedule
from tests.arch.test_model import NEEDED, OTHER_VALUES
from tests.generate import random_graph

EDGE = load_arch("edge_16x16")
CASES: dict[str, dict[str, Any]] = {
    "activation_buffer.fuse_pairs": {"activation_buffer.fuse_pairs": True, "activation_buffer.resident_bytes": 0},
    "cores.split": {"cores.split": "rows", "cores.count": 1},
    "dma.zero_run_bits": {"dma.zero_run_bits": 6, "dma.weight_compression": None},
    "dram.burst_bytes": {"dram.burst_bytes": 16, "dram.standard": "LPDDR4_3200", "dram.bandwidth_bytes_per_s": 10**9},
    "array.weight_preload": {"array.weight_preload": "overlapped", "array.dataflow": "output_stationary",
                             "accumulator.products_per_add": 1},
    "activation_buffer.im2col": {"activation_buffer.im2col": "dram"},
    "array.weight_zero_points": {"array.weight_zero_points": "extra_channel", "array.dataflow": "output_stationary",
                                 "accumulator.products_per_add": 1},
    "array.step_folds": {"array.step_folds": 4, "array.dataflow": "output_stationary", "accumulator.products_per_add": 1},
    "array.group_folds": {"array.group_folds": "side_by_side", "array.dataflow": "output_stationary", "accumulator.products_per_add": 1},
    "array.stripe_pixels": {"array.stripe_pixels": 4, "array.dataflow": "output_stationary", "accumulator.products_per_add": 1},
    "dma.write_bytes": {"dma.write_bytes": 8, "dram.burst_bytes": 16},
    "dma.whole_weight_tiles": {"dma.whole_weight_tiles": True, "dram.burst_bytes": 16, "dma.weight_compression": None,
                               "weight_buffer.coding": None},
    "array.hop_um": {"array.hop_um": 1500.0},
    "dma.activation_compression": {"dma.activation_compression": "run_length", "dma.activation_zeros": 0.25},
    "dma.activation_zeros": {"dma.activation_compression": None, "dma.activation_zeros": 0.75},
    "tech.dram": {"tech.dram": "ddr3", **{f"streams.{name}.{key}": value for name in ("weights", "activations")
                                          for key, value in (("memory", "hbm2"), ("memory_bytes", None), ("energy_pj_per_bit", None))}},
    "array.zero_gating": {"array.zero_gating": 0.0, "array.dataflow": "output_stationary", "accumulator.products_per_add": 1},
    "weight_buffer.coding": {"weight_buffer.coding": "codebook"},
    "vector.fuse_activations": {"vector.fuse_activations": True},
    "vector.fuse_elementwise": {"vector.fuse_elementwise": True},
    "vector.fuse_pools": {"vector.fuse_pools": True},
    "weight_buffer.decoders": {"weight_buffer.decoders": 6, "weight_buffer.coding": None},
    **{path: {path: 3, "shared_buffer.size_bytes": None, "weight_buffer.size_bytes": 600, "activation_buffer.size_bytes": 2000,
              "activation_buffer.resident_bytes": 0, "activation_buffer.fuse_pairs": False}
       for path in ("shared_buffer.banks", "shared_buffer.weight_banks")},
}  # fmt: skip
"""Edits with which the setting does nothing, by its path (im2col: on a network without windows; coding: without weights; fused: without
such layers)."""
VALUES = "decides values only, of sums that leave the accumulator or of wide biases"
ENOUGH = "acts where the part is busy; here nothing waits for it"
SILENT = {
    **dict.fromkeys(("accumulator.overflow", "accumulator.products_per_add", "accumulator.bias_bits"), VALUES),
    **dict.fromkeys(("output_buffer.double_buffered", "output_buffer.ports", "output_buffer.bytes_per_cycle"), ENOUGH),
    **dict.fromkeys(("weight_buffer.bytes_per_cycle", "accumulator.double_buffered"), ENOUGH),
    "array.reduction": "acts where the taps of a kernel do not fill the rows",
    "accumulator.word_per_slice": "acts on activations wider than their port, which wait for such a network",
}
"""Settings that may change nothing in a Result and are not said to."""


def figures(program: Program) -> dict[str, Any]:
    """All of a Result but the machine's description, the notes, and what the table is made of."""
    result = summarize(schedule(program), table=table_of(program.arch))
    data: dict[str, Any] = json.loads(result.to_json())
    data["energy"] = {key: value for key, value in data["energy"].items() if key not in ("ranges", "notes")}
    return {key: value for key, value in data.items() if key not in ("arch", "notes")}


def program_of(model: Any, arch: Arch) -> Program:
    return accelsim.run(model, arch=arch).program


@pytest.mark.parametrize("row", IDLE, ids=[row.path for row in IDLE])
def test_each_idle_setting_has_a_case_and_its_default(row: Idle) -> None:
    """A new row of accelsim/result/notes.py needs a case above that shows it."""
    section, field = row.path.split(".")
    assert type(getattr(EDGE, section)).model_fields[field].default == row.neutral
    model = "tpu_mlp0" if row.path.endswith(("im2col", "coding", "fuse_elementwise", "fuse_pools")) else "digits_cnn"
    said = notes(program_of(model, EDGE.with_(CASES[row.path])))
    assert [text for text in said if text.startswith(f"{row.path} of ")], said
    assert not [text for text in notes(program_of(model, EDGE)) if row.path in text]


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(CASES)))
def test_what_is_said_to_change_nothing_changes_nothing(seed: int, path: str) -> None:
    """Of random machines and networks: with the default instead, every tile, cycle, byte and picojoule is the same."""
    rng = np.random.default_rng(seed)
    graph, edits = random_graph(rng), CASES[path]
    arch = random_arch(rng, sharing=0.0 if "activation_buffer.fuse_pairs" in edits else 0.25)
    if not arch.array.flow.broadcast or "array.dataflow" not in edits:
        arch = arch.with_(edits)
    arch = roomy(arch, graph)
    mappings = map_graph(graph, arch=arch)
    program = build_program(graph, arch=arch, mappings=mappings)
    base, said = figures(program), idle_settings(program)
    of_networks = (
        "activation_buffer.im2col",
        "weight_buffer.coding",
        "vector.fuse_activations",
        "vector.fuse_elementwise",
        "vector.fuse_pools",
    )
    assert path in said or path in of_networks or "array.dataflow" in edits
    defaults = {row.path: row.neutral for row in IDLE}
    for found in said:
        other = arch.with_({found: defaults[found]})
        assert map_graph(graph, arch=other) == mappings
        assert figures(build_program(graph, arch=other, mappings=mappings)) == base


@pytest.mark.parametrize("preset", ["edge_16x16", "edge_lpddr4", "os_16x16"])
def test_what_changes_nothing_is_said(preset: str) -> None:
    """Each parameter turned by itself: a Result that stays the same says why, or the reason stands in SILENT.

    The network has weights that are no powers of two, which shifters refuse.
    """
    machine = load_arch(preset)
    base = figures(program_of("digits_cnn", machine))
    skipped = {
        "array.mac",
        "requantizer.stages",
        "name",
        "description",
        "source",
        "arithmetic",
        "overrides",
        "tech.energy_table",
    }
    for path in sorted(OTHER_VALUES.keys() - skipped - SILENT.keys()):
        coded = path == "dma.whole_weight_tiles" and machine.dma.weight_compression is not None  # which it refuses
        needed = machine.with_(NEEDED.get(path, {}))
        arch = needed.with_({path: OTHER_VALUES[path]} | ({"dma.weight_compression": None} if coded else {}))
        program = program_of("digits_cnn", arch)
        if arch != machine and figures(program) == base:
            even = path.endswith((".banks", ".ports")) and arch.get(path.replace("ports", "banks")) % 2 == 0
            uncoded = path == "dma.zero_run_bits" and any(
                "makes no layer's weights shorter" in x for x in notes(program)
            )
            assert path in idle_settings(program) or uncoded or (even and "lpddr4" in preset), path


def said(edits: dict[str, object], model: str = "digits_cnn", preset: str = "edge_16x16") -> str:
    """The notes of a run that the machine does not have without ``edits``, in one text."""
    plain = accelsim.simulate(model, arch=preset).notes
    result = accelsim.simulate(model, arch=load_arch(preset).with_(edits))
    return "\n".join(text for text in result.notes if text not in plain)


TRAP_CASES: tuple[tuple[dict[str, object], str], ...] = (
    ({"array.weight_bits": 4}, "4 bits for weights, 8 for activations: 8-bit weights in 2 slices, 2 passes of the array per product (5 of 5"),
    ({"array.weight_bits": 4, "array.activation_bits": 4}, "8-bit weights in 2 slices and 8-bit activations in 2 slices, 4 passes of the array"),
    ({"array.weight_bits": 3}, "8-bit weights in 3 slices, 3 passes"),
    ({"tech.voltage_v": 0.7}, "is for a design that reaches 682 MHz at 0.9 V; one that reaches 500 MHz there runs at 367 MHz"),
    ({"clock_hz": "2 GHz"}, "clock_hz of 2 GHz is above the 1 GHz that energy table horowitz_45nm states for 0.9 V"),
    ({"cores.count": 64}, "cores do nothing: no layer has as many shares"),
    ({"activation_buffer.resident_bytes": 2}, "activation_buffer.resident_bytes of 2 keeps no tensor"),
    ({"dma.weight_compression": "zero_run_length"}, "zero_run_length makes no layer's weights shorter: they hold too few zeros"),
    ({"streams.weights.memory": "sram", "streams.weights.memory_bytes": 64}, "streams.weights.memory_bytes of 64 are fewer than the 10336 of"),
    ({"dram.standard": "LPDDR4_3200"}, "dram.standard of LPDDR4_3200 sets times only: a bit of DRAM costs what horowitz_45nm says"),
)  # fmt: skip


@pytest.mark.parametrize(("edits", "text"), TRAP_CASES, ids=[str(edits) for edits, _ in TRAP_CASES])
def test_traps_say_so(edits: dict[str, object], text: str) -> None:
    assert text in said(edits)


def test_each_trap_has_a_case() -> None:
    """A new function of TRAPS needs an edit above that springs it."""
    programs = [program_of("digits_cnn", EDGE.with_(edits)) for edits, _ in TRAP_CASES]
    programs.append(program_of("digits_cnn", load_arch("cfu_hps")))
    graph, arch = load_for("resnet18", EDGE.with_({"vector.fuse_elementwise": True}))
    shared = next(graph.layers[i].output for i, one in graph.followers.items() if one.kind == "elementwise")
    programs.append(program_of(replace(graph, outputs=(*graph.outputs, HostPort(shared, "shared"))), arch))
    for find in TRAPS:
        assert any(find(program) for program in programs), find.__name__


@pytest.mark.parametrize(
    "edits",
    [
        {"tech.voltage_v": 1.1}, {"array.weight_bits": 1}, {"dram.standard": "LPDDR4_3200", "tech.dram": "lpddr4"},
        {"activation_buffer.resident_bytes": "16 KiB", "activation_buffer.fuse_pairs": True}, {"cores.count": 2, "cores.split": "rows"},
    ],
)  # fmt: skip
def test_what_acts_is_not_remarked(edits: dict[str, object]) -> None:
    """Nor a port of one bit, which is bit-serial by intent."""
    assert said(edits) == ""


def test_narrow_networks_fill_narrow_ports() -> None:
    """But for the first layer, whose inputs have 8 bits."""
    text = said({"array.weight_bits": 4, "array.activation_bits": 4}, model="digits_w4a4")
    assert text.endswith(": 8-bit activations in 2 slices, 2 passes of the array per product (1 of 3 layers with MACs)")


@pytest.mark.parametrize("command", [["run"], ["energy", "report"], ["compare"]])
def test_commands_print_each_note_once_on_stderr(command: list[str]) -> None:
    edits = ["--set", "cores.split=rows", "--set", "activation_buffer.fuse_pairs=true"]
    done = CliRunner().invoke(main, [*command, "digits_cnn", "--arch", "edge_16x16", *edits])
    assert done.exit_code == 0, done.output
    assert done.stderr.count("cores.split of rows changes nothing: cores.count is 1") == 1
    assert done.stderr.count("activation_buffer.fuse_pairs of true changes nothing") == 1
    assert "note:" not in done.stdout


def test_a_result_shows_its_notes() -> None:
    result = accelsim.simulate("digits_cnn", arch=EDGE.with_({"cores.split": "rows"}))
    assert len(result.notes) == 1
    assert f"note: {result.notes[0]}" in str(result)
    assert result.notes[0] in result._repr_html_()
    assert accelsim.Result.from_json(result.to_json()).notes == result.notes
