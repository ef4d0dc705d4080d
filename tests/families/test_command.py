"""``accelsim workload``: what it writes, lists and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result as CliResult

from accelsim import load_graph, workload
from accelsim.cli import main
from accelsim.families import FAMILIES, workload_text


def cli(*arguments: str | Path, code: int = 0) -> CliResult:
    done = CliRunner().invoke(main, ["workload", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done


def test_it_writes_what_python_makes(tmp_path: Path) -> None:
    path = tmp_path / "step.csv"
    options = [
        "--context",
        "100",
        "--batch",
        "2",
        "--weight-bits",
        "4",
        "--kv-bits",
        "4",
        "--phase",
        "decode",
        "--layers",
        "2",
    ]
    assert cli("gpt2_small", *options, "--out", path).output == ""
    chosen = {"context": 100, "batch": 2, "weight_bits": 4, "kv_bits": 4, "phase": "decode", "layers": 2}
    assert (
        path.read_text(encoding="utf-8") == workload_text("gpt2_small", **chosen) == cli("gpt2_small", *options).stdout
    )
    assert load_graph(path).macs == workload("gpt2_small", **chosen).macs


def test_the_command_in_its_comments_makes_it_again() -> None:
    text = cli("resnet50", "--width-multiplier", "0.5", "--version", "v1.5").stdout
    said = next(line for line in text.splitlines() if line.startswith("# Made by accelsim workload "))
    assert cli(*said.partition(". Shapes")[0].split()[5:]).stdout == text


def test_the_list_shows_every_network_and_its_parameters() -> None:
    lines = cli("--list").stdout
    for name, member in FAMILIES.items():
        assert f"\n{name} " in lines
        assert member.what in lines
    assert "kv-bits as activation-bits" in lines
    assert "width-multiplier 1.0" in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("resnet18", "--context", "8"), "workload resnet18: it has no parameter 'context'; it has"),
        (("vit_base", "--resolution", "200"), "workload vit_base: patch: 16 does not divide resolution, which is 200"),
        (("gpt2_xl", "--context", "1000000", "--batch", "1000000"), "workload gpt2_xl: too large for a layer table"),
        (("gpt3",), "workload 'gpt3': no such network"),
    ],
)
def test_refusals_are_one_line_and_leave_no_file(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = cli(*arguments, "--out", tmp_path / "net.csv", code=1)
    assert done.stderr.startswith(f"accelsim: error: {said}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert done.stdout == ""


def test_a_wrong_kind_of_value_is_a_usage_error() -> None:
    assert "Invalid value for '--phase'" in cli("gpt2_small", "--phase", "train", code=2).stderr
    assert "Missing argument 'NETWORK'" in cli(code=2).stderr
