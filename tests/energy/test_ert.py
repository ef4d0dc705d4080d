"""Accelergy's energy reference tables: what they hold is read, what they lack is asked for by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from accelsim.cli import main
from accelsim.energy import load_table, read_ert
from accelsim.errors import ConfigError

ERT = """ERT:
  version: 0.4
  tables:
  - name: chip.PE[0..255].mac
    actions:
    - name: mac_random
      arguments: null
      energy: 2.20035
    - name: mac_gated
      arguments: null
      energy: 0.10285
    - name: leak
      arguments: {global_cycle_seconds: 1e-9}
      energy: 0.001
  - name: chip.weight_buffer
    actions:
    - name: read
      arguments: {data_delta: 1, address_delta: 1}
      energy: 12.5
    - name: write
      arguments: null
      energy: 14
  - name: DRAM
    actions:
    - name: read
      arguments: null
      energy: 512
"""
WORDS = {"weight_buffer": 64, "dram": 64}


def write(tmp_path: Path, text: str = ERT) -> Path:
    path = tmp_path / "ERT.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_the_file_holds(tmp_path: Path) -> None:
    table = read_ert(write(tmp_path), node_nm=40, voltage_v=1.0, source="a design of ours", word_bits=WORDS)
    assert table.entry("mac", "mac").value() == 2.20035
    assert table.entry("weight_buffer", "read").value(bits=128) == 25
    assert table.entry("dram", "read").value(bits=1) == 8
    assert table.not_modelled == ("mac.mac_gated", "mac.leak")
    assert all(entry.low is None and entry.source == "a design of ours" for entry in table.entries)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("chip.weight_buffer", "chip.cache", r"ERT\.yaml:17: cache\.read is per word, .* give --word-bits cache=64"),
        ("energy: 2.20035", "energy: -1", r"ERT\.yaml:8: expected picojoules of 0 or more, got -1"),
        ("energy: 2.20035", "energy: true", r"ERT\.yaml:8: expected picojoules of 0 or more, got True"),
        ("name: chip.PE[0..255].mac", "label: mac", r"ERT\.yaml:4: expected a component with name and actions"),
        ("name: chip.PE[0..255].mac", "name: 3", r"ERT\.yaml:4: expected a component with name and actions"),
        ("name: mac_random", "label: mac_random", r"ERT\.yaml:6: expected an action with name and energy"),
        ("energy: 2.20035", "energy: lots", r"ERT\.yaml:8: expected picojoules of 0 or more, got 'lots'"),
        ("    actions:\n    - name: mac_random", "    acts:\n    - name: mac_random", r"ERT\.yaml:4: component 'mac' has no list"),
        ("ERT:", "ART:", "expected an Accelergy energy reference table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_ert(write(tmp_path, ERT.replace(old, new)), node_nm=40, voltage_v=1.0, source="s", word_bits=WORDS)


def test_an_action_may_cost_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, ERT.replace("energy: 2.20035", "energy: 0"))
    assert read_ert(path, node_nm=40, voltage_v=1.0, source="s", word_bits=WORDS).entry("mac", "mac").value() == 0


def test_it_is_no_table_of_a_machine_by_itself(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"ERT\.yaml:1: .*no unit, node, voltage, width, source.*accelsim energy import"
    ):
        load_table(str(write(tmp_path)))


def test_the_command_line_turns_it_into_one(tmp_path: Path) -> None:
    words = [option for name, bits in WORDS.items() for option in ("--word-bits", f"{name}={bits}")]
    arguments = [
        "energy",
        "import",
        str(write(tmp_path)),
        "--node-nm",
        "40",
        "--voltage-v",
        "1.0",
        "--source",
        "ours",
        *words,
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    made = tmp_path / "made.yaml"
    made.write_text(done.output, encoding="utf-8")
    table = load_table(str(made))
    assert table.entries == read_ert(write(tmp_path), node_nm=40, voltage_v=1.0, source="ours", word_bits=WORDS).entries
    assert (table.node_nm, table.voltage_v, table.source) == (40, 1.0, "ours")


@pytest.mark.parametrize("words", ["dram", "dram=", "=64", "dram=wide", "dram=0"])
def test_word_widths_that_are_none(tmp_path: Path, words: str) -> None:
    arguments = [
        "energy",
        "import",
        str(write(tmp_path)),
        "--node-nm",
        "40",
        "--voltage-v",
        "1",
        "--source",
        "s",
        "--word-bits",
        words,
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "expected COMPONENT=BITS" in done.stderr


def test_lists_shows_checks_and_reports(tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(main, ["energy", "list"])
    assert all(name in listed.output for name in ("horowitz_45nm", "bitfusion_45nm", "dram_standards", "40 nm"))
    shown = run(main, ["energy", "show", "ihp_130nm"])
    assert "filled: multiplier.multiply: from horowitz_45nm v2 by rule stillmaker_baas" in shown.output
    assert "91.83 pJ x bits/64 x (capacity_bytes/8192)^0.434" in shown.output
    assert "compound: pe.area = 1 x multiplier.area + 1 x adder.area + 1 x register.area" in shown.output
    good = run(main, ["energy", "check", "qkeras_45nm"])
    assert "needed and not held: nothing" in good.output
    assert good.output.startswith(f"qkeras_45nm: {len(load_table('qkeras_45nm').entries)} entries, all well formed\n")
    assert "array.area" in good.output
    lacking = run(main, ["energy", "check", "dram_standards"])
    assert "needed and not held: array.mac" in lacking.output
    bad = write(tmp_path, "name: x\nversion: one\n")
    wrong = run(main, ["energy", "check", str(bad)])
    assert wrong.exit_code == 1
    first, *lines = wrong.stderr.splitlines()
    assert first == f"accelsim: error: 4 things in {bad} can't be read:"
    assert lines[3].startswith(f"  {bad}:2: version: input should be a valid integer")
    assert [line.split(": ")[1] for line in lines[:3]] == ["source", "node_nm", "voltage_v"]


def test_the_report_splits_the_energy_in_full() -> None:
    done = CliRunner().invoke(
        main, ["energy", "report", "digits_cnn", "--arch", "edge_16x16", "--set", "tech.dram=hbm2"]
    )
    assert done.exit_code == 0, done.output
    for text in (
        "energy by layer and component", "energy by layer and tensor", "energy by entry of the table", "partial sums",
        "multiplier.multiply", "TOPS/W", "peak power", "energy x delay", "filled dram from dram_standards v1, hbm2", "µm²",
    ):  # fmt: skip
        assert text in done.output
