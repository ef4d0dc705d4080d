"""What a command does where streams are closed or full, and with names and numbers that nobody should give."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from accelsim.cli import main
from accelsim.energy.table.read import tables_dir
from accelsim.importers import packaged_models

TABLE_ONLY = "alexnet_conv1_scalesim"
ARCH = ("--arch", "edge_16x16")
ACCELSIM = f"{sys.executable} -m accelsim"
HOSTILE = "a\x1b]0;PWNED\x07\x1b[2J\x9b31m\u202eb"
"""Sets a terminal's title, clears it, colours it, and turns the text around."""


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", command], capture_output=True, timeout=300, check=False)


# Streams


@pytest.mark.parametrize("to", [">&-", ">/dev/full"])
@pytest.mark.parametrize(
    "command",
    [f"run {TABLE_ONLY} --arch edge_16x16", f"run {TABLE_ONLY} --arch edge_16x16 --json -", "arch schema", "-h"],
)
def test_lost_output_is_one_line_and_exit_code_1(command: str, to: str) -> None:
    done = shell(f"{ACCELSIM} {command} {to}")
    assert done.returncode == 1
    assert re.fullmatch(rb"accelsim: error: standard output: [^\n]+\n", done.stderr)


def test_lost_output_of_verify_is_no_mismatch() -> None:
    done = shell(f"{ACCELSIM} verify digits_cnn --arch edge_16x16 --count 1 >/dev/full")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("to", ["2>&-", "2>/dev/full", "2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}"])
def test_a_lost_message_leaves_the_exit_code(to: str) -> None:
    assert shell(f"{ACCELSIM} run no_such_model --arch edge_16x16 {to}").returncode == 1
    assert shell(f"{ACCELSIM} archs {to}").returncode == 0
    assert shell(f"{ACCELSIM} run --no-such-option {to}").returncode == 2


def test_files_are_whole_where_all_streams_are_closed(tmp_path: Path) -> None:
    """An output file would otherwise get the number of stderr, and what libraries print."""
    files = " ".join(f"--{kind} {tmp_path / 'r'}.{kind}" for kind in ("json", "csv"))
    assert shell(f"{ACCELSIM} run {TABLE_ONLY} --arch edge_16x16 {files} <&- >&- 2>&-").returncode == 1
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["layers"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.csv", "r.json"]


@pytest.mark.slow
def test_a_run_without_a_compile_cache_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    done = shell(f"NUMBA_CACHE_DIR={tmp_path / 'cache'} {ACCELSIM} run {TABLE_ONLY} --arch edge_16x16")
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert done.stderr.decode().startswith(f"accelsim: warning: compiled code in {tmp_path / 'cache'}")


# Names


def hostile_table(folder: Path) -> Path:
    path = folder / "hostile.csv"
    path.write_text(f'name,op,h,w,c\n"{HOSTILE}",conv2d,8,8,4\n"=1+1",softmax,1,1,4\n', encoding="utf-8")
    return path


def on_a_terminal(*arguments: object) -> str:
    """All that a command sends to a terminal."""
    sent = bytearray()

    def read(number: int) -> bytes:
        data = os.read(number, 4096)
        sent.extend(data)
        return b"-" * bool(data)  # of no interest to who runs the tests

    pty.spawn([sys.executable, "-m", "accelsim", *map(str, arguments)], read)
    return sent.decode("utf-8", "replace")


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("import", "FILE"), ("run", "FILE", *ARCH), ("run", "FILE", *ARCH, "--json", "-"), ("run", "FILE", *ARCH, "--csv", "-"),
    ("map", "FILE", *ARCH), ("energy", "report", "FILE", *ARCH), ("compare", "FILE", *ARCH), ("accumulators", "FILE"),
    ("verify", "FILE", *ARCH), ("run", TABLE_ONLY, "--arch", HOSTILE), ("run", HOSTILE, *ARCH),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_sends_what_a_name_holds_to_a_terminal(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = hostile_table(tmp_path)
    sent = on_a_terminal(*(path if part == "FILE" else part for part in command))
    plain = re.sub(
        r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1?A|\r", "", sent
    )  # rich's own colours and progress bar
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", plain), ascii(plain)


def test_names_of_an_energy_table_do_not_reach_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    text = (tables_dir() / "horowitz_45nm.yaml").read_text(encoding="utf-8")
    path.write_text(
        re.sub(r"^source: .*$", 'source: "x\\\\e]0;PWNED\\\\a"', text, flags=re.MULTILINE), encoding="utf-8"
    )
    done = CliRunner().invoke(main, ["energy", "show", str(path)])
    assert (done.exit_code, "PWNED" in done.stdout, "\x1b" in done.stdout) == (0, True, False)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    model, machine, page = (tmp_path / os.fsdecode(b"a\xff" + end) for end in (b".tflite", b".yaml", b".json"))
    shutil.copy(packaged_models()["digits_cnn"], model)
    machine.write_text(CliRunner().invoke(main, ["arch", "show", "edge_16x16"]).stdout, encoding="utf-8")
    for command in (
        ("run", model, "--json", page),
        ("run", model, "--csv", page),
        ("import", model),
        ("accumulators", model),
    ):
        arch = () if command[0] == "import" else ("--arch", machine)
        done = CliRunner().invoke(main, [*map(str, command), *map(str, arch)])
        assert done.exit_code == 0, done.output
    table = tmp_path / os.fsdecode(b"t\xff.yaml")
    shutil.copy(tables_dir() / "horowitz_45nm.yaml", table)
    done = CliRunner().invoke(main, ["run", str(model), "--set", f"tech.energy_table={table}", "--json", "-"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["arch"]["tech"]["energy_table"].endswith("t\ufffd.yaml")
    table.unlink()
    done = CliRunner().invoke(main, ["run", str(model), "--set", f"tech.energy_table={table}"])
    assert (done.exit_code, "tech.energy_table: no table" in done.stderr) == (1, True)
    done = CliRunner().invoke(main, ["run", str(model), "--arch", str(machine), "--json", str(machine)])
    assert (done.exit_code, "an input file" in done.stderr) == (1, True)


# Numbers

LONG = ("9" * 400, "-" + "9" * 400, "9" * 5000, "1e400")


def lines_with_numbers(text: str) -> list[tuple[int, int, int]]:
    """Line, start and end of each number of a YAML text."""
    found = enumerate(re.finditer(r"(?<![\w.])[0-9][0-9._]*(?![\w.])", line) for line in text.splitlines())
    return [(i, match.start(), match.end()) for i, matches in found for match in matches]


@pytest.mark.parametrize("number", LONG, ids=lambda number: f"{number[:3]}({len(number)})")
@pytest.mark.parametrize("command", [("arch", "show"), ("energy", "check")], ids=" ".join)
def test_numbers_of_400_digits_are_refused_wherever_they_stand(
    tmp_path: Path, command: tuple[str, ...], number: str
) -> None:
    tables = {"arch": CliRunner().invoke(main, ["arch", "show", "edge_16x16"]).stdout,
              "energy": (tables_dir() / "horowitz_45nm.yaml").read_text(encoding="utf-8")}  # fmt: skip
    lines, path = tables[command[0]].splitlines(), tmp_path / "m.yaml"
    for i, start, end in lines_with_numbers(tables[command[0]]):
        path.write_text("\n".join([*lines[:i], lines[i][:start] + number + lines[i][end:], *lines[i + 1 :]]), "utf-8")
        done = CliRunner().invoke(main, [*command, str(path)])
        assert isinstance(done.exception, SystemExit | None), (lines[i], done.exception)
        assert len(done.stderr) < 1000


@pytest.mark.parametrize("number", LONG, ids=lambda number: f"{number[:3]}({len(number)})")
@pytest.mark.parametrize(
    "arguments",
    [
        ("run", TABLE_ONLY, *ARCH, "--program-inputs", "N"),
        ("run", TABLE_ONLY, *ARCH, "--set", "dram.latency_ns=N"),
        ("run", TABLE_ONLY, *ARCH, "--set", "tech.node_nm=N"),
        ("quantize", "digits_float", "--out", "q.onnx", "--layer", "logits=wNa8"),
        ("quantize", "digits_float", "--out", "q.onnx", "--weights", "N"),
        ("activity", "digits_cnn", *ARCH, "--seed", "N"),
        ("energy", "import", "t.yaml", "--node-nm", "1", "--voltage-v", "1", "--source", "x", "--word-bits", "sram=N"),
    ],
    ids=lambda arguments: " ".join((arguments[0], *arguments[-2:])),
)
def test_numbers_of_400_digits_in_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], number: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [part.replace("N", number) for part in arguments])
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert len(done.stderr) < 1000
    assert list(tmp_path.iterdir()) == []
